package plan

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Ladder holds the buckets of an engine, and figures that follow from them and that
// planning asks for again and again. It never changes.
type Ladder struct {
	buckets []Bucket // cheapest first
	sizes   []size   // by context, ascending
	tokens  int      // most tokens that a step computes
	rows    int      // most places that a step reads, as Row.passes counts them
}

// size sums up the buckets of one Bucket.Context. Costs are in nanoseconds.
type size struct {
	context int
	buckets []Bucket
	tokens  int     // most tokens that a step computes
	unit    int     // every bucket's Tokens is a multiple of it
	own     int     // longest own part of a row
	rate    float64 // lowest cost of a token, in a full step
	covers  []cover // by the length of rows, ascending
}

// cover holds the lowest cost of steps that together have room for a number of tokens,
// in rows of up to length tokens.
type cover struct {
	length int
	costs  []float64 // index i: room for i units of tokens
}

// coverSteps is for how many of the largest steps cover.costs is computed.
const coverSteps = 4

// NewLadder returns the ladder of the buckets. It returns an error if a bucket is no
// valid shape, or if the buckets cannot hold every prompt shorter than contextLength
// tokens.
func NewLadder(buckets []Bucket, contextLength int) (*Ladder, error) {
	l := &Ladder{buckets: slices.Clone(buckets)}
	slices.SortStableFunc(l.buckets, func(a, b Bucket) int { return cmp.Compare(a.Cost, b.Cost) })
	for _, b := range l.buckets {
		if b.Tokens < 1 || b.Rows < 1 || b.Length < 1 || b.Context < 0 || b.Cost <= 0 {
			return nil, fmt.Errorf("bucket %+v is not a shape: tokens, rows, length and cost must "+
				"be positive", b)
		}
		i, found := slices.BinarySearchFunc(l.sizes, b.Context,
			func(s size, context int) int { return s.context - context })
		if !found {
			l.sizes = slices.Insert(l.sizes, i, size{context: b.Context})
		}
		s := &l.sizes[i]
		s.buckets = append(s.buckets, b)
		s.tokens, s.unit = max(s.tokens, b.Tokens), gcd(s.unit, b.Tokens)
		s.own = max(s.own, min(b.Length, b.Tokens))
		l.tokens = max(l.tokens, b.Tokens)
		l.rows = max(l.rows, b.Rows)
	}
	if len(l.sizes) == 0 {
		return nil, errors.New("no bucket given")
	}
	for i := range l.sizes {
		l.sizes[i].rateBuckets()
	}
	alone, longest := l.own(0), l.sizes[len(l.sizes)-1].context
	if longest+1 < contextLength && alone < contextLength {
		return nil, fmt.Errorf("buckets hold prompts of %d tokens, context length is %d; add a "+
			"bucket with a context of %d or lower the context length",
			max(longest+1, alone), contextLength, contextLength)
	}
	return l, nil
}

// Buckets returns a copy of the buckets, the cheapest first.
func (l *Ladder) Buckets() []Bucket { return slices.Clone(l.buckets) }

// StepTokens returns the most tokens that a step computes.
func (l *Ladder) StepTokens() int { return l.tokens }

// Pages returns how many pages of the KV cache the longest prompt needs.
func (l *Ladder) Pages() int { return PagesFor(l.sizes[len(l.sizes)-1].context) }

// gcd is the greatest common divisor. gcd(0, b) is b.
func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// rateBuckets computes rate and covers from the buckets' costs.
func (s *size) rateBuckets() {
	s.rate = math.Inf(1)
	for _, b := range s.buckets {
		s.rate = min(s.rate, float64(b.Cost)/float64(b.Tokens))
	}
	for _, b := range s.buckets {
		i, found := slices.BinarySearchFunc(s.covers, b.Length,
			func(c cover, length int) int { return c.length - length })
		if !found {
			s.covers = slices.Insert(s.covers, i, cover{length: b.Length})
		}
	}
	for i := range s.covers {
		s.covers[i].fill(s)
	}
}

// fill computes the costs by dynamic programming over the number of units.
func (c *cover) fill(s *size) {
	c.costs = make([]float64, coverSteps*s.tokens/s.unit+1)
	for n := 1; n < len(c.costs); n++ {
		c.costs[n] = math.Inf(1)
		for _, b := range s.buckets {
			if b.Length >= c.length {
				c.costs[n] = min(c.costs[n], float64(b.Cost)+c.costs[max(0, n-b.Tokens/s.unit)])
			}
		}
	}
}

// least returns the lowest cost of steps that compute n tokens in rows of up to length
// tokens. A length beyond every bucket's counts as the longest there is.
func (s *size) least(n, length int) float64 {
	i := 0
	for i < len(s.covers)-1 && s.covers[i].length < length {
		i++
	}
	costs := s.covers[i].costs
	if units := (n + s.unit - 1) / s.unit; units < len(costs) {
		return costs[units]
	}
	return max(costs[len(costs)-1], float64(n)*s.rate)
}

// sizeFor returns the smallest size whose context holds n tokens, or nil.
func (l *Ladder) sizeFor(n int) *size {
	for i := range l.sizes {
		if l.sizes[i].context >= n {
			return &l.sizes[i]
		}
	}
	return nil
}

// own returns the longest own part that a row on a prefix of n tokens may have.
func (l *Ladder) own(n int) (longest int) {
	for i := range l.sizes {
		if s := &l.sizes[i]; s.context >= n {
			longest = max(longest, s.own)
		}
	}
	return longest
}
