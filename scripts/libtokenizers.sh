#!/usr/bin/env bash
# Builds libtokenizers.a, which github.com/daulet/tokenizers links against, from that Go
# module's own Rust source.
# usage: libtokenizers.sh [folder]
# The folder is .build/lib by default; link with CGO_LDFLAGS=-L<folder>.
# Does nothing if the folder holds the build of this module version, lock file and
# compiler already.
set -euo pipefail

say() { echo "libtokenizers: $*" >&2; }
fail() { say "$@"; exit 1; }

module=github.com/daulet/tokenizers
here=$(cd "$(dirname "$0")" && pwd)
lock=$here/libtokenizers/Cargo.lock
out=${1:-$here/../.build/lib}

for tool in go cargo rustc flock sha256sum; do
  case $tool in
    go) remedy="install Go from https://go.dev/dl" ;;
    cargo | rustc) remedy="install Rust from https://rustup.rs" ;;
    *) remedy="install util-linux and coreutils" ;;
  esac
  command -v "$tool" >/dev/null || fail "$tool is missing; $remedy"
done

mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$here/.."
go mod download "$module"
source=$(go list -m -f '{{.Dir}}' "$module")
stamp="$(go list -m "$module") $(sha256sum <"$lock") $(rustc --version)"

exec 9>"$out/.lock"
flock 9 # a second run at the same time waits here, then finds the work done
if [ -f "$out/libtokenizers.a" ] && [ "$(cat "$out/.stamp" 2>/dev/null)" = "$stamp" ]; then
  say "$out/libtokenizers.a is up to date"
  exit 0
fi

work=$out/.work # beside the result, so that the last step is a rename
trap 'rm -rf "$work"' EXIT
rm -rf "$work" "$out/.stamp"
mkdir "$work"
say "copying the Rust source of $(go list -m "$module")"
crate=$source/crates/tokenizers
cp -R "$crate/src" "$crate/benches" "$work" # Cargo.toml names a benchmark, which must be there
chmod -R u+w "$work"
# The module takes tiktoken-rs from a git branch. The released crate serves as well: only
# tokenizer.json files are loaded.
sed 's|^tiktoken-rs *=.*|tiktoken-rs = "0.9"|' "$crate/Cargo.toml" >"$work/Cargo.toml"
cp "$lock" "$work/Cargo.lock"
say "compiling with $(cargo --version), a minute or two"
CARGO_TARGET_DIR=$work/target cargo build --release --locked --lib --quiet --manifest-path "$work/Cargo.toml" ||
  fail "cargo could not build it; if the module version changed, its dependencies need a new $lock"
mv "$work/target/release/libtokenizers_ffi.a" "$out/libtokenizers.a"
echo "$stamp" >"$out/.stamp"
say "built $out/libtokenizers.a"
