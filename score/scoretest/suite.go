package scoretest

import (
	"math"
	"testing"

	"scored/score/plan"
)

// Engine is score.Engine, which this package may not import.
type Engine interface {
	Buckets() []plan.Bucket
	Pages() int
	Run(*plan.Step) (plan.Pending, error)
}

// Options describe the engine to the suite.
type Options struct {
	Vocab int32 // token ids are 0..Vocab-1
	// Near reports whether two rows of numbers are equal but for rounding. Nil means
	// that they must have the same bits.
	Near func(got, want []float32) bool
}

// Run checks an engine against the contract of score.Engine. The engine must have a
// bucket without a context, and one with at least 40 tokens of context. Both must have
// at least 60 tokens, 4 rows and a length of 20. The tests overwrite the KV cache and
// change nothing else.
//
// The suite knows no right numbers. It compares each row of a step with the same prompt
// in a step of its own, without a prefix: no other row and nothing in the cache can
// change that answer. So it holds for any model, and other tests must show that the
// model itself is right.
func Run(t *testing.T, engine Engine, o Options) {
	if o.Near == nil {
		o.Near = func(got, want []float32) bool {
			for i := range want {
				if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
					return false
				}
			}
			return true
		}
	}
	for name, test := range map[string]func(s *suite){
		"a prefix new, kept and grown": (*suite).prefix, "several prefixes in a step": (*suite).several,
		"a prefix that goes on from another of the step":      (*suite).goesOn,
		"slots in any order":                                  (*suite).scattered,
		"slots used again":                                    (*suite).usedAgain,
		"a step queued behind the one that writes its prefix": (*suite).queued,
		"neighbours": (*suite).neighbours, "labels": (*suite).labels,
		"a row read at several places": (*suite).places,
		"a step without rows":          (*suite).noRows,
		"a bad step":                   (*suite).bad,
	} {
		t.Run(name, func(t *testing.T) { test(&suite{T: t, engine: engine, Options: o}) })
	}
}

// suite is one test with the engine under test.
type suite struct {
	*testing.T
	Options
	engine Engine
}

// tokens returns n token ids. Different seeds give different ids. They are the same in
// every run, so that a failure repeats.
func (s *suite) tokens(seed, n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32((seed*7919 + i*i*31 + i*104729) % int(s.Vocab))
	}
	return ids
}

// slots returns n slots of the cache, from the first slot of a page on.
func slots(page, n int) []int32 {
	all := make([]int32, n)
	for i := range all {
		all[i] = int32(page*plan.PageTokens + i)
	}
	return all
}

// bucket returns the cheapest bucket that can run the step, as the planner would choose
// it.
func (s *suite) bucket(step *plan.Step) plan.Bucket {
	s.Helper()
	var best *plan.Bucket
	for _, b := range s.engine.Buckets() {
		with := *step
		with.Bucket = b
		if with.Check(s.engine.Pages()) == nil && (best == nil || b.Cost < best.Cost) {
			best = &b
		}
	}
	if best == nil {
		s.Fatalf("no bucket takes a step of %d tokens", step.Computed())
	}
	return *best
}

// start queues a step in the cheapest bucket.
func (s *suite) start(step *plan.Step) plan.Pending {
	s.Helper()
	step.Bucket = s.bucket(step)
	pending, err := s.engine.Run(step)
	if err != nil {
		s.Fatal(err)
	}
	return pending
}

// end waits for a step and checks that it answers every row.
func (s *suite) end(pending plan.Pending, rows int) [][]float32 {
	s.Helper()
	answers, err := pending.Wait()
	if err != nil || len(answers) != rows {
		s.Fatalf("%d answers of %d rows with error %v", len(answers), rows, err)
	}
	return answers
}

// run runs a step in the cheapest bucket and returns its answers. When it returns, the
// device has nothing left to do.
func (s *suite) run(step *plan.Step) [][]float32 {
	s.Helper()
	return s.end(s.start(step), len(step.Rows))
}

// labelsOf returns the labels that most tests read: a few, among them the last id,
// because an engine may pad its vocabulary.
func (s *suite) labelsOf() []int32 { return []int32{3, s.Vocab - 1, 77 % s.Vocab} }

// row returns a row of query and own more tokens. It reads the query from the prefix
// with this index in the step. A negative prefix means none.
func (s *suite) row(prefix int, query []int32, seed, own int) plan.Row {
	r := plan.Row{Tokens: append(append([]int32{}, query...), s.tokens(seed, own)...),
		Prefix: max(prefix, 0), Labels: s.labelsOf()}
	if prefix >= 0 {
		r.Shared = len(query)
	}
	return r
}

// alone returns the answer of each row in a step of its own, without a prefix.
func (s *suite) alone(rows []plan.Row) (answers [][]float32) {
	s.Helper()
	for _, r := range rows {
		r.Shared, r.Prefix = 0, 0
		answers = append(answers, s.run(&plan.Step{Rows: []plan.Row{r}})[0])
	}
	return answers
}

