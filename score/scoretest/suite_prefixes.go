package scoretest

import "scored/score/plan"

// prefix checks a prefix that a step computes, one that is read from the cache, and one
// that a second step continues. Rows may read only a part of it: a row of 17 tokens of
// the prefix must not attend to the other 13.
func (s *suite) prefix() {
	query := s.tokens(1, 30)
	rows := []plan.Row{s.row(0, query, 2, 5), s.row(0, query[:17], 3, 9), s.row(-1, query[:4], 4, 6)}
	whole := plan.Prefix{Slots: slots(0, 30), New: query}
	s.want("new", s.run(&plan.Step{Prefixes: []plan.Prefix{whole}, Rows: rows}), rows)
	kept := plan.Prefix{Slots: whole.Slots}
	s.want("kept", s.run(&plan.Step{Prefixes: []plan.Prefix{kept}, Rows: rows}), rows)

	first, rest := plan.Prefix{Slots: whole.Slots[:11], New: query[:11]},
		plan.Prefix{Slots: whole.Slots, New: query[11:]}
	s.run(&plan.Step{Prefixes: []plan.Prefix{first}})
	s.want("grown", s.run(&plan.Step{Prefixes: []plan.Prefix{rest}, Rows: rows}), rows)
}

// several checks two prefixes in one step, both new and one cached. One begins in the
// middle of a page, as prefixes do that continue another one. Rows are in another order
// than their prefixes.
func (s *suite) several() {
	one, other := s.tokens(1, 13), s.tokens(2, 20)
	prefixes := []plan.Prefix{{Slots: slots(0, 13), New: one},
		{Slots: slots(0, 40)[13:33], New: other}}
	rows := []plan.Row{s.row(1, other, 5, 4), s.row(0, one, 6, 7), s.row(-1, nil, 7, 5),
		s.row(1, other[:6], 8, 3)}
	s.want("both new", s.run(&plan.Step{Prefixes: prefixes, Rows: rows}), rows)
	prefixes[0].New = nil
	s.want("one kept", s.run(&plan.Step{Prefixes: prefixes, Rows: rows}), rows)
}

// goesOn checks a prefix that continues another one of the same step, whose slots it
// shares. The engine must compute the first before the second reads it, in every layer.
func (s *suite) goesOn() {
	query := s.tokens(3, 20)
	prefixes := []plan.Prefix{{Slots: slots(0, 12), New: query[:12]},
		{Slots: slots(0, 20), New: query[12:]}}
	rows := []plan.Row{s.row(0, query[:12], 4, 6), s.row(1, query, 5, 6)}
	s.want("both new", s.run(&plan.Step{Prefixes: prefixes, Rows: rows}), rows)
}

// scattered checks a prefix whose slots are in no order. A long prefix has the pages
// that were free, and these may lie anywhere in the cache.
func (s *suite) scattered() {
	query := s.tokens(4, 25)
	all := slots(0, 128)
	at := make([]int32, len(query))
	for i := range at {
		at[i] = all[(i*53+7)%len(all)]
	}
	rows := []plan.Row{s.row(0, query, 5, 5), s.row(0, query[:9], 6, 5)}
	s.want("new", s.run(&plan.Step{Prefixes: []plan.Prefix{{Slots: at, New: query}}, Rows: rows}),
		rows)
	s.want("kept", s.run(&plan.Step{Prefixes: []plan.Prefix{{Slots: at}}, Rows: rows}), rows)
}

// usedAgain checks that slots can be overwritten by another prefix. The planner hands
// out the slots of a prefix again when it drops the prefix, and nobody clears them.
func (s *suite) usedAgain() {
	for seed := range 3 {
		query := s.tokens(10+seed, 20+seed)
		rows := []plan.Row{s.row(0, query, 5, 5)}
		s.want("new", s.run(&plan.Step{Prefixes: []plan.Prefix{{Slots: slots(0, len(query)),
			New: query}}, Rows: rows}), rows)
		s.want("kept", s.run(&plan.Step{Prefixes: []plan.Prefix{{Slots: slots(0, len(query))}},
			Rows: rows}), rows)
	}
}

// queued checks a step that reads a prefix which the step queued before it writes. Both
// are on the device before the first one is waited for, as in the Scorer.
func (s *suite) queued() {
	query := s.tokens(5, 22)
	rows := []plan.Row{s.row(0, query, 6, 5), s.row(0, query, 7, 9)}
	first := s.start(&plan.Step{Prefixes: []plan.Prefix{{Slots: slots(0, 22), New: query}},
		Rows: rows[:1]})
	second := s.start(&plan.Step{Prefixes: []plan.Prefix{{Slots: slots(0, 22)}}, Rows: rows[1:]})
	answers := append(s.end(first, 1), s.end(second, 1)...)
	s.want("in two steps", answers, rows)
}
