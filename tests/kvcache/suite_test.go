package kvcache

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"scored/model"
	"scored/model/checkpoint"
	"scored/pjrt"
	"scored/score/plan"
	"scored/score/scoretest"
	"scored/tests/rounding"
)

// way is a way to keep the cache, with the bound of a score's difference from the exact
// one.
type way struct {
	options pjrt.Options
	how     model.Options
	rule    rounding.Rule
}

// ways combine dtypes, devices that queue steps or do not, and ways to write the cache.
func ways() map[string]way {
	return map[string]way{
		"float32":                           {pjrt.Options{}, model.Options{DType: dtypes.Float32}, float32s()},
		"queued":                            {pjrt.Options{Async: true}, model.Options{DType: dtypes.Float32}, float32s()},
		"scattered":                         {pjrt.Options{Async: true}, model.Options{DType: dtypes.Float32, Scatter: true}, float32s()},
		"groups of layers, scattered":       {pjrt.Options{Async: true}, model.Options{DType: dtypes.Float32, Scatter: true, Group: 4}, float32s()},
		"bfloat16":                          {pjrt.Options{}, model.Options{DType: dtypes.BFloat16}, shape().BFloat16().Both()},
		"bfloat16, scattered":               {pjrt.Options{}, model.Options{DType: dtypes.BFloat16, Scatter: true}, shape().BFloat16().Both()},
		"bfloat16, scattered and queued":    {pjrt.Options{Async: true}, model.Options{DType: dtypes.BFloat16, Scatter: true}, shape().BFloat16().Both()},
		"bfloat16 weights, float32 numbers": {pjrt.Options{}, model.Options{DType: dtypes.BFloat16, Products: dtypes.Float32}, float32s()},
	}
}

// TestEngineKeepsTheContract holds the engine to the Engine's contract, for each way to
// attend and to write the cache.
func TestEngineKeepsTheContract(t *testing.T) {
	for name, c := range ways() {
		t.Run(name, func(t *testing.T) {
			_, engine := open(t, c.options, c.how)
			keepsTheContract(t, engine, c.rule)
		})
	}
}

func keepsTheContract(t *testing.T, engine scoretest.Engine, rule rounding.Rule) {
	scoretest.Run(t, engine, scoretest.Options{Vocab: int32(config().VocabSize), Near: func(got, want []float32) bool {
		for i := range want {
			if !(math.Abs(float64(got[i]-want[i])) <= rule.Logprob(float64(want[i]))) {
				return false
			}
		}
		return true
	}})
}

// TestTwoDevicesKeepTheContract runs two devices of one plugin at the same time. Each has
// a cache of its own, and both score the same bits.
func TestTwoDevicesKeepTheContract(t *testing.T) {
	for name, async := range map[string]bool{"at once": false, "queued": true} {
		t.Run(name, func(t *testing.T) {
			how := model.Options{DType: dtypes.Float32, Splicer: model.NewSplicer(config()), Buckets: buckets()}
			p, first := open(t, pjrt.Options{Async: async, Client: map[string]any{"cpu_device_count": int64(2)}}, how)
			how.Device = 1
			engines := []*model.Engine{first, engineOn(t, p, how, checkpoint.Generate(config(), 1))}
			t.Run("both", func(t *testing.T) { // returns when both have ended
				for device, engine := range engines {
					t.Run(fmt.Sprint(device), func(t *testing.T) { t.Parallel(); keepsTheContract(t, engine, float32s()) })
				}
			})
			var answers [][][]float32
			for device, engine := range engines {
				query := tokens(7+device, 30) // the same slots as on the other device, with another prefix
				run(t, engine, &plan.Step{Bucket: buckets()[1], Prefixes: []plan.Prefix{{Slots: slots(0, 30), New: query}}})
			}
			for device, engine := range engines {
				query := tokens(7+device, 30)
				kept := &plan.Step{Bucket: buckets()[1], Prefixes: []plan.Prefix{{Slots: slots(0, 30)}}, Rows: []plan.Row{row(0, 30, query, 5)}}
				compare(t, engine, fmt.Sprintf("device %d, kept", device), kept, must(t, engine, kept), float32s())
				answers = append(answers, run(t, engine, &plan.Step{Bucket: buckets()[0], Rows: []plan.Row{row(0, 0, query[:0], 9)}}))
			}
			if !slices.Equal(answers[0][0], answers[1][0]) {
				t.Errorf("the devices score %v and %v", answers[0][0], answers[1][0])
			}
		})
	}
}

func must(t *testing.T, engine *model.Engine, step *plan.Step) plan.Pending {
	t.Helper()
	pending, err := engine.Run(step)
	if err != nil {
		t.Fatal(err)
	}
	return pending
}
