#!/usr/bin/env bash
# Builds dist/scored-VERSION-linux-amd64.tar.gz, a binary for glibc 2.31 and later (Debian
# 11, Ubuntu 20.04), with its SBOM and checksums. zig, from PyPI's ziglang, links cgo's
# part against that glibc's symbols; libstdc++ and libgcc_s, which tokenizers needs, are
# the system's. Needs Python with venv and pip.
# usage: release.sh VERSION, with or without a leading v
#
# The binary tells its version itself, as the Go toolchain takes it from the checkout:
# v0.1.0 on a clean checkout of the tag v0.1.0. Where that is not VERSION, the script ends
# with a warning.
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:?version is missing}
version=${version#v}
oldest=2.31
lib=$PWD/.build/lib
work=$PWD/.build/release

scripts/libtokenizers.sh "$lib"
mkdir -p "$work" dist
if [ ! -x "$work/venv/bin/python" ]; then
  python3 -m venv "$work/venv"
fi
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check ziglang==0.17.1
libraries="$(cc -print-file-name=libstdc++.so.6) $(cc -print-file-name=libgcc_s.so.1)"
for language in cc c++; do
  cat >"$work/$language" <<WRAPPER
#!/usr/bin/env bash
# zig takes -lstdc++ for its own libc++, which the Rust library was not compiled for.
arguments=()
for a in "\$@"; do
  if [ "\$a" = -lstdc++ ]; then arguments+=($libraries -Wl,--allow-shlib-undefined); else arguments+=("\$a"); fi
done
exec "$work/venv/bin/python" -m ziglang $language -target x86_64-linux-gnu.$oldest "\${arguments[@]}"
WRAPPER
  chmod +x "$work/$language"
done

name=scored-$version-linux-amd64
rm -rf "$work/$name"
mkdir "$work/$name"
CC=$work/cc CXX=$work/c++ CGO_LDFLAGS=-L$lib go build -trimpath -buildvcs=auto -ldflags='-s -w -buildid=' -o "$work/$name/scored" ./cmd/scored

newest=$(objdump -T "$work/$name/scored" | grep -oE 'GLIBC_[0-9.]+' | sort -Vu | tail -1)
if [ "$(printf '%s\n' "$newest" "GLIBC_$oldest" | sort -V | tail -1)" != "GLIBC_$oldest" ]; then
  echo "release: binary needs $newest, GLIBC_$oldest is what it may need at most" >&2
  exit 1
fi
cp LICENSE README.md "$work/$name"
go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0 bin -json -licenses -noserial -version "$version" \
  -output "dist/$name.sbom.json" "$work/$name/scored"
sed -i '/^ *"timestamp": .*,$/d' "dist/$name.sbom.json" # so that the same source gives the same bytes
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --mode='u+rwX,go+rX,go-w' -C "$work" -cf - "$name" | gzip -n9 >"dist/$name.tar.gz"
(cd dist && sha256sum "$name.tar.gz" "$name.sbom.json" | tee "$name.sha256")
echo "release: dist/$name.tar.gz needs $newest at most"
told=$("$work/$name/scored" version)
case $told in
  "scored v$version "*) echo "release: it tells its version as: $told" ;;
  *) echo "release: warning: it tells its version as \"$told\"; release a clean checkout of the tag v$version" >&2 ;;
esac
