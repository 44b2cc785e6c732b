package model

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"scored/model/checkpoint"
	"scored/score/plan"
)

// variants are the ways in which an engine may compute attention. Formula needs buckets
// that kernels take.
func variants() map[string]Options {
	return map[string]Options{
		"plain":   {DType: dtypes.Float32},
		"blocks":  {DType: dtypes.Float32, blocks: scoreBlocks{bytes: 1 << 14, least: 8}},
		"formula": {DType: dtypes.Float32, Formula: true},
	}
}

// lawBuckets are the shapes of the laws' steps: without a context, and with one.
func lawBuckets() (alone, shared plan.Bucket) {
	return plan.Bucket{Tokens: 128, Rows: 8, Length: 64, Cost: 1}, plan.Bucket{Tokens: 128, Rows: 8, Length: 64, Context: 256, Cost: 2}
}

func variantEngine(t *testing.T, options Options) *Engine {
	t.Helper()
	alone, shared := lawBuckets()
	options.Buckets, options.PrefixCacheBytes = []plan.Bucket{alone, shared}, 1<<24
	return optionsEngine(t, pureGo(t), variantConfig(options), options)
}

// variantConfig is a model whose heads the options' variant takes.
func variantConfig(options Options) checkpoint.Config {
	if options.Formula {
		return kernelConfig()
	}
	return smallConfig()
}

func eachVariant(t *testing.T, test func(t *testing.T, engine *Engine)) {
	for name, options := range variants() {
		t.Run(name, func(t *testing.T) { test(t, variantEngine(t, options)) })
	}
}

// prompts all begin with a query. Each has more tokens than the one before.
func prompts(query []int32, n int) (all [][]int32) {
	for i := range n {
		all = append(all, append(slices.Clone(query), testTokens(10+len(query)+i, 3+2*i)...))
	}
	return all
}

// rowsOn are rows of prompts whose first tokens are in a prefix of the step.
func rowsOn(prefix, shared int, prompts [][]int32) (rows []plan.Row) {
	for i, p := range prompts {
		rows = append(rows, plan.Row{Tokens: p, Prefix: prefix, Shared: shared, Labels: labels(), Relative: i == 2})
	}
	return rows
}

// whole scores each prompt in a step of its own, without a prefix.
func whole(t *testing.T, engine *Engine, prompts [][]int32) (answers [][]float32) {
	t.Helper()
	alone, _ := lawBuckets()
	for i := range prompts {
		rows := rowsOn(0, 0, prompts)[i : i+1]
		answers = append(answers, run(t, engine, &plan.Step{Bucket: alone, Rows: rows})...)
	}
	return answers
}

// TestSharedPrefixEqualsWholePrompt: a row on a prefix scores like the same prompt alone,
// within rounding. That holds for a prefix that is new or kept, beside another one or
// grown out of one, and wherever its pages are.
func TestSharedPrefixEqualsWholePrompt(t *testing.T) {
	eachVariant(t, func(t *testing.T, engine *Engine) {
		_, b := lawBuckets()
		query, other := testTokens(1, 20), testTokens(2, 13)
		longer := append(slices.Clone(query), testTokens(3, 11)...)
		on := map[string][][]int32{"query": prompts(query, 3), "other": prompts(other, 2), "longer": prompts(longer, 2)}
		want := map[string][][]float32{}
		for name, p := range on {
			want[name] = whole(t, engine, p)
		}
		at := slices.Concat(slots(120, 8), slots(300, 12)) // from one page into another that is not the next
		prefix := func(slots, new []int32) plan.Prefix { return plan.Prefix{Slots: slots, New: new} }
		closeTo(t, "new", run(t, engine, &plan.Step{Bucket: b, Prefixes: []plan.Prefix{prefix(at, query)}, Rows: rowsOn(0, 20, on["query"])}), want["query"])
		closeTo(t, "kept", run(t, engine, &plan.Step{Bucket: b, Prefixes: []plan.Prefix{prefix(at, nil)}, Rows: rowsOn(0, 20, on["query"])}), want["query"])
		closeTo(t, "a part of what is kept", run(t, engine, &plan.Step{Bucket: b, Prefixes: []plan.Prefix{prefix(at, nil)}, Rows: rowsOn(0, 9, on["query"])}), want["query"])

		two := []plan.Prefix{prefix(at, nil), prefix(slots(17, 13), other)}
		rows := slices.Concat(rowsOn(1, 13, on["other"]), rowsOn(0, 20, on["query"]), rowsOn(0, 0, on["longer"][:1]))
		closeTo(t, "two prefixes and a row alone", run(t, engine, &plan.Step{Bucket: b, Prefixes: two, Rows: rows}),
			slices.Concat(want["other"], want["query"], want["longer"][:1]))

		grown := append(slices.Clone(at), slots(32, 11)...)
		for i := 20; i < len(longer); i += 4 { // over several steps, rows of something else beside it
			n := min(i+4, len(longer))
			step := &plan.Step{Bucket: b, Prefixes: []plan.Prefix{prefix(at, nil), prefix(grown[:n], longer[i:n])}, Rows: rowsOn(0, 20, on["query"])}
			closeTo(t, fmt.Sprint("beside one grown to ", n), run(t, engine, step), want["query"])
		}
		closeTo(t, "grown", run(t, engine, &plan.Step{Bucket: b, Prefixes: []plan.Prefix{prefix(grown, nil)}, Rows: rowsOn(0, 31, on["longer"])}), want["longer"])

		both := []plan.Prefix{prefix(slots(0, 20), query), prefix(slots(0, 31), longer[20:])} // the second goes on from the first
		rows = slices.Concat(rowsOn(0, 20, on["query"]), rowsOn(1, 31, on["longer"]))
		closeTo(t, "new and gone on from", run(t, engine, &plan.Step{Bucket: b, Prefixes: both, Rows: rows}), slices.Concat(want["query"], want["longer"]))
	})
}

