#!/usr/bin/env bash
# Drives a server with requests that schemathesis derives from its own OpenAPI document:
# no 5xx, no answer that the document does not describe. Makes its own virtual
# environment, kept between runs.
# usage: tests/contract/schemathesis.sh BINARY [VENV]
set -euo pipefail
binary=$(realpath "$1")
cd "$(dirname "$0")/../.."
venv=${2:-.cache/venv-schemathesis}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q --disable-pip-version-check schemathesis==4.32.5
source tests/clients/server.sh
# A request that fits the schema may still name ids beyond the vocabulary, and one that
# does not may be coerced or have its unknown fields ignored, as the peer does: neither
# acceptance nor refusal follows from the schema alone. Traces are not started, for their
# folders would be written. /classify is a classifier's: this model answers 501.
"$venv/bin/python" "$venv/bin/schemathesis" --config-file tests/contract/schemathesis.toml run "http://$address/openapi.json" --max-examples "${EXAMPLES:-100}" --seed 1 \
  --exclude-checks positive_data_acceptance,negative_data_rejection --suppress-health-check filter_too_much --exclude-path-regex '/start_profile|^/classify'
