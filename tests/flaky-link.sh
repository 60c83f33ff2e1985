#!/usr/bin/env bash
# A long time on a bad link: a fifth of all packets is lost, everything takes 250 ms longer, and every 5 to 20 s the connection
# is reset. Everything runs in a network of its own, so nothing else is disturbed. Needs root on Linux, with iproute2 and
# iptables.
#
# Usage: tests/flaky-link.sh [MINUTES]        20 if left out
set -euo pipefail
cd "$(dirname "$0")/.."

minutes=${1:-20}
[ "$(id -u)" = 0 ] || { echo "This makes a network of its own: run it as root." >&2; exit 2; }
for program in ip iptables cargo; do
  command -v "$program" >/dev/null || { echo "$program is missing: apt-get install iproute2 iptables" >&2; exit 2; }
done

cargo build --locked -p openclaw-watch -p openclaw-watch-agent
cargo test --locked --workspace --test flaky --no-run
network="ocw-flaky-$$"
ip netns add "$network"
trap 'ip netns del "$network"' EXIT
ip -n "$network" link set lo up
# Between the two halves of a connection there is only this one device, so each direction loses a fifth.
ip netns exec "$network" iptables -A INPUT -p tcp -m statistic --mode random --probability 0.2 -j DROP
FLAKY_MINUTES="$minutes" ip netns exec "$network" \
  cargo test --locked --workspace --test flaky -- --ignored --exact a_long_time_on_a_bad_link --nocapture
