#!/usr/bin/env bash
# Makes clients from the server's OpenAPI document with the generators that people use, and scores and reranks with each
# against BINARY. Tools go to .cache/clients and are kept between runs. A generator is skipped, and that is said, only
# where its registry cannot be reached. usage: tests/clients/run.sh BINARY
set -euo pipefail
binary=$(realpath "$1")
cd "$(dirname "$0")/../.."
root=$PWD here=$PWD/tests/clients work=$PWD/.cache/clients
mkdir -p "$work"
log=$(mktemp)

"$binary" serve --load-format dummy --model-path tests/models/tiny --tokenizer-path .cache/tokenizer/qwen3 --plugin-dir .cache/plugins \
  --context-length 2048 --buckets 64x1x64x0,320x1x320x0,128x8x64x128,256x2x256x2048 --port 0 2>"$log" &
server=$!
trap 'kill $server 2>/dev/null; rm -f "$log"' EXIT
for _ in $(seq 300); do
  address=$(sed -n 's/.*ready to roll!" address=\([^ ]*\).*/\1/p' "$log")
  [ -z "$address" ] || break
  kill -0 $server || { cat "$log" >&2; exit 1; }
  sleep 0.2
done
curl -fsS "http://$address/openapi.json" -o "$work/openapi.json"

python() {
  local venv=$work/python
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
  "$venv/bin/pip" install -q --disable-pip-version-check openapi-python-client==0.29.1 || return
  rm -rf "$work/scored_client"
  "$venv/bin/openapi-python-client" generate --fail-on-warning --meta none --path "$work/openapi.json" --output-path "$work/scored_client" \
    --config <(echo 'post_hooks: []') || exit
  PYTHONPATH=$work "$venv/bin/python" "$here/python/check.py" "http://$address" || exit
}
python_reached() { "$work/python/bin/pip" index versions openapi-python-client; }

oapi=github.com/oapi-codegen/oapi-codegen/v2
go_() {
  GOBIN=$work/bin go install $oapi/cmd/oapi-codegen@v2.8.2 || return
  rm -rf "$work/go" && cp -r "$here/go" "$work/go" && cd "$work/go" && mkdir api
  go mod download || return
  "$work/bin/oapi-codegen" -generate types,client -package api -o api/api.go "$work/openapi.json" || exit
  go run . "http://$address" || exit
}
go__reached() { cd "$work" && GOFLAGS=-mod=mod go list -m $oapi@v2.8.2; }

typescript() {
  mkdir -p "$work/typescript" && cp "$here"/typescript/* "$work/typescript" && cd "$work/typescript"
  cmp -s package-lock.json node_modules/.scored-lock || { npm ci --silent --no-audit --no-fund --prefer-offline && cp package-lock.json node_modules/.scored-lock; } || return
  npx openapi-typescript "$work/openapi.json" --output api.d.ts >/dev/null || exit
  npx tsc || exit
  node out/check.js "http://$address" || exit
}
typescript_reached() { npm view openapi-typescript@7.13.0 version; }

failed=0
# try FUNCTION NAME: the function returns a status where a tool cannot be had, and exits with one where a check fails.
try() {
  local begin=$SECONDS status=0
  ( set +e; "$1"; code=$?; [ $code = 0 ] || exit 99 ) || status=$?
  if [ $status = 0 ]; then
    echo "openapi-clients: $2: ran in $((SECONDS - begin)) s, works"
  elif [ $status = 99 ] && ! ("$1_reached" >/dev/null 2>&1); then
    echo "openapi-clients: $2: SKIPPED, its registry cannot be reached"
  else
    echo "openapi-clients: $2: FAILED" >&2
    failed=1
  fi
}
try python "openapi-python-client 0.29.1"
try go_ "oapi-codegen 2.8.2"
try typescript "openapi-typescript 7.13.0, tsc 5.9.3 --strict"
exit $failed
