#!/usr/bin/env bash
# Takes traces, of a device with a tracer and of one without, and opens them with the
# viewers' own code: XProf's converters, and Perfetto's trace processor where its binary,
# which the Python package downloads, can be had. Makes its own virtual environment, kept
# between runs.
# usage: tests/profile/check.sh [VENV]
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=${1:-.cache/venv-profile}
if [ ! -x "$venv/bin/python" ]; then
  python3 -m venv "$venv"
fi
"$venv/bin/pip" install -q --disable-pip-version-check -r tests/profile/requirements.txt
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$venv/bin/python" -m grpc_tools.protoc -Iprofile/internal/xplane --python_out="$out" xplane.proto
"$venv/bin/python" - "$out" profile/testdata/sglang-jax.textproto <<'EOF'
import sys
from google.protobuf import text_format
sys.path.insert(0, sys.argv[1])
import xplane_pb2
with open(sys.argv[2]) as source, open(sys.argv[1] + "/device.pb", "wb") as encoded:
    encoded.write(text_format.Parse(source.read(), xplane_pb2.XSpace()).SerializeToString())
EOF
echo "without a device tracer"
"$venv/bin/python" tests/profile/check.py "$(go run ./tests/profile/sample "$out/plain")"
echo "with one"
"$venv/bin/python" tests/profile/check.py "$(go run ./tests/profile/sample "$out/traced" "$out/device.pb")" traced
