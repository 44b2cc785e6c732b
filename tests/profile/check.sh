#!/usr/bin/env bash
# Takes a trace and opens it with the viewers' own code: XProf's converters, and Perfetto's trace processor where its
# binary, which the Python package downloads, can be had. Makes its own virtual environment, kept between runs.
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
trace=$(go run ./tests/profile/sample "$out")
"$venv/bin/python" tests/profile/check.py "$trace"
