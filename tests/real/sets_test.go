package real

import (
	"math"
	"os"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"scored/model"
	"scored/model/checkpoint"
	"scored/pjrt"
	"scored/pjrt/wheel"
	"scored/score"
	"scored/tokenizer"
)

// labelled is a set of items that people have judged, with the scores of transformers in
// float64. Scores are the share of the first label in the two; Truth says whether the
// first label is right.
type labelled struct {
	Name          string
	Query         string
	Items, Labels []string
	LabelIDs      []int64 `json:"label_ids"`
	Truth         []bool
	Scores        []float64
	Threshold     float64 // their median: half of a set is right
	Accuracy, AUC float64
}

// format bounds the effect of a number format on the scores of the sets. Float32 moves
// scores by less than any two are apart. The bounds of the others are three times the
// figures seen: see docs/performance.md.
type format struct {
	name       string
	tau        float64 // Kendall's tau with the exact scores, at least
	difference float64 // of a score, at most
	judgements float64 // of accuracy and AUC, at most
}

func float32s() format { return format{"float32", 1, rule().Score(0.5), 0} }

func bfloat16Weights() format {
	return format{"bfloat16 weights, float32 products", 0.985, 0.033, 0.025}
}

func bfloat16Products() format { return format{"bfloat16 weights and products", 0.89, 0.085, 0.075} }

func (f format) check(t *testing.T, sets []labelled, scores func(labelled) []float64) {
	t.Logf("| %s | accuracy | exact | AUC | exact | tau | largest difference |", f.name)
	for _, set := range sets {
		got := scores(set)
		worst := 0.0
		for i, want := range set.Scores {
			worst = max(worst, math.Abs(got[i]-want))
		}
		accuracy, auc, tau := set.accuracy(got), set.auc(got), kendall(got, set.Scores)
		t.Logf("| %s | %.4f | %.4f | %.4f | %.4f | %.5f | %.2g |", set.Name, accuracy, set.Accuracy, auc, set.AUC, tau, worst)
		if math.Abs(accuracy-set.Accuracy) > f.judgements || math.Abs(auc-set.AUC) > f.judgements {
			t.Errorf("%s: accuracy %v and AUC %v, transformers has %v and %v", set.Name, accuracy, auc, set.Accuracy, set.AUC)
		}
		if !(tau >= f.tau) || !(worst <= f.difference) {
			t.Errorf("%s: tau %v and difference %v, want at least %v and at most %v", set.Name, tau, worst, f.tau, f.difference)
		}
	}
}

func (s labelled) accuracy(scores []float64) float64 {
	right := 0
	for i, score := range scores {
		if (score > s.Threshold) == s.Truth[i] {
			right++
		}
	}
	return float64(right) / float64(len(scores))
}

// auc is the chance that an item whose first label is right scores above one whose first
// label is wrong.
func (s labelled) auc(scores []float64) float64 {
	above, pairs := 0.0, 0.0
	for i, a := range scores {
		for k, b := range scores {
			if !s.Truth[i] || s.Truth[k] {
				continue
			}
			pairs++
			switch {
			case a > b:
				above++
			case a == b:
				above += 0.5
			}
		}
	}
	return above / pairs
}

// kendall is the share of pairs of items in the same order in both lists, less the share
// of pairs in the other order; ties count as neither.
func kendall(a, b []float64) float64 {
	sum, pairs := 0, 0
	for i := range a {
		for k := range i {
			sum += sign(a[i]-a[k]) * sign(b[i]-b[k])
			pairs++
		}
	}
	return float64(sum) / float64(pairs)
}

func sign(x float64) int {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

// TestRecordedSets: the figures of the sets that record.py has recorded follow from its
// scores.
func TestRecordedSets(t *testing.T) {
	for _, set := range read(t).Sets {
		if accuracy, auc := set.accuracy(set.Scores), set.auc(set.Scores); accuracy != set.Accuracy || math.Abs(auc-set.AUC) > 1e-12 {
			t.Errorf("%s: accuracy %v and AUC %v, recorded are %v and %v", set.Name, accuracy, auc, set.Accuracy, set.AUC)
		}
		reversed := slices.Clone(set.Scores)
		for i := range reversed {
			reversed[i] = -reversed[i]
		}
		if same, other := kendall(set.Scores, set.Scores), kendall(set.Scores, reversed); same != 1 || other != -1 {
			t.Errorf("%s: tau is %v with itself and %v reversed, want 1 and -1", set.Name, same, other)
		}
	}
}

// TestBFloat16Weights runs the binary as on a processor that does not multiply bfloat16.
func TestBFloat16Weights(t *testing.T) {
	t.Setenv("XLA_FLAGS", os.Getenv("XLA_FLAGS")+" --xla_cpu_max_isa=AVX2")
	s := serve(t, "--dtype", "bfloat16")
	bfloat16Weights().check(t, read(t).Sets, s.scores)
}

// TestBFloat16Products multiplies in bfloat16, as accelerators and some processors do. It
// uses the engine without the binary, so that every processor can run it.
func TestBFloat16Products(t *testing.T) {
	scorer := newScorer(t, model.Options{DType: dtypes.BFloat16})
	bfloat16Products().check(t, read(t).Sets, func(set labelled) (scores []float64) {
		request := &score.Request{Query: score.Part{Text: set.Query}, Softmax: true}
		for _, item := range set.Items {
			request.Items = append(request.Items, score.Part{Text: item})
		}
		for _, id := range set.LabelIDs {
			request.Labels = append(request.Labels, score.Label{ID: id})
		}
		result, err := scorer.Score(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range result.Scores {
			scores = append(scores, row[0])
		}
		return scores
	})
}

// newScorer returns the model's Scorer without the binary. It is closed when the test
// ends.
func newScorer(t *testing.T, options model.Options) *score.Scorer {
	t.Helper()
	dir := folder(t)
	cfg, err := checkpoint.LoadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	weights, err := checkpoint.Open(dir, cfg)
	if err != nil {
		t.Fatal(err)
	}
	words, err := tokenizer.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	path, err := wheel.Resolve(t.Context(), "cpu", wheel.Options{Folder: "../../.cache/plugins", Offline: true})
	if err != nil {
		t.Fatalf("%v; run `make setup`", err)
	}
	options.Splicer = model.NewSplicer(cfg)
	plugin, err := pjrt.Open(path, pjrt.Options{CacheDir: "../../.cache/compile", Rewrite: options.Splicer.Rewrite})
	if err != nil {
		t.Fatal(err)
	}
	options.PrefixCacheBytes, options.Buckets = 1<<28, []score.Bucket{
		{Tokens: 256, Rows: 1, Length: 256, Cost: 256},
		{Tokens: 256, Rows: 8, Length: 64, Context: 256, Cost: 256},
	}
	engine, err := model.New(t.Context(), plugin.Backend(), cfg, weights, options)
	if err != nil {
		t.Fatal(err)
	}
	scorer, err := score.New(score.Config{Vocab: cfg.VocabSize, ContextLength: 256}, words, engine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		scorer.Close()
		for _, close := range []func() error{engine.Close, weights.Close, words.Close, plugin.Close} {
			if err := close(); err != nil {
				t.Error(err)
			}
		}
	})
	return scorer
}