// TestVariantsAgree: all variants of attention give the same scores but for rounding.
func TestVariantsAgree(t *testing.T) {
	_, b := lawBuckets()
	var want [][]float32
	alone, _ := lawBuckets()
	for _, name := range []string{"plain", "blocks", "formula"} {
		options := variants()[name]
		options.Buckets = []plan.Bucket{alone, b}
		got := run(t, optionsEngine(t, pureGo(t), kernelConfig(), options), sharedStep(b))
		if want == nil {
			want = got
		}
		closeTo(t, name, got, want)
	}
}

// sharedStep is a step of rows of different lengths on a new prefix.
func sharedStep(b plan.Bucket) *plan.Step {
	query := testTokens(1, 20)
	return &plan.Step{Bucket: b, Prefixes: []plan.Prefix{{Slots: slots(5, 20), New: query}}, Rows: rowsOn(0, 20, prompts(query, 4))}
}

// TestNeighboursLeaveARowAlone: within a bucket a row's numbers are the same to the
// last bit, whatever other tokens are in the step or in the rest of the cache. At
// another place among the rows they are the same but for rounding: the Go backend takes
// the rows of a product in threes, and adds up the rest in another order.
func TestNeighboursLeaveARowAlone(t *testing.T) {
	eachVariant(t, func(t *testing.T, engine *Engine) {
		_, b := lawBuckets()
		together := run(t, engine, sharedStep(b))
		for i := range together {
			step := sharedStep(b)
			for k := range step.Rows {
				if row := &step.Rows[k]; k != i {
					row.Tokens = append(slices.Clone(row.Tokens[:row.Shared]), testTokens(100+k, len(row.Own()))...)
				}
			}
			run(t, engine, &plan.Step{Bucket: b, Prefixes: []plan.Prefix{{Slots: slots(200, 60), New: testTokens(i, 60)}}})
			if beside := run(t, engine, step); !slices.Equal(beside[i], together[i]) {
				t.Errorf("row %d scores %v, and %v beside other tokens", i, together[i], beside[i])
			}
			step.Rows = sharedStep(b).Rows[i : i+1]
			closeTo(t, "alone", run(t, engine, step), together[i:i+1])
		}
	})
}

// TestOrderLeavesRowsAlone: the order of rows, and of prefixes, changes numbers by
// rounding at most.
func TestOrderLeavesRowsAlone(t *testing.T) {
	eachVariant(t, func(t *testing.T, engine *Engine) {
		_, b := lawBuckets()
		query, other := testTokens(1, 20), testTokens(2, 13)
		prefixes := []plan.Prefix{{Slots: slots(0, 20), New: query}, {Slots: slots(64, 13), New: other}}
		rows := append(rowsOn(0, 20, prompts(query, 3)), rowsOn(1, 13, prompts(other, 2))...)
		want := run(t, engine, &plan.Step{Bucket: b, Prefixes: prefixes, Rows: rows})
		slices.Reverse(prefixes)
		slices.Reverse(rows)
		for i := range rows {
			rows[i].Prefix = 1 - rows[i].Prefix
		}
		got := run(t, engine, &plan.Step{Bucket: b, Prefixes: prefixes, Rows: rows})
		slices.Reverse(got)
		closeTo(t, "in another order", got, want)
	})
}

