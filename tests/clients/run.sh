#!/usr/bin/env bash
# Makes clients from the server's OpenAPI document with the generators that people use,
# and scores and reranks with each against BINARY. Tools go to .cache/clients and are kept
# between runs. A generator is skipped, and that is said, only where its registry cannot
# be reached.
# usage: tests/clients/run.sh BINARY
set -euo pipefail
binary=$(realpath "$1")
cd "$(dirname "$0")/../.."
root=$PWD here=$PWD/tests/clients work=$PWD/.cache/clients
mkdir -p "$work"
target=openapi-clients
source tests/clients/server.sh
curl -fsS "http://$address/openapi.json" -o "$work/openapi.json"

python() {
  local venv=$work/python
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
  "$venv/bin/python" -m pip install -q --disable-pip-version-check openapi-python-client==0.29.1 || return
  rm -rf "$work/scored_client"
  "$venv/bin/python" -m openapi_python_client generate --fail-on-warning --meta none --path "$work/openapi.json" --output-path "$work/scored_client" \
    --config <(echo 'post_hooks: []') || exit
  PYTHONPATH=$work "$venv/bin/python" "$here/python/check.py" "http://$address" || exit
}
python_reached() { "$work/python/bin/python" -m pip index versions openapi-python-client; }

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

try python "openapi-python-client 0.29.1"
try go_ "oapi-codegen 2.8.2"
try typescript "openapi-typescript 7.13.0, tsc 5.9.3 --strict"
exit $failed
