#!/usr/bin/env bash
# Drives a server with requests that schemathesis derives from its own OpenAPI document: no 5xx, no answer that the document
# does not describe. Makes its own virtual environment, kept between runs.
# usage: tests/contract/schemathesis.sh BINARY [VENV]
set -euo pipefail
binary=$(realpath "$1")
cd "$(dirname "$0")/../.."
venv=${2:-.cache/venv-schemathesis}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check schemathesis==4.32.5
log=$(mktemp)
"$binary" serve --load-format dummy --model-path tests/models/tiny --tokenizer-path .cache/tokenizer/qwen3 --plugin-dir .cache/plugins \
  --context-length 2048 --buckets 64x1x64x0,320x1x320x0,128x8x64x128,256x2x256x2048 --port 0 --enable-metrics 2>"$log" &
server=$!
trap 'kill $server; rm -f "$log"' EXIT
for _ in $(seq 300); do
  address=$(sed -n 's/.*ready to roll!" address=\([^ ]*\).*/\1/p' "$log")
  [ -z "$address" ] || break
  kill -0 $server || { cat "$log" >&2; exit 1; }
  sleep 0.2
done
# A request that fits the schema may still name ids beyond the vocabulary, and one that does not may be coerced or have its
# unknown fields ignored, as the peer does: neither acceptance nor refusal follows from the schema alone. Traces are not
# started, for their folders would be written.
"$venv/bin/python" "$venv/bin/schemathesis" --config-file tests/contract/schemathesis.toml run "http://$address/openapi.json" --max-examples "${EXAMPLES:-100}" --seed 1 \
  --exclude-checks positive_data_acceptance,negative_data_rejection --suppress-health-check filter_too_much --exclude-path-regex '/start_profile'
