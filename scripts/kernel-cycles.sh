#!/bin/sh
# Counts the instructions (VLIW bundles, one a cycle) that libtpu schedules for the
# kernels of a step shape:
#   scripts/kernel-cycles.sh 2048x64x2048x128
# prints, for each kernel, runs of bundles by loop: 0 once, 1 each step of its grid, 2
# each block of keys. mosaic.Shape.Cycles is made of these.
set -eu
bucket=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
LIBTPU_INIT_ARGS="--xla_jf_dump_to=$dir/dump --xla_jf_dump_llo_text=true" \
  bin/scored compile --load-format dummy --out "$dir/programs" --plugin-dir .cache/plugins --buckets "$bucket" >"$dir/log" 2>&1 ||
  { cat "$dir/log" >&2; exit 1; }
for kernel in keys attend; do
  # the block's is compiled after that of the check
  file=$(ls "$dir"/dump/*-$kernel.*-final_bundles.txt | grep -v schedule-analysis | sort | tail -1)
  awk -v kernel=$kernel '
    /^ *0(x[0-9a-f]+)? +([A-Z][A-Z])? *: >* ?\{/ {
      split($0, before, "{")
      level = gsub(/>/, "", before[1])
      if (n > 0 && level != last) { printf "%s: loop %d, %d bundles\n", kernel, last, n; n = 0 }
      last = level; n++
    }
    END { printf "%s: loop %d, %d bundles\n", kernel, last, n }' "$file"
done
