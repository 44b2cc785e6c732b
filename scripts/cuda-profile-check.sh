#!/usr/bin/env bash
# Checks profiles of a server on a CUDA card, under load from several clients: ten in a
# row with num_steps, one that is stopped and one that waits for its first step. No
# request may fail, and the device must stay alive. It runs the golden vectors too, if a
# test binary is given. Needs no network; takes less than four minutes.
#
#   scripts/cuda-profile-check.sh [PLUGIN]     PLUGIN is xla_cuda_plugin.so; without it the one of the Python that PYTHON
#                                              names (default /opt/torch/.venv/bin/python) is taken
#
# Further variables: SCORED, the binary (bin/scored); GOLDEN, what `go test -c -o FILE
# ./tests/golden` builds (none: left out); OUT, a folder that gets logs, traces and
# reports (a temporary one, which is removed); DEVICE, MODEL, BUCKETS and LOAD, the
# seconds of load (70).
# Exit status 0: all held. The last line of the output says so.
set -uo pipefail
cd "$(dirname "$0")/.."

scored=${SCORED:-bin/scored} device=${DEVICE:-cuda} golden=${GOLDEN:-}
model=${MODEL:-model/checkpoint/testdata/config/Qwen3-0.6B}
buckets=${BUCKETS:-256x1x256x0,512x1x512x0,2048x6x512x0,2048x12x192x128,2048x128x32x2048}
plugin=${1:-}
limit=225 # seconds for everything; each part below gets what is left of it at most
failed=0 server="" loads=""
keep=${OUT:-}
out=${keep:-$(mktemp -d)}
mkdir -p "$out"
out=$(cd "$out" && pwd)

say() { printf '%4ds %s\n' "$SECONDS" "$*"; }
fail() { say "FAILED: $*"; failed=$((failed + 1)); }
left() { echo $((limit - SECONDS > $1 ? $1 : limit - SECONDS > 1 ? limit - SECONDS : 1)); }
stop() {
  for pid in $loads $server; do kill -KILL "$pid" 2>/dev/null; done
  [ -n "$keep" ] || rm -rf "$out"
}
trap stop EXIT

if [ -z "$plugin" ] && [ "$device" = cuda ]; then
  python=${PYTHON:-/opt/torch/.venv/bin/python}
  site=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])' 2>/dev/null)
  plugin=$site/jax_plugins/xla_cuda13/xla_cuda_plugin.so
fi
[ -z "$plugin" ] || [ -f "$plugin" ] || { echo "cuda-profile-check.sh: plugin $plugin is not there; give its path" >&2; exit 2; }
[ -x "$scored" ] || { echo "cuda-profile-check.sh: $scored is not there; run make build, or set SCORED" >&2; exit 2; }
command -v curl >/dev/null || { echo "cuda-profile-check.sh: curl is missing" >&2; exit 2; }
! command -v nvidia-smi >/dev/null || nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
"$scored" version

if [ -n "$golden" ]; then
  golden=$(cd "$(dirname "$golden")" && pwd)/$(basename "$golden")
  say "golden vectors on the device"
  if (cd tests/golden && SCORED_GOLDEN_PLUGIN=$plugin timeout "$(left 90)" "$golden" -test.run 'OnDevice' -test.v) >"$out/golden.log" 2>&1; then
    grep -E '^ *--- ' "$out/golden.log"
    grep -q 'PASS: TestOnDevice/native' "$out/golden.log" || fail "golden vectors were not compared"
  else
    tail -20 "$out/golden.log"
    fail "golden vectors"
  fi
fi

say "server starts"
tokenizer=.cache/tokenizer/qwen3
[ -d "$tokenizer" ] || tokenizer=tests/tokenizer/small
"$scored" serve --device "$device" ${plugin:+--plugin "$plugin"} --plugin-dir .cache/plugins --model-path "$model" --load-format dummy \
  --tokenizer-path "$tokenizer" --offline --port 0 --buckets "$buckets" --context-length 2049 --compile-cache "$out/compile" \
  --enable-metrics --log-level-http error 2>"$out/server.log" &
server=$!
url=""
for _ in $(seq "$(left 100)"); do
  url=$(sed -n 's/.*ready to roll!" address=\([^ ]*\).*/http:\/\/\1/p' "$out/server.log")
  [ -z "$url" ] && kill -0 "$server" 2>/dev/null || break
  sleep 1
done
if [ -z "$url" ]; then
  tail -20 "$out/server.log"
  fail "server is not ready"
  exit 1
fi
say "server is ready at $url: $(grep -o 'took=.*' "$out/server.log" | tail -1)"
info=$(curl -s --max-time 10 "$url/get_server_info")
for name in attention_backend xla_options; do
  say "$name: $(printf %s "$info" | sed -n "s/.*\"$name\":\({[^}]*}\|[^,]*\).*/\1/p")"
