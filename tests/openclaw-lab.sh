#!/usr/bin/env bash
# Counts the tokens of a real OpenClaw to the last one, while agent and server are killed.
#
#   LAB=DIR tests/openclaw-lab.sh LAB_SCRIPT [OPENCLAW_WATCH OPENCLAW_WATCH_AGENT]
#
# LAB_SCRIPT starts and stops an OpenClaw with a mock provider in the folder LAB, which was set up before: `start`, `turn
# TEXT AGENT MODEL SESSION_KEY`, `rpc METHOD JSON`, `count`. The programs are those of target/debug when they are not given.
# KILLS=10 is how often the agent is killed. Takes about five minutes. Exit code 0: everything is equal; 1: something is not;
# 2: something that is needed is missing. Nothing is skipped.
set -euo pipefail

lab_script=${1:-${LAB_SCRIPT:-}}
here=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$here/target}/debug
server=${2:-$target/openclaw-watch}
agent=${3:-$target/openclaw-watch-agent}
kills=${KILLS:-10}

missing() { echo "missing: $*" >&2; exit 2; }
[ -n "${LAB:-}" ] || missing "the environment variable LAB, the folder of the laboratory"
[ -f "$lab_script" ] || missing "the laboratory's script, the first argument"
[ -d "$LAB/home" ] || missing "$LAB/home: set the laboratory up first"
[ -x "$server" ] || missing "$server: cargo build -p openclaw-watch"
[ -x "$agent" ] || missing "$agent: cargo build -p openclaw-watch-agent"
export LAB PATH="$LAB/nodeenv/node_modules/node/bin:$PATH"
for program in node jq curl; do command -v "$program" >/dev/null || missing "$program"; done

work=$(mktemp -d)
server_pid='' agent_pid='' turns_pid='' failed=0
say() { printf '%s %s\n' "$(date +%T)" "$*"; }
bad() { say "NOT EQUAL: $*"; failed=1; }
lab() { bash "$lab_script" "$@"; }
stop() { [ -z "$1" ] || { kill "$1" 2>/dev/null && wait "$1" 2>/dev/null; } || true; }
finish() {
  code=$?
  stop "$turns_pid"; stop "$agent_pid"; stop "$server_pid"
  if [ "$code" = 0 ]; then rm -rf "$work"; else echo "What was written is in $work" >&2; fi
}
trap finish EXIT

rpc() { # Prints the answer's payload; anything but an answer that is ok is a failure.
  local answer
  answer=$(lab rpc "$1" "$2" | sed -n 's/^< //p' | jq -c 'select(.id == "2")')
  [ "$(jq -r .ok <<<"$answer")" = true ] || { say "$1 was refused: $answer" >&2; return 1; }
  jq -c .payload <<<"$answer"
}

start_server() {
  OPENCLAW_WATCH__DASHBOARD__LISTEN=${page:-127.0.0.1:0} OPENCLAW_WATCH__BROKER__LISTEN=${broker:-127.0.0.1:0} \
    OPENCLAW_WATCH__LOCAL_AGENT__ENABLED=false "$server" --data-dir "$work/data" serve >>"$work/server.log" 2>&1 &
  server_pid=$!
  for _ in $(seq 200); do
    if [ -s "$work/data/addresses.json" ]; then
      page=$(jq -r .dashboard "$work/data/addresses.json")
      broker=$(jq -r .broker "$work/data/addresses.json")
      curl -sf -o "$work/up" "http://$page/healthz" && return
    fi
    kill -0 "$server_pid" || { tail "$work/server.log" >&2; exit 1; }
    sleep 0.1
  done
  say "the server does not start"; exit 1
}
start_agent() {
  "$agent" run --server "$broker" --key "$key" --pin "$pin" --state-dir "$work/state" --openclaw-home "$LAB/home" \
    --interval 5s --log-level debug >>"$work/agent.log" 2>&1 &
  agent_pid=$!
}
hard_kill() { kill -9 "$1"; wait "$1" 2>/dev/null || true; }
get() { curl -sf -H "Authorization: Bearer $token" "http://$page/api/v1/$1"; }