// TestBrokenTokenStaysInItsRow: a token whose activations are NaN or infinite makes the
// rows that attend to it NaN. It changes no other row of the step, no row on the tokens
// before it in the cache, and none that later uses its slots.
func TestBrokenTokenStaysInItsRow(t *testing.T) {
	const bad = 511
	backend := pureGo(t)
	alone, b := lawBuckets()
	for name, options := range variants() {
		cfg := variantConfig(options)
		cfg.TieEmbeddings = false // a tied head would spoil every row
		for _, value := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
			t.Run(fmt.Sprint(name, "/", value), func(t *testing.T) {
				options.Buckets = []plan.Bucket{alone, b}
				engine, err := New(t.Context(), backend, cfg, spoiled{checkpoint.Generate(cfg, 1), bad * cfg.HiddenSize, value}, options)
				if err != nil {
					t.Fatal(err)
				}
				row := func(prefix, shared int, tokens ...int32) plan.Row {
					return plan.Row{Tokens: tokens, Prefix: prefix, Shared: shared, Labels: labels()}
				}
				want := run(t, engine, &plan.Step{Bucket: alone, Rows: []plan.Row{row(0, 0, 5, 6, 7)}})

				beside := run(t, engine, &plan.Step{Bucket: alone, Rows: []plan.Row{row(0, 0, bad, 8), row(0, 0, 5, 6, 7), row(0, 0, 9, bad, 8)}})
				closeTo(t, "beside broken rows", beside[1:2], want)
				broken := []plan.Prefix{{Slots: slots(0, 3), New: []int32{5, 6, bad}}, {Slots: slots(128, 2), New: []int32{5, 6}}}
				hanging := run(t, engine, &plan.Step{Bucket: b, Prefixes: broken, Rows: []plan.Row{row(0, 3, 5, 6, bad, 8), row(0, 2, 5, 6, 7), row(0, 0, 5, 6, 7), row(1, 2, 5, 6, bad), row(1, 2, 5, 6, 7)}})
				closeTo(t, "on the sound part of a prefix, alone beside a broken one, and on another", [][]float32{hanging[1], hanging[2], hanging[4]}, slices.Repeat(want, 3))
				kept := run(t, engine, &plan.Step{Bucket: b, Prefixes: []plan.Prefix{{Slots: slots(0, 3)}}, Rows: []plan.Row{row(0, 2, 5, 6, 7), row(0, 3, 5, 6, bad, 8)}})
				closeTo(t, "on the sound part of a kept prefix", kept[:1], want)
				again := run(t, engine, &plan.Step{Bucket: b, Prefixes: []plan.Prefix{{Slots: slots(1, 2), New: []int32{5, 6}}}, Rows: []plan.Row{row(0, 2, 5, 6, 7)}})
				closeTo(t, "in a broken one's slots", again, want)
				for i, answer := range [][]float32{beside[0], beside[2], hanging[0], hanging[3], kept[1]} {
					if !math.IsNaN(float64(answer[0])) {
						t.Errorf("broken row %d has the scores %v", i, answer)
					}
				}
				if err := engine.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestManyRowsAndLabels: rows with relative and with absolute labels, more rows and more
// labels than one run of an output head takes.
func TestManyRowsAndLabels(t *testing.T) {
	b := plan.Bucket{Tokens: 256, Rows: 80, Length: 8, Cost: 1}
	engine := newTestEngine(t, pureGo(t), smallConfig(), []plan.Bucket{b, {Tokens: 32, Rows: 1, Length: 32, Cost: 1}})
	step := &plan.Step{Bucket: b}
	for i := range 80 {
		row := plan.Row{Tokens: testTokens(i, 1+i%3), Labels: testTokens(i, 1+i%40), Relative: i%3 == 0}
		step.Rows = append(step.Rows, row)
	}
	got := run(t, engine, step)
	for i := range step.Rows {
		want := run(t, engine, &plan.Step{Bucket: engine.Buckets()[1], Rows: step.Rows[i : i+1]})
		closeTo(t, fmt.Sprint("row ", i), got[i:i+1], want)
	}
}

// TestBlocksBoundScores: the scores of a block stay within the bound, unless its tokens
// would be too few.
func TestBlocksBoundScores(t *testing.T) {
	n, err := newNetwork(pureGo(t), checkpoint.Qwen3_0_6B(), Options{DType: dtypes.BFloat16})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ tokens, keys, want int }{
		{2048, 128, 2048}, {2048, 2048, 512}, {1024, 2048, 512}, {256, 40_960, 128}, {1024, 40_960, 128}, {64, 40_960, 64}, {320, 131_072, 160},
	} {
		if got := n.attention.(banded).blockTokens(c.tokens, c.keys); got != c.want {
			t.Errorf("%d tokens attend to %d keys in blocks of %d, want %d", c.tokens, c.keys, got, c.want)
		}
	}
}
