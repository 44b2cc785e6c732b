#!/usr/bin/env bash
# Soaks a server: SOAK_MINUTES (10) of mixed load from 1, 4 and 16 clients in turn, a twentieth of the requests given up,
# beside clients that are killed without warning and replaced. The report is markdown; any error or wrong answer fails it.
#
#   scripts/soak.sh [--report FILE]        starts bin/scored with a tiny model's generated weights; run `make setup` first
#   scripts/soak.sh --url URL [--pid PID]  loads a server that runs; PID, if local, gives its memory
set -euo pipefail
cd "$(dirname "$0")/.."

report=bin/soak.md url="" pid="" own=""
while [ $# -gt 0 ]; do
  case $1 in
    --report) report=$2 ;;
    --url) url=$2 ;;
    --pid) pid=$2 ;;
    *) echo "soak.sh: $1 is unknown; see the head of this file" >&2; exit 2 ;;
  esac
  shift 2
done
clients="1 4 16"
seconds=$((${SOAK_MINUTES:-10} * 60 / 3))
dir=$(mktemp -d)
: >"$dir/killed"
bystander=""
stop() {
  [ -z "$bystander" ] || kill "$bystander" 2>/dev/null || true
  [ -z "$own" ] || kill -KILL "$pid" 2>/dev/null || true
  rm -rf "$dir"
}
trap stop EXIT

serve() {
  bin/scored serve --model-path tests/models/tiny --load-format dummy --tokenizer-path .cache/tokenizer/qwen3 --plugin-dir .cache/plugins \
    --compile-cache .cache/compile --offline --port 0 --context-length 2304 --prefix-cache-bytes $((16 << 20)) --enable-metrics 2>"$dir/log" &
  pid=$! own=yes
  until grep -q 'ready to roll!' "$dir/log"; do
    kill -0 "$pid" 2>/dev/null || { cat "$dir/log" >&2; echo "soak.sh: server ended before it was ready; its log is above" >&2; exit 1; }
    sleep 1
  done
  url=http://$(sed -n 's/.*ready to roll!" address=\([^ ]*\).*/\1/p' "$dir/log")
}

# A client that dies in the middle of its requests, and the next one in its place.
die_and_return() {
  while :; do
    timeout -s KILL $((RANDOM % 7 + 2)) bin/scored bench --url "$url" --workload w2 --clients 2 --warmup 0s --duration 1m --seed $RANDOM \
      --allow-errors >/dev/null 2>&1 || true
    echo >>"$dir/killed"
  done
}

# The server's resident memory, VmRSS now or VmHWM at its peak, in kB.
resident() { [ -z "$pid" ] || sed -n "s/^$1:[^0-9]*\([0-9]*\) kB/\1/p" "/proc/$pid/status" || true; }

[ -n "$url" ] || serve
failed=0 memory=""
first=$(resident VmRSS)
{
  echo "# Soak of ${SOAK_MINUTES:-10} minutes"
  echo
  echo "\`$(bin/scored version)\`, $(nproc) cores, $(date -u +%Y-%m-%dT%H:%MZ)."
} >"$report"
for c in $clients; do
  die_and_return 2>/dev/null & # the shell tells of every kill
  bystander=$!
  status=0
  bin/scored bench --url "$url" --workload mixed --clients "$c" --cancel-share 0.05 --verify --warmup 5s --duration "${seconds}s" --timeout 5m --seed "$c" \
    >"$dir/table" 2>"$dir/faults" || status=$?
  kill "$bystander"
  wait "$bystander" 2>/dev/null || true
  bystander=""
  failed=$((failed | status))
  memory="$memory $(resident VmRSS)"
  { echo; echo "## $c clients: exit status $status"; echo; echo '```'; cat "$dir/table" "$dir/faults"; echo '```'; } | tee -a "$report"
done
{
  echo
  echo "## Memory and end"
  echo
  echo "- clients killed: $(wc -l <"$dir/killed")"
  [ -z "$first" ] || echo "- resident kB: $first when ready,$memory after the phases, $(resident VmHWM) at the peak"
} | tee -a "$report"
if [ -n "$own" ]; then
  kill "$pid" || true # if it died, its status says so
  status=0
  wait "$pid" || status=$?
  own=""
  echo "- server stopped with status $status" | tee -a "$report"
  failed=$((failed | status))
fi
exit "$failed"
