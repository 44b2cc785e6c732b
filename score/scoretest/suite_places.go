package scoretest

import (
	"fmt"

	"scored/score/plan"
)

// cut is the row up to the place that so many tokens follow, where those labels are read.
func cut(r plan.Row, back int, labels []int32) plan.Row {
	r.Tokens, r.Labels, r.Inner = r.Tokens[:len(r.Tokens)-back], labels, nil
	return r
}

// places: a row that is read at several places gives what the row up to each place gives, beside others and on a prefix, with
// more places than the step has rows.
func (s *suite) places() {
	query := s.tokens(9, 17)
	rows := []plan.Row{s.row(0, query, 2, 6), s.row(0, query, 3, 15), s.row(-1, nil, 4, 18), s.row(0, query, 5, 4)}
	rows[0].Inner = []plan.Read{{Back: 5, Labels: []int32{9}}, {Back: 3, Labels: []int32{3, 11}}}
	for back := 14; back > 0; back-- {
		rows[1].Inner = append(rows[1].Inner, plan.Read{Back: back, Labels: s.labelsOf()[:1+back%3]})
	}
	rows[2].Inner = []plan.Read{{Back: 17, Labels: s.labelsOf()}, {Back: 17, Labels: []int32{5}}, {Back: 1}}
	rows[3].Inner, rows[3].Labels = []plan.Read{{Back: 2, Labels: []int32{4}}}, nil
	prefix := plan.Prefix{Slots: slots(0, 17), New: query}
	for _, prefixes := range [][]plan.Prefix{{prefix}, {{Slots: prefix.Slots}}} {
		answers := s.run(&plan.Step{Prefixes: prefixes, Rows: rows})
		for i, row := range rows {
			for _, read := range append(row.Inner, plan.Read{Labels: row.Labels}) {
				got := answers[i][:len(read.Labels)]
				answers[i] = answers[i][len(read.Labels):]
				if len(got) > 0 {
					s.want(fmt.Sprintf("row %d before its last %d", i, read.Back), [][]float32{got}, []plan.Row{cut(row, read.Back, read.Labels)})
				}
			}
			if len(answers[i]) > 0 {
				s.Errorf("row %d has %d numbers too many", i, len(answers[i]))
			}
		}
	}
	s.relativePlaces(rows[2])
}

// relativePlaces: of a relative row, here one that stands alone, the labels of a place differ as they do without it.
func (s *suite) relativePlaces(row plan.Row) {
	for i := range row.Inner {
		row.Inner[i].Labels = s.labelsOf()
	}
	relative := row
	relative.Relative = true
	answers := s.run(&plan.Step{Rows: []plan.Row{row, relative}})
	for at := 0; at < len(answers[0]); at += len(row.Labels) {
		moved := make([]float32, len(row.Labels))
		for k := range moved {
			moved[k] = answers[1][at+k] + answers[0][at] - answers[1][at]
		}
		if want := answers[0][at : at+len(moved)]; !s.Near(moved, want) {
			s.Errorf("place %d of a relative row has %v, the other %v: they differ by more than a constant", at/len(moved), moved, want)
		}
	}
}
