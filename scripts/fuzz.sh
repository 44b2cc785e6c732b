#!/usr/bin/env bash
# Runs every fuzz target for the given time. usage: fuzz.sh 60s
set -euo pipefail
cd "$(dirname "$0")/.."
grep -rl --include='*_test.go' --exclude-dir='.[!.]*' '^func Fuzz' . | xargs -n1 dirname | sort -u | while read -r package; do
  for target in $(grep -ho '^func Fuzz[A-Za-z0-9_]*' "$package"/*_test.go | sed 's/func //'); do
    echo "fuzz: $package $target for $1" >&2
    go test "$package" -run '^$' -fuzz "^$target\$" -fuzztime "$1"
  done
done