// want checks that the answers are those that each row gives alone.
func (s *suite) want(what string, got [][]float32, rows []plan.Row) {
	s.Helper()
	for i, want := range s.alone(rows) {
		if !s.Near(got[i], want) {
			s.Errorf("%s: row %d is %v, and %v alone", what, i, got[i], want)
		}
	}
}

// neighbours checks that a row does not depend on the other rows of its step, nor on
// their order. These rows may be another client's.
func (s *suite) neighbours() {
	query := s.tokens(6, 18)
	rows := []plan.Row{s.row(0, query, 2, 5), s.row(0, query, 3, 9), s.row(0, query, 4, 3),
		s.row(-1, nil, 5, 7)}
	prefix := plan.Prefix{Slots: slots(0, 18), New: query}
	s.want("in order", s.run(&plan.Step{Prefixes: []plan.Prefix{prefix}, Rows: rows}), rows)
	rows[0], rows[3] = rows[3], rows[0]
	s.want("in another order", s.run(&plan.Step{Prefixes: []plan.Prefix{prefix}, Rows: rows}), rows)
}

// labels checks more labels than an engine reads in one pass, together and one by one,
// and that a relative row differs by one constant.
func (s *suite) labels() {
	many := make([]int32, 5*plan.LabelsPerRow)
	for i := range many {
		many[i] = int32(i*13) % s.Vocab
	}
	rows := []plan.Row{s.row(-1, nil, 1, 8), s.row(-1, nil, 1, 8)}
	rows[0].Labels, rows[1].Labels, rows[1].Relative = many, many, true
	answers := s.run(&plan.Step{Rows: rows})
	shift := answers[0][0] - answers[1][0]
	relative := make([]float32, len(many))
	for i := range many {
		relative[i] = answers[1][i] + shift
		if v := float64(answers[0][i]); math.IsNaN(v) || v > 1e-3 {
			s.Errorf("label %d has log-probability %v", many[i], v)
		}
	}
	if near := s.Near; !near(relative, answers[0]) {
		s.Errorf("a relative row has %v, the other %v: they differ by more than a constant",
			relative, answers[0])
	}
	for i, label := range many {
		rows[0].Labels = []int32{label}
		if one := s.run(&plan.Step{Rows: rows[:1]})[0]; i%17 == 0 && !s.Near(one, answers[0][i:i+1]) {
			s.Errorf("label %d is %v by itself and %v among others", label, one[0], answers[0][i])
		}
	}
}

// noRows checks a step that only computes a prefix. The planner forms such steps for a
// prefix that is too long for one step.
func (s *suite) noRows() {
	query := s.tokens(7, 15)
	s.run(&plan.Step{Prefixes: []plan.Prefix{{Slots: slots(0, 15), New: query}}})
	rows := []plan.Row{s.row(0, query, 2, 5)}
	s.want("after it", s.run(&plan.Step{Prefixes: []plan.Prefix{{Slots: slots(0, 15)}},
		Rows: rows}), rows)
}

// bad checks that the engine refuses steps that would corrupt rows or the cache, and
// works after each. A planner that forms such a step has a bug; the engine must fail
// the step, because a wrong number looks like any other.
func (s *suite) bad() {
	query := s.tokens(8, 10)
	beyond := int32(s.engine.Pages() * plan.PageTokens)
	good := plan.Step{Prefixes: []plan.Prefix{{Slots: slots(0, 10), New: query}},
		Rows: []plan.Row{s.row(0, query, 2, 5)}}
	good.Bucket = s.bucket(&good)
	for what, spoil := range map[string]func(step *plan.Step){
		"an unknown bucket": func(step *plan.Step) { step.Bucket.Tokens++ },
		"a slot beyond the cache": func(step *plan.Step) {
			step.Prefixes = []plan.Prefix{{Slots: []int32{beyond}, New: query[:1]}}
		},
		"a row without its own token": func(step *plan.Step) {
			step.Rows[0].Shared = len(step.Rows[0].Tokens)
		},
		"a prefix that is not there": func(step *plan.Step) { step.Rows[0].Prefix = 1 },
		"a place in the prefix": func(step *plan.Step) {
			step.Rows[0].Inner = []plan.Read{{Back: 5}}
		},
		"a place behind the row": func(step *plan.Step) {
			step.Rows[0].Inner = []plan.Read{{Back: 0}}
		},
		"too long a context": func(step *plan.Step) {
			step.Prefixes[0].Slots = append([]int32{}, make([]int32, step.Bucket.Context+1)...)
			step.Prefixes[0].New = nil
		},
	} {
		step := good
		step.Prefixes = append([]plan.Prefix{}, good.Prefixes...)
		step.Rows = append([]plan.Row{}, good.Rows...)
		spoil(&step)
		if _, err := s.engine.Run(&step); err == nil {
			s.Errorf("a step with %s runs", what)
		}
		s.want("after a step with "+what, s.run(&good), good.Rows)
	}
}
