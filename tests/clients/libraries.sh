#!/usr/bin/env bash
# Reranks, scores and classifies with the clients that people have, from PyPI and npm,
# against BINARY. Packages go to .cache/clients and are kept between runs. A registry that
# cannot be reached is said and skipped.
# usage: tests/clients/libraries.sh BINARY
set -euo pipefail
binary=$(realpath "$1")
cd "$(dirname "$0")/../.."
here=$PWD/tests/clients work=$PWD/.cache/clients target=clients
mkdir -p "$work"
source tests/clients/server.sh
language=http://$address
serve tests/models/classifier
classifier=http://$address

# with FILE: installs its packages into an environment of their own, and checks each.
with() {
  local venv=$work/libraries/$1 file=$here/libraries/$1.txt
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
  cmp -s "$file" "$venv/installed" || {
    "$venv/bin/python" -m pip install -q --disable-pip-version-check -r "$file" && cp "$file" "$venv/installed"
  } || return
  "$venv/bin/python" -W ignore "$here/libraries/check.py" "$language" "$classifier" $(sed -n 's/==.*//p' "$file") || exit
}
python() { with clients; }
python_reached() { "$work/libraries/clients/bin/python" -m pip index versions cohere; }
apart() { with apart; }
apart_reached() { python_reached; }

node_() {
  mkdir -p "$work/packages" && cp "$here"/packages/* "$work/packages" && cd "$work/packages"
  cmp -s package-lock.json node_modules/.scored-lock || { npm ci --silent --no-audit --no-fund --prefer-offline && cp package-lock.json node_modules/.scored-lock; } || return
  node check.js "$language" || exit
}
node__reached() { npm view cohere-ai@8.1.0 version; }

try python "clients in Python"
try apart "clients in Python whose requirements conflict with those"
try node_ "clients in JavaScript"
exit $failed
