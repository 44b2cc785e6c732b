package scoretest

import (
	"fmt"

	"scored/score/plan"
)

// cut returns the row without its last back tokens, read at the labels.
func cut(r plan.Row, back int, labels []int32) plan.Row {
	r.Tokens, r.Labels, r.Inner = r.Tokens[:len(r.Tokens)-back], labels, nil
	return r
}

// places checks that a row that is read at several places answers as rows that end at
// each place do. It does so beside other rows, on a prefix, and with more places than
// the step has rows. Places have different labels, the same labels, or none.
func (s *suite) places() {
	query := s.tokens(9, 17)
	rows := []plan.Row{s.row(0, query, 2, 6), s.row(0, query, 3, 15), s.row(-1, nil, 4, 18),
		s.row(0, query, 5, 4)}
	rows[0].Inner = []plan.Read{{Back: 5, Labels: []int32{9}}, {Back: 3, Labels: []int32{3, 11}}}
	for back := 14; back > 0; back-- {
		rows[1].Inner = append(rows[1].Inner, plan.Read{Back: back, Labels: s.labelsOf()[:1+back%3]})
	}
	rows[2].Inner = []plan.Read{{Back: 17, Labels: s.labelsOf()}, {Back: 17, Labels: []int32{5}},
		{Back: 1}}
	rows[3].Inner, rows[3].Labels = []plan.Read{{Back: 2, Labels: []int32{4}}}, nil
	prefix := plan.Prefix{Slots: slots(0, 17), New: query}
	for _, prefixes := range [][]plan.Prefix{{prefix}, {{Slots: prefix.Slots}}} {
		answers := s.run(&plan.Step{Prefixes: prefixes, Rows: rows})
		for i, row := range rows {
			for _, read := range append(row.Inner, plan.Read{Labels: row.Labels}) {
				got := answers[i][:len(read.Labels)]
				answers[i] = answers[i][len(read.Labels):]
				if len(got) > 0 {
					s.want(fmt.Sprintf("row %d before its last %d", i, read.Back), [][]float32{got},
						[]plan.Row{cut(row, read.Back, read.Labels)})
				}
			}
			if len(answers[i]) > 0 {
				s.Errorf("row %d has %d numbers too many", i, len(answers[i]))
			}
		}
	}
	s.relativePlaces(rows[2])
}

// relativePlaces checks that the labels of each place of a relative row differ from
// each other as they do in a row that is not relative. The row stands alone, without a
// prefix. Each place may have another constant, so the suite compares place by place.
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
			s.Errorf("place %d of a relative row has %v, the other %v: they differ by more than a "+
				"constant", at/len(moved), moved, want)
		}
	}
}