done
if [ "$device" = cuda ]; then
  case $info in *'"xla_options":{"xla_gpu_enable_command_buffer":""}'*) ;; *) fail "command buffers are not off" ;; esac
fi

# Load from 8 + 4 + 1 clients, longer than all the profiles take.
seconds=$(left "${LOAD:-70}")
load() {
  "$scored" bench --url "$url" --token-ids --vocab 256 --labels 1,2 --warmup 0s --duration "${seconds}s" --timeout 30s "$@" \
    >"$out/bench-$2-$4.txt" 2>&1 &
  loads="$loads $!"
}
say "load for $seconds s"
load --workload w1 --clients 8
load --workload w2 --clients 4
load --workload w4 --clients 1
sleep 3

state() { curl -s --max-time 10 "$url/profile_status"; }
idle() { # waits until the profiler is; false if it takes too long
  for _ in $(seq 150); do
    case $(state) in *idle*) return 0 ;; esac
    kill -0 "$server" 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}
begin() { # PROFILE JSON
  local status
  status=$(curl -s -o "$out/answer" -w '%{http_code}' --max-time 60 -H 'Content-Type: application/json' \
    -d "{\"output_dir\":\"$out/$1\"$2}" "$url/start_profile")
  [ "$status" = 200 ] || { fail "profile $1: start answers $status: $(head -c 300 "$out/answer")"; return 1; }
}
for n in $(seq 10); do
  begin "profile$n" ",\"num_steps\":$((3 + 2 * n))" || continue
  idle || fail "profile $n does not end"
done
if begin stopped ""; then
  sleep 0.5
  status=$(curl -s -o "$out/answer" -w '%{http_code}' --max-time 60 -X POST "$url/stop_profile")
  [ "$status" = 200 ] || fail "stop answers $status: $(head -c 300 "$out/answer")"
fi
steps=$(curl -s --max-time 10 "$url/get_server_info" | sed -n 's/.*"steps":\([0-9]*\).*/\1/p')
if begin armed ",\"start_step\":$((${steps:-0} + 30)),\"num_steps\":20"; then
  for _ in $(seq 200); do # it is idle until its first step comes
    [ -n "$(find "$out/armed" -name '*.xplane.pb' 2>/dev/null)" ] && break
    sleep 0.1
  done
  idle || fail "armed profile does not end"
fi
traces=$(find "$out" -name '*.xplane.pb' | wc -l)
say "profiles written: $traces of 12"
[ "$traces" = 12 ] || fail "profiles are missing"

say "load ends"
wait $loads
loads=""
errors=0
for report in "$out"/bench-*.txt; do
  say "$(basename "$report" .txt): $(grep -iE 'items/s|requests|error' "$report" | tr -s ' \n' ' ' | head -c 300)"
  grep -q '^errors  *0$' "$report" || errors=$((errors + 1))
done
bad=$(curl -s --max-time 10 "$url/metrics" | sed -n 's/^scored_requests_total{code="\([45][0-9]*\)"} \(.*\)/\2 with \1/p' | grep -v '^0 ' | tr '\n' ' ')
dead=$(curl -s --max-time 10 "$url/metrics" | sed -n 's/^scored_steps_total{.*result="failed"} //p' | grep -vx 0 | head -1)
say "requests failed: ${bad:-0}; steps failed: ${dead:-0}"
[ -z "$bad" ] && [ "$errors" = 0 ] || { fail "requests failed"; cat "$out"/bench-*.txt; }
[ -z "$dead" ] || fail "steps failed"
for path in livez health; do
  status=$(curl -s -o /dev/null -w '%{http_code}' --max-time 10 "$url/$path")
  say "/$path: $status"
  [ "$status" = 200 ] || fail "/$path is $status"
done

for name in profile10 armed; do
  say "report of $name"
  "$scored" profile report "$out/$name" | tee "$out/report-$name.txt"
  grep -q 'TIME PER EXECUTABLE' "$out/report-$name.txt" || fail "report of $name lacks executables"
  # Shares of one table: the fifth column from the title to the next empty line.
  for table in EXECUTABLE OP; do
    awk -v title="TIME PER $table" '$0 == title { on = 1; next } on && NF == 0 { on = 0 }
      on { if (match($0, /[0-9.]+ %/)) sum += substr($0, RSTART, RLENGTH - 2) } END { exit sum > 100.5 }' "$out/report-$name.txt" ||
      fail "shares of $table add up to more than 100 % in $name"
  done
done
grep -h 'warning' "$out"/report-*.txt

kill -TERM "$server" 2>/dev/null
status=0
wait "$server" || status=$?
server=""
say "server ended with status $status"
[ "$status" = 0 ] || { tail -5 "$out/server.log"; fail "server's exit status is $status (75: the device was lost)"; }
grep -E 'level=(ERROR|WARN)' "$out/server.log" | head -10
if [ "$failed" = 0 ]; then
  say "PASSED"
  exit 0
fi
say "FAILED: $failed of the checks"
exit 1
