package plan

import "testing"

// TestTailsShareTheirPrompt: the rows of a prompt's tails hang on the prompt, which a
// step computes once, and on what the prompts share before: four tails of four tokens
// cost twenty tokens a prompt, each the prompt's last token and its own.
func TestTailsShareTheirPrompt(t *testing.T) {
	var buckets []Bucket
	for _, context := range []int{0, 512} {
		buckets = append(buckets, Bucket{Tokens: 512, Rows: 64, Length: 512, Context: context, Cost: 1000})
	}
	l := ladder(t, 256, buckets...)
	var tails []Tail
	for i := range int32(4) {
		tail := Tail{Tokens: []int32{900 + i, 910, 920, 930}, Labels: []int32{5}}
		for back := 4; back > 0; back-- {
			tail.Inner = append(tail.Inner, Read{Back: back, Labels: []int32{6}})
		}
		tails = append(tails, tail)
	}
	for name, c := range map[string]struct {
		prompts [][]int32
		want    int
	}{
		"one prompt of 100":                        {sharing(1, 0, 100), 99 + 20},
		"two that share 70 tokens, of 100 and 130": {sharing(1, 70, 30, 60), 70 + 29 + 59 + 2*20},
	} {
		t.Run(name, func(t *testing.T) {
			p := NewPlanner(l, NewTable(8, 0))
			job := l.NewJob(Prompts{Tokens: c.prompts, Tails: tails})
			f := p.Next([]*Job{job})
			if rows := 4 * len(c.prompts); job.Rows != rows || len(f.Step.Rows) != rows || f.Step.Computed() != c.want {
				t.Errorf("%d rows, of which a step has %d and computes %d tokens, want all %d and %d tokens", job.Rows, len(f.Step.Rows), f.Step.Computed(), rows, c.want)
			}
			for i, row := range f.Step.Rows {
				if row.Numbers() != 5 || len(row.Own()) != 5 {
					t.Errorf("row %d computes %d tokens and reads %d numbers, want 5 and 5", i, len(row.Own()), row.Numbers())
				}
			}
		})
	}
}