# What is on the disk and what the server says, in one form: totals and models, without what is zero.
on_disk() {
  lab count >"$work/count"
  node -e '
    const text = require("fs").readFileSync(process.argv[1], "utf8");
    const of = (name) => JSON.parse(text.match(new RegExp("^" + name + " (.*)$", "m"))[1]);
    const days = eval("(" + text.slice(text.indexOf("\n{") + 1) + ")"), models = {};
    for (const [key, c] of Object.entries(days)) {
      const m = (models[key.slice(11)] ??= { n: 0, i: 0, o: 0, cr: 0, cw: 0 });
      for (const field in m) m[field] += c[field];
    }
    console.log(JSON.stringify({ total: of("unique"), models }));' "$work/count" | jq -cS .
}
numbers='{n: .turns, i: .input, o: .output, cr: .cache_read, cw: .cache_write}'
on_server() {
  jq -cS -n --argjson device "$(get "devices/$device")" --argjson models "$(get 'usage?by=model')" \
    "{total: (\$device.device.usage.total // {} | $numbers), models: (\$models | map({key: .key, value: (.usage | $numbers)}) | from_entries)}"
}
# Waits until both say the same, for at most $1 seconds.
equal() {
  local disk='' said='' begun=$SECONDS
  while [ $((SECONDS - begun)) -lt "$1" ]; do
    disk=$(on_disk); said=$(on_server || true)
    [ "$disk" = "$said" ] && { say "equal after $((SECONDS - begun)) s: $(jq -c .total <<<"$said")"; return; }
    sleep 2
  done
  bad "on disk  $disk"; say "           on server $said"
}

last_said() { # The id of what was said last in a session, of the agent $1.
  node -e '
    const { DatabaseSync } = require("node:sqlite"), zlib = require("zlib");
    const file = `${process.env.LAB}/home/.openclaw/agents/${process.argv[1]}/agent/openclaw-agent.sqlite`;
    const rows = new DatabaseSync(file, { readOnly: true }).prepare(`SELECT event_json j, event_zstd z FROM transcript_events
      WHERE session_id = (SELECT current_session_id FROM session_nodes WHERE session_key = ?) ORDER BY seq`).all(process.argv[2]);
    const events = rows.map((row) => JSON.parse(row.j ?? zlib.zstdDecompressSync(Buffer.from(row.z)).toString()));
    console.log(events.filter((event) => event.message?.role === "user").at(-1).id);' "$1" "$2" 2>"$work/node.log"
}
turn() { lab turn "$@" >>"$work/turns.log" 2>&1 || say "a turn ended with an error: ${*:2:2}"; }
# All that a person and a gateway do, in about three minutes. What must fail is said with its model.
turns() {
  local tag key round said forked job
  tag=$(date +%s)
  turn 'this provider fails' main mock/mock-500 "agent:main:$tag-500" &
  turn 'this provider limits' ops mock/mock-429 "agent:ops:$tag-429" &
  for round in 1 2 3; do
    for key in a b; do
      turn "hello $round" main mock/mock-small "agent:main:$tag-$key"
      turn "hello $round USE_TOOL" ops mock/mock-big "agent:ops:$tag-$key"
      turn "hello $round" main mockant/mock-claude "agent:main:$tag-claude"
    done
    turn "hello $round LONG_REPLY" main mock/mock-big "agent:main:$tag-long"
    turn "flaky $round" ops mock/mock-flaky "agent:ops:$tag-flaky-$round"
    case $round in
      1)
        said=$(last_said main "agent:main:$tag-a")
        forked=$(rpc sessions.fork "{\"sessionKey\":\"agent:main:$tag-a\",\"entryId\":\"$said\"}" | jq -r .sessionKey)
        turn 'in the fork' main mock/mock-small "$forked"
        said=$(last_said ops "agent:ops:$tag-a")
        rpc sessions.rewind "{\"sessionKey\":\"agent:ops:$tag-a\",\"entryId\":\"$said\"}" >/dev/null
        rpc sessions.reset "{\"key\":\"agent:main:$tag-b\"}" >/dev/null
        ;;
      2)
        rpc sessions.compact "{\"key\":\"agent:main:$tag-a\"}" >/dev/null
        said=$(last_said main "agent:main:$tag-claude")
        rpc sessions.rewind "{\"sessionKey\":\"agent:main:$tag-claude\",\"entryId\":\"$said\"}" >/dev/null
        rpc sessions.delete "{\"key\":\"$forked\"}" >/dev/null
        job=$(rpc cron.add '{"name":"lab","agentId":"main","schedule":{"kind":"every","everyMs":36000000},"sessionTarget":"isolated","wakeMode":"now","payload":{"kind":"agentTurn","message":"by the clock"}}' | jq -r .id)
        rpc cron.run "{\"id\":\"$job\",\"mode\":\"force\"}" >/dev/null
        ;;
      3)
        rpc sessions.delete "{\"key\":\"agent:main:$tag-long\"}" >/dev/null
        rpc sessions.reset "{\"key\":\"agent:ops:$tag-b\"}" >/dev/null
        rpc cron.remove "{\"id\":\"$job\"}" >/dev/null
        ;;
    esac
  done
  # At last, for it has the provider cool down.
  turn 'this key is wrong' main mock/mock-auth "agent:main:$tag-auth"
  turn 'and goes on' main mockant/mock-claude "agent:main:$tag-claude"
  wait
}

