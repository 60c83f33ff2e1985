# Short names for what the README says in full. `just` is optional.

# Run the server.
run:
    cargo run --release

# All tests.
ci:
    tests/run

# Write what is generated: the page's types, and the built page.
gen:
    UPDATE_TYPES=1 cargo test -p openclaw-watch-dashboard the_pages_types
    cd web && npm ci && npm run build

# The agent for every platform, into target/agents.
agents:
    agent/build-all
