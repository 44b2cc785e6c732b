#!/bin/sh
# Checks and measures scored on a device, any that a plugin opens, within eight minutes:
# golden vectors and the engine's contract, cold and warm starts of the default step
# shapes, ten loads as token ids and as text, a profile under load, and transformers
# beside it. Writes results.json and results.md, a table under the device's name, into a
# folder.
#
#   scripts/device-check.sh [--device cuda] [--plugin FILE] [--out FOLDER] ...      --help lists all
#
# It needs no Go and no network: carry bin/scored, and the tests as GOLDEN names them,
# plain or gzipped, made by
#   go test -c -o golden.test ./tests/golden && gzip golden.test
# Python is python3, or what PYTHON names; transformers are compared where it has torch
# and transformers.
# Exit status 0: every check held and nothing was left out. results.md says what failed
# and what was left out.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec "${PYTHON:-python3}" "$here/device-check/check.py" "$@"