say 'OpenClaw starts'
lab start >"$work/lab.log"
before=$(on_disk)
say "on disk before: $(jq -c .total <<<"$before")"
start_server
watch=("$server" --data-dir "$work/data" --json)
added=$("${watch[@]}" device add box)
device=$(jq -r .id <<<"$added") key=$(jq -r .key <<<"$added") pin=$(jq -r .pin <<<"$added")
token=$("${watch[@]}" token create | jq -r .token)
start_agent
equal 60

say 'turns, and kills'
turns &
turns_pid=$!
for n in $(seq "$kills"); do
  sleep "$((RANDOM % 20 + 2)).$((RANDOM % 10))"
  kill -0 "$agent_pid" || { bad 'the agent ended by itself'; tail -3 "$work/agent.log"; exit 1; }
  hard_kill "$agent_pid"
  if [ "$n" = $((kills / 2)) ]; then
    hard_kill "$server_pid"; sleep 1; start_server
    say 'killed the server too'
  fi
  sleep "0.$((RANDOM % 10))"
  start_agent
done
say "killed the agent $kills times"
wait "$turns_pid" || bad 'OpenClaw did not do what it was told'
turns_pid=''
equal 90

after=$(on_disk)
new() { jq -n --argjson a "$after" --argjson b "$before" "(\$a.$1 // 0) - (\$b.$1 // 0)"; }
[ "$(new total.n)" -ge 30 ] || bad "only $(new total.n) answers are new"
for model in mock-small mock-big mock-500 mock-429 mock-auth mock-flaky; do
  [ "$(new "models.\"mock/$model\".n")" -ge 1 ] || bad "no answer of $model is new"
done
[ "$(new 'models."mockant/mock-claude".cw')" -gt 0 ] || bad 'nothing was written into a cache'
total=$(get "devices/$device" | jq -cS .device.usage.total)
for by in day device agent trigger model; do
  sum=$(get "usage?by=$by" | jq "[.[].usage.tokens] | add")
  [ "$sum" = "$(jq .tokens <<<"$total")" ] || bad "the sum by $by is $sum of $(jq .tokens <<<"$total")"
  say "by $by: $(get "usage?by=$by" | jq -c 'map({key: .key, value: [.usage.turns, .usage.tokens]}) | from_entries')"
done
get 'usage?by=agent' | jq -e 'map(.key) | contains(["main", "ops"])' >/dev/null || bad 'an agent is missing'
get 'usage?by=trigger' | jq -e 'map(.key) | contains(["human", "cron"])' >/dev/null || bad 'a trigger is missing'

say 'the ledger is lost'
stop "$agent_pid"; agent_pid=''
rm -rf "$work/state"
told=$(grep -c 'usage told' "$work/agent.log" || true)
start_agent
for _ in $(seq 120); do
  [ "$(grep -c 'usage told' "$work/agent.log" || true)" -gt "$told" ] && break
  sleep 0.5
done
[ "$(grep -c 'usage told' "$work/agent.log")" -gt "$told" ] || bad 'the new ledger told nothing'
sleep 10
again=$(get "devices/$device" | jq -cS .device.usage.total)
[ "$again" = "$total" ] || bad "before $total, with a new ledger $again"
equal 30

[ $failed = 0 ] && say 'all equal'
exit $failed
