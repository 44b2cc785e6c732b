#!/usr/bin/env bash
# Looks for known vulnerabilities in code that is reached. Where the database cannot be
# reached it says so and passes; what it finds fails.
# usage: vulncheck.sh "go run …/govulncheck@v1.9.0"
set -uo pipefail
cd "$(dirname "$0")/.."
out=$($1 ./... 2>&1)
status=$?
printf '%s\n' "$out"
if [ $status != 0 ] && grep -qE 'vuln\.go\.dev.*(dial|lookup|timeout|refused|Forbidden|status|403|407|proxy)|fetching vulnerabilities' <<<"$out"; then
  echo "vulncheck is skipped: the database of vulnerabilities cannot be reached"
  exit 0
fi
exit $status
