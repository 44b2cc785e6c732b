#!/usr/bin/env bash
# Compares scored batch with scored bench on one machine, in one run: items/s of bench's
# workload w3s (50 items of 20 tokens on a query of 500), before and after, and of a batch
# of unsorted lines, an item each; 200 lines share a query of 500 tokens. Let nothing
# else run meanwhile. With the defaults it takes over an hour on two cores; ITEMS=1000
# takes some minutes.
# usage: batch-figures.sh [flags of the engine]; ITEMS (20000), SECONDS_OF_BENCH (60),
# BINARY (bin/scored) as variables
set -euo pipefail
cd "$(dirname "$0")/.."
items=${ITEMS:-20000} seconds=${SECONDS_OF_BENCH:-60} binary=${BINARY:-bin/scored}
shared=200
model=(--model-path Qwen/Qwen3-0.6B --load-format dummy --random-seed 1 --offline --tokenizer-path .cache/tokenizer/qwen3
  --plugin-dir .cache/plugins --compile-cache .cache/compile "$@")

work=$(mktemp -d)
server=
stop() { if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; server=; fi; }
trap 'stop; rm -rf "$work"' EXIT

# bench prints w3s' items/s.
bench() {
  "$binary" serve "${model[@]}" --port 0 2>"$work/serve.log" &
  server=$!
  address=
  while [ -z "$address" ]; do
    kill -0 "$server" 2>/dev/null || { cat "$work/serve.log" >&2; exit 1; }
    sleep 1
    address=$(sed -n 's/.*ready to roll!" address=\([^ ]*\).*/\1/p' "$work/serve.log")
  done
  "$binary" bench --url "http://$address" --workload w3s --token-ids --duration "${seconds}s" --warmup 10s --json |
    sed -n 's/.*"items_per_s":\([0-9.e+-]*\).*/\1/p'
  stop
}

awk -v items="$items" -v shared="$shared" 'function ids(n,  i, text) {
    for (i = 0; i < n; i++) text = text (i ? "," : "") int(rand() * 151643)
    return "[" text "]"
  }
  BEGIN {
    srand(7)
    for (i = 0; i < items; i++) {
      if (i % shared == 0) query = ids(500)
      printf "%.9f {\"model\":\"m\",\"query\":%s,\"items\":[%s],\"label_token_ids\":[9454,2753],\"apply_softmax\":true}\n", rand(), query, ids(20)
    }
  }' | sort | cut -d' ' -f2- >"$work/in.jsonl" # the leading number shuffles

before=$(bench)
"$binary" batch "$work/in.jsonl" "$work/out.jsonl" "${model[@]}" --log-level warn 2>&1 | tee "$work/batch.log" >&2
batch=$(sed -n 's/^scored .* lines.*, \([0-9.]*\) items\/s.*/\1/p' "$work/batch.log")
after=$(bench)
echo "items/s: bench w3s $before, batch of $items $batch, bench w3s again $after"
awk -v b="$batch" -v x="$before" -v y="$after" 'BEGIN { printf "ratio of batch to the mean of bench: %.3f\n", 2 * b / (x + y) }'
