#!/usr/bin/env bash
# Soaks a server: SOAK_MINUTES (10) of mixed load from 1, 4 and 16 clients in turn, which
# give up a twentieth of their requests, beside clients that are killed without warning
# and replaced; then a minute at ten times the rate of 16 clients, on a queue of
# SOAK_QUEUE (256) rows. It writes a report in Markdown. It fails at any error or wrong
# answer except a 503 under overload, and at buffers that are left on the device.
#
#   scripts/soak.sh [--report FILE]        starts bin/scored with a tiny model's generated weights; run `make setup` first
#   scripts/soak.sh --url URL [--pid PID]  loads a server that runs with --enable-metrics and --max-queue SOAK_QUEUE, also
#                                          given as SOAK_URL; PID, if local, gives its memory
set -euo pipefail
cd "$(dirname "$0")/.."

report=docs/soak.md url=${SOAK_URL:-} pid="" own=""
while [ $# -gt 0 ]; do
  case $1 in
    --report) report=$2 ;;
    --url) url=$2 ;;
    --pid) pid=$2 ;;
    *) echo "soak.sh: $1 is unknown; see the head of this file" >&2; exit 2 ;;
  esac
  shift 2
done
clients="1 4 16" mix=w1=8,w2=4,w3s=1,w4=1 queue=${SOAK_QUEUE:-256}
seconds=$(awk "BEGIN { print int(${SOAK_MINUTES:-10} * 60 / 3) }")
[ -z "$url" ] || model="that of $url"
dir=$(mktemp -d)
: >"$dir/killed"
: >"$dir/report"
bystander=""
stop() {
  [ -z "$bystander" ] || kill "$bystander" 2>/dev/null || true
  [ -z "$own" ] || kill -KILL "$pid" 2>/dev/null || true
  rm -rf "$dir"
}
trap stop EXIT

serve() { # with further flags
  model="a tiny shape with generated weights"
  bin/scored serve --model-path tests/models/tiny --load-format dummy --tokenizer-path .cache/tokenizer/qwen3 --plugin-dir .cache/plugins \
    --compile-cache .cache/compile --offline --port 0 --context-length 2304 --prefix-cache-bytes $((16 << 20)) --enable-metrics \
    --log-level-http warn "$@" 2>"$dir/log" &
  pid=$! own=yes
  until grep -q 'ready to roll!' "$dir/log"; do
    kill -0 "$pid" 2>/dev/null || { cat "$dir/log" >&2; echo "soak.sh: server ended before it was ready; its log is above" >&2; exit 1; }
    sleep 1
  done
  url=http://$(sed -n 's/.*ready to roll!" address=\([^ ]*\).*/\1/p' "$dir/log")
}

# Ends the server that this script started, and tells its status.
end() {
  [ -n "$own" ] || return 0
  kill "$pid" || true # if it died, its status says so
  local status=0
  wait "$pid" || status=$?
  own=""
  line "- server stopped with status $status"
  failed=$((failed | status))
}

# Starts a client, kills it in the middle of its requests, and starts the next one in its
# place.
die_and_return() {
  while :; do
    timeout -s KILL $((RANDOM % 7 + 2)) bin/scored bench --url "$url" --workload w2 --clients 2 --warmup 0s --duration 1m --seed $RANDOM \
      --allow-errors >/dev/null 2>&1 || true
    echo >>"$dir/killed"
  done
}

# The server's resident memory, VmRSS now or VmHWM at its peak, in kB.
resident() { [ -z "$pid" ] || sed -n "s/^$1:[^0-9]*\([0-9]*\) kB/\1/p" "/proc/$pid/status" || true; }

metric() { curl -sf "$url/metrics" | awk -v name="$1" '$1 == name { print $2 }'; }

# The buffers on the device once nothing is in hand and no prefix is kept.
buffers() {
  until curl -sf -X POST "$url/flush_cache" >/dev/null; do sleep 0.2; done
  metric scored_device_buffers
}

