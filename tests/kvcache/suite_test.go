package kvcache

import (
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"scored/model"
	"scored/pjrt"
	"scored/score/scoretest"
	"scored/tests/rounding"
)

// way is how an engine keeps its cache, and how far a score may be from the exact one.
type way struct {
	options pjrt.Options
	how     model.Options
	rule    rounding.Rule
}

// ways are the dtypes, the devices that queue and those that do not, and the ways to write the cache.
func ways() map[string]way {
	return map[string]way{
		"float32":                           {pjrt.Options{}, model.Options{DType: dtypes.Float32}, float32s()},
		"queued":                            {pjrt.Options{Async: true}, model.Options{DType: dtypes.Float32}, float32s()},
		"scattered":                         {pjrt.Options{Async: true}, model.Options{DType: dtypes.Float32, Scatter: true}, float32s()},
		"bfloat16":                          {pjrt.Options{}, model.Options{DType: dtypes.BFloat16}, shape().BFloat16().Both()},
		"bfloat16, scattered":               {pjrt.Options{}, model.Options{DType: dtypes.BFloat16, Scatter: true}, shape().BFloat16().Both()},
		"bfloat16, scattered and queued":    {pjrt.Options{Async: true}, model.Options{DType: dtypes.BFloat16, Scatter: true}, shape().BFloat16().Both()},
		"bfloat16 weights, float32 numbers": {pjrt.Options{}, model.Options{DType: dtypes.BFloat16, Products: dtypes.Float32}, float32s()},
	}
}

// TestEngineKeepsTheContract holds the engine to what the Scorer relies on, however it attends and writes its cache.
func TestEngineKeepsTheContract(t *testing.T) {
	for name, c := range ways() {
		t.Run(name, func(t *testing.T) {
			_, engine := open(t, c.options, c.how)
			scoretest.Run(t, engine, scoretest.Options{Vocab: int32(config().VocabSize), Near: func(got, want []float32) bool {
				for i := range want {
					if !(math.Abs(float64(got[i]-want[i])) <= c.rule.Logprob(float64(want[i]))) {
						return false
					}
				}
				return true
			}})
		})
	}
}
