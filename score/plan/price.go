package plan

import (
	"math"
	"time"
)

// load sums up how much of a step some rows need.
type load struct {
	rows, passes int // passes: how many of a bucket's rows they count as, see LabelPasses
	own          int // tokens beyond those shared
	longest      int // most own tokens in one row
}

// add adds more if sign is 1, and subtracts it if sign is -1. longest never decreases:
// it is an upper bound.
func (l *load) add(more load, sign int) {
	l.rows += sign * more.rows
	l.passes += sign * more.passes
	l.own += sign * more.own
	l.longest = max(l.longest, more.longest)
}

// price returns the lowest predicted time for rows on a prefix of shared tokens, all in
// steps of one bucket. missing tokens of the prefix must be computed. round turns a
// fractional number of steps into the number to be paid.
//
// It does not form steps: it divides the rows by how many of them fit into one. So it
// costs the same for one row and for a thousand.
func (l *Ladder) price(need load, shared, missing int, round func(float64) float64) time.Duration {
	least := math.Inf(1)
	for _, b := range l.buckets {
		if b.Context < shared || b.Length < need.longest || b.Tokens < need.longest {
			continue
		}
		steps := b.steps(need) + float64(missing)/float64(b.Tokens)
		keys := float64(shared) * math.Ceil(steps) // every step attends to the whole prefix
		if b.Context > 0 {
			steps = max(steps, float64(shared)/float64(b.Context)) // other prefixes may use the rest
		}
		pairs := float64(need.own*shared) + float64(missing)*(float64(shared)-float64(missing)/2)
		least = min(least, float64(b.Cost)*round(steps)+b.Key*keys+b.Pair*pairs)
	}
	if math.IsInf(least, 1) {
		return 0 // no bucket holds them; NewJob makes no such group
	}
	return time.Duration(least)
}

// steps returns how many steps the rows fill if all have their mean length.
func (b Bucket) steps(need load) float64 {
	long := max(1, (need.own+need.rows-1)/need.rows)
	inOne := max(1, min(b.Tokens/long, b.Rows*need.rows/need.passes))
	return float64(need.rows) / float64(inOne)
}
