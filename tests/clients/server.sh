# Sourced by scripts of tests, in the repository's root: serves a small model with
# generated weights, and metrics, from the file $binary, and sets address. Servers end
# with the script.
logs=$(mktemp -d) servers=()
trap 'kill "${servers[@]}" 2>/dev/null; rm -rf "$logs"' EXIT

# serve MODEL: serves the shape of a folder with generated weights, and sets address.
serve() {
  local log=$logs/${#servers[@]} server
  "$binary" serve --load-format dummy --model-path "$1" --tokenizer-path .cache/tokenizer/qwen3 --plugin-dir .cache/plugins \
    --context-length 2048 --buckets 64x1x64x0,320x1x320x0,128x8x64x128,256x2x256x2048 --port 0 --enable-metrics 2>"$log" &
  server=$! address=
  servers+=($server)
  for _ in $(seq 300); do
    address=$(sed -n 's/.*ready to roll!" address=\([^ ]*\).*/\1/p' "$log")
    [ -z "$address" ] || return 0
    kill -0 $server || { cat "$log" >&2; exit 1; }
    sleep 0.2
  done
  echo "server is not ready after a minute" >&2
  cat "$log" >&2
  exit 1
}
serve tests/models/tiny

failed=0
# try FUNCTION NAME: the function returns a status where a tool cannot be had, and exits
# with one where a check fails. FUNCTION_reached tells whether its registry can be.
try() {
  local begin=$SECONDS status=0
  ( set +e; "$1"; code=$?; [ $code = 0 ] || exit 99 ) || status=$?
  if [ $status = 0 ]; then
    echo "$target: $2: ran in $((SECONDS - begin)) s, works"
  elif [ $status = 99 ] && ! ("$1_reached" >/dev/null 2>&1); then
    echo "$target: $2: SKIPPED, its registry cannot be reached"
  else
    echo "$target: $2: FAILED" >&2
    failed=1
  fi
}