load() { bin/scored bench --url "$url" --workload mixed --mix $mix --timeout 5m "$@" >"$dir/table" 2>"$dir/faults"; }
figure() { sed -n "s/$1/\1/p" "$dir/table"; } # a part of a line of the last table
line() { echo "${1:-}" | tee -a "$dir/report"; }
fault() { line "- **failed**: $1"; failed=1; }
section() { { echo; echo "## $1"; echo; } | tee -a "$dir/report"; }
table() { { echo '```'; cat "$dir/table" "$dir/faults"; echo '```'; } | tee -a "$dir/report"; }

[ -n "$url" ] || serve
failed=0 memory=""
first=$(resident VmRSS)
load --clients 4 --warmup 0s --duration 10s # arrays that each step shape keeps are made at its first use
first_buffers=$(buffers)
for c in $clients; do
  die_and_return 2>/dev/null & # the shell tells of every kill
  bystander=$!
  status=0
  load --clients "$c" --cancel-share 0.05 --verify --warmup 5s --duration "${seconds}s" --seed "$c" || status=$?
  kill "$bystander"
  wait "$bystander" 2>/dev/null || true
  bystander=""
  failed=$((failed | status))
  memory="$memory $(resident VmRSS)"
  section "$c clients: exit status $status"
  table
done
capacity=$(figure 'requests  *\([0-9]*\) answered in .*') took=$(figure 'requests  *[0-9]* answered in \([0-9.]*\) s.*')
rate=$(awk "BEGIN { print 10 * $capacity / $took }") items=$(figure 'items\/s  *\([0-9.]*\).*') p99=$(figure 'latency ms.* p99 \([0-9.]*\).*')
last_buffers=$(buffers)
section "Memory and end"
line "- clients killed: $(wc -l <"$dir/killed")"
[ -z "$first" ] || line "- resident memory of the server, kB: $first when ready,$memory after the phases, $(resident VmHWM) at the peak"
line "- buffers on the device, idle and without kept prefixes: $first_buffers after ten seconds, $last_buffers after the phases"
[ "$first_buffers" = "$last_buffers" ] || fault "the device has other buffers than at first"

if [ -n "$own" ]; then
  end
  serve --max-queue "$queue"
fi
began=$(metric process_start_time_seconds)
load --rate "$rate" --max-in-flight 2000 --warmup 0s --duration 60s --seed 60 --allow-errors || true # judged below
section "Overload: $rate requests/s, ten times the rate of 16 clients, on a queue of $queue rows"
table
# An admitted request waits for a full queue at most. The bound is twice that and half a
# second, as clients need the processor too.
bound=$(awk "BEGIN { print int(2000 * $queue / $items + $p99 + 500) }") got=$(figure 'latency ms.* p99 \([0-9.]*\).*')
line
line "- P99 of admitted requests: $got ms. Bound: $bound ms, twice the time of a full queue at 16 clients' items/s, plus their P99 and half a second"
awk "BEGIN { exit !($got <= $bound) }" || fault "admitted requests waited too long"
grep -q '^errors: 503' "$dir/table" || fault "nothing was refused with 503"
! grep '^errors: ' "$dir/table" | grep -qv '^errors: 503' || fault "requests failed otherwise than with 503"
[ "$(curl -sf "$url/health" >/dev/null && metric process_start_time_seconds)" = "$began" ] || fault "the server is not the one it was, or not ready"
end
[ $failed = 0 ] && line "- nothing failed"
{
  echo "# Soak of ${SOAK_MINUTES:-10} minutes"
  echo
  echo "\`make soak\` wrote this report on $(date -u +%Y-%m-%dT%H:%MZ). Server and clients shared $(nproc) CPU cores ($(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n1)). The server was"
  echo "\`$(bin/scored version)\` with $model. The load was \`$mix\`, workloads with their shares."
  echo
  echo "1, 4 and 16 clients load the server in turn, and give up a twentieth of their requests. Beside them other clients are killed without warning and"
  echo "replaced. Then a minute of overload follows. The tables are those of \`scored bench\`. The run fails at any error or wrong answer except a 503 under"
  echo "overload, and at buffers that are left on the device."
  cat "$dir/report"
} >"$report"
exit "$failed"
