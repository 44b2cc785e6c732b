package laws

import (
	"testing"

	"github.com/gomlx/compute/dtypes"
	"go.uber.org/goleak"

	"scored/model"
	"scored/model/checkpoint"
	"scored/score"
)

// TestCloseLeavesNothing: after Close there are as many executables, buffers and
// goroutines as before New.
func TestCloseLeavesNothing(t *testing.T) {
	plugin := openPlugin(t)
	serve(t, plugin) // makes everything that is made once and kept
	before := plugin.Stats()
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for range 3 {
		serve(t, plugin)
	}
	after := plugin.Stats()
	if after.Executables != before.Executables || after.Buffers != before.Buffers || before.Executables != 0 || before.Buffers != 0 {
		t.Errorf("%d executables and %d buffers are left, %d and %d before; want none", after.Executables, after.Buffers, before.Executables, before.Buffers)
	}
}

// serve starts an engine and a Scorer, sends a request and closes both.
func serve(t *testing.T, plugin device) {
	t.Helper()
	engine, err := model.New(t.Context(), plugin.Backend(), tiny(), checkpoint.Generate(tiny(), 1),
		model.Options{DType: dtypes.Float32, Buckets: shapes(), PrefixCacheBytes: 1 << 20, Splicer: plugin.splicer})
	if err != nil {
		t.Fatal(err)
	}
	scorer, err := score.New(score.Config{Vocab: tiny().VocabSize, ContextLength: 256}, nil, engine)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 10 {
		run(t, scorer, request(tokens(n, 70), among(tokens(7, 20), 40, 2)...))
	}
	scorer.Close()
	if err := engine.Close(); err != nil {
		t.Error(err)
	}
}
