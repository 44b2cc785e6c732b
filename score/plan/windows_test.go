package plan

import (
	"math/rand/v2"
	"testing"
)

// TestWindows: whatever is read of a prompt, its rows together read each place once, in
// order, behind the tokens up to it, and each can run: it has no more own tokens than a
// bucket takes, and reads no more than a step does.
func TestWindows(t *testing.T) {
	l := ladder(t, 300, Bucket{Tokens: 64, Rows: 6, Length: 40, Context: 64, Cost: 1}, Bucket{Tokens: 32, Rows: 3, Length: 24, Context: 320, Cost: 1})
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 2))
		prompts := sharing(int32(seed), 1+random.IntN(200), 1+random.IntN(90), 1+random.IntN(90))
		p := Prompts{Tokens: prompts, Labels: make([]int32, 1+random.IntN(40)), Inner: make([][]Read, len(prompts))}
		for i, tokens := range prompts {
			apart := 1 + random.IntN(40)
			for back := random.IntN(len(tokens)); back > 0; back -= 1 + random.IntN(apart) {
				p.Inner[i] = append(p.Inner[i], Read{Back: back, Labels: make([]int32, 1+random.IntN(2)*random.IntN(40))})
			}
		}
		job := l.NewJob(p)
		next, read := make([]int, len(prompts)), make([]int, len(prompts)) // by item: numbers and places so far
		for _, g := range job.Groups {
			for k := range g.Rows {
				row, item, first := &g.Rows[k], g.Items[k], 0
				if g.Firsts != nil {
					first = g.Firsts[k]
				}
				if first != next[item] {
					t.Fatalf("seed %d: a row's numbers begin at %d, those before it end at %d", seed, first, next[item])
				}
				next[item] += row.Numbers()
				if own := len(row.Tokens) - g.Shared; own < 1 || own > l.own(g.Shared) || g.Shared > row.first() {
					t.Errorf("seed %d: a row of %d tokens whose first place is %d shares %d", seed, len(row.Tokens), row.first(), g.Shared)
				}
				if len(row.Inner) > 0 && row.passes() > l.rows {
					t.Errorf("seed %d: a row reads what takes the room of %d rows, a step has %d", seed, row.passes(), l.rows)
				}
				for _, at := range append(append([]Read{}, row.Inner...), Read{Labels: row.Labels}) {
					want := append(append([]Read{}, p.Inner[item]...), Read{Labels: p.Labels})[read[item]]
					if place := len(row.Tokens) - at.Back; place != len(prompts[item])-want.Back || len(at.Labels) != len(want.Labels) {
						t.Fatalf("seed %d: place %d of item %d is read behind %d tokens", seed, read[item], item, place)
					}
					read[item]++
				}
			}
		}
		for i := range prompts {
			if read[i] != len(p.Inner[i])+1 {
				t.Errorf("seed %d: %d places of item %d are read, want %d", seed, read[i], i, len(p.Inner[i])+1)
			}
		}
	}
}
