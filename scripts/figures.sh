#!/bin/sh
# Prints every figure of docs/performance.md that this machine can give, one after the
# other. Let nothing else run meanwhile: it takes some fifteen minutes. PYTHON needs torch
# and transformers. LIBTPU, the path of libtpu.so, adds its compiler's
# estimates for a TPU v6e.
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

echo '# single prompts beside transformers, in both dtypes'
"$python" tests/golden/beside.py --seconds 6 --prompts 8 16 64 256 512

echo '# beside transformers; start, memory'
"$python" tests/golden/beside.py --seconds 8 --items 10 --workloads 120+180
"$python" tests/golden/beside.py --seconds 8 --items 50 --their-items 2 --workloads 500+20

echo '# host overhead: of the Scorer, and with its HTTP handler'
go test ./score -run '^$' -bench Request -benchmem
go test ./server -run '^$' -bench Score -benchmem

echo '# compiles after ready, padding'
go test ./tests/laws -count 1 -v -run 'Compile|TestPaddingReport' | grep -v '^=== '

if [ -n "${LIBTPU:-}" ]; then
  echo '# a TPU v6e, estimated by its compiler'
  bin/scored compile --topology v6e:1x1 --load-format dummy --model-path Qwen/Qwen3-0.6B --plugin "$LIBTPU" --plugin-dir .cache/plugins \
    --out .cache/v6e --buckets 2048x6x512x0,2048x12x256x128,2048x12x192x128,2048x128x32x2048,256x16x32x40960
fi
