package main

import (
	"strings"
	"testing"

	"scored/model/checkpoint"
)

// TestAttentionBackend: kernels where they fit, and nowhere else.
func TestAttentionBackend(t *testing.T) {
	for line, want := range map[string]bool{
		"--device tpu": true,
		"--device tpu --attention-backend fa_mha":                         true,
		"--device tpu --context-length 512":                               true,
		"--device tpu --buckets 256x8x64x128":                             true,
		"--device tpu --attention-backend native":                         false,
		"--device tpu --attention-backend dsa_sparse":                     false,
		"--device tpu --dtype float32":                                    false,
		"--device tpu --buckets 64x8x64x128":                              false, // fewer tokens than a kernel takes at a time
		"--device cuda":                                                   true,
		"--device cuda --attention-backend native":                        false,
		"--device cuda --dtype float32":                                   false,
		"--device cuda --context-length 40960":                            true,
		"--device cuda --buckets 64x8x64x64":                              true,
		"--device cuda --buckets 32x8x32x64":                              false, // fewer tokens than a kernel takes at a time
		"--device cpu --attention-backend fa":                             false,
		"--device tpu --context-length 262144 --chunked-prefill-size 256": false, // such a prefix does not fit fast memory
	} {
		options, _, err := parse(t, environment(), append([]string{"--model", "m"}, strings.Fields(line)...)...).engineOptions(checkpoint.Qwen3_0_6B())
		if err != nil || options.Kernels.Any() != want {
			t.Errorf("%s: kernels %t, %v; want %t", line, options.Kernels.Any(), err, want)
		}
	}
}
