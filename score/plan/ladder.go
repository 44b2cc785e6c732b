package plan

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Ladder is an engine's buckets, and what they can hold.
type Ladder struct {
	buckets []Bucket // cheapest first
	sizes   []size   // by context, ascending
	tokens  int      // the most a step computes
	rows    int      // the most a step reads, as Row.passes counts them
}

// size is what the buckets of one Bucket.Context can hold.
type size struct {
	context int
	buckets []Bucket
	tokens  int       // the most tokens a step computes
	own     int       // the longest own part of a row
	rate    float64   // the least cost of a token, in a full step, in nanoseconds as all costs here
	cover   []float64 // by tokens: the least cost of steps that have room for so many
}

// coverSteps is for how many of the largest steps size.cover is known.
const coverSteps = 4

// NewLadder checks that the buckets can hold every prompt shorter than contextLength.
func NewLadder(buckets []Bucket, contextLength int) (*Ladder, error) {
	l := &Ladder{buckets: slices.Clone(buckets)}
	slices.SortStableFunc(l.buckets, func(a, b Bucket) int { return cmp.Compare(a.Cost, b.Cost) })
	for _, b := range l.buckets {
		if b.Tokens < 1 || b.Rows < 1 || b.Length < 1 || b.Context < 0 || b.Cost <= 0 {
			return nil, fmt.Errorf("bucket %+v is not a shape: tokens, rows, length and cost must be positive", b)
		}
		i, found := slices.BinarySearchFunc(l.sizes, b.Context, func(s size, context int) int { return s.context - context })
		if !found {
			l.sizes = slices.Insert(l.sizes, i, size{context: b.Context})
		}
		s := &l.sizes[i]
		s.buckets = append(s.buckets, b)
		s.tokens = max(s.tokens, b.Tokens)
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
		return nil, fmt.Errorf("buckets hold prompts of %d tokens, context length is %d; add a bucket with a context of %d or lower the context length",
			max(longest+1, alone), contextLength, contextLength)
	}
	return l, nil
}

// Buckets lists the buckets, the cheapest first.
func (l *Ladder) Buckets() []Bucket { return slices.Clone(l.buckets) }

// Pages is how many pages of the KV cache the longest prompt needs.
func (l *Ladder) Pages() int { return PagesFor(l.sizes[len(l.sizes)-1].context) }

// rateBuckets fills in what follows from the buckets' costs.
func (s *size) rateBuckets() {
	s.rate = math.Inf(1)
	for _, b := range s.buckets {
		s.rate = min(s.rate, float64(b.Cost)/float64(b.Tokens))
	}
	s.cover = make([]float64, coverSteps*s.tokens+1)
	for n := 1; n < len(s.cover); n++ {
		s.cover[n] = math.Inf(1)
		for _, b := range s.buckets {
			s.cover[n] = min(s.cover[n], float64(b.Cost)+s.cover[max(0, n-b.Tokens)])
		}
	}
}

// least is the least that steps can cost that compute n tokens.
func (s *size) least(n int) float64 {
	if n < len(s.cover) {
		return s.cover[n]
	}
	return max(s.cover[len(s.cover)-1], float64(n)*s.rate)
}

// sizeFor is the smallest size whose context holds n tokens, or nil.
func (l *Ladder) sizeFor(n int) *size {
	for i := range l.sizes {
		if l.sizes[i].context >= n {
			return &l.sizes[i]
		}
	}
	return nil
}

// own is the longest own part of a row on a prefix of n tokens.
func (l *Ladder) own(n int) (longest int) {
	for i := range l.sizes {
		if s := &l.sizes[i]; s.context >= n {
			longest = max(longest, s.own)
		}
	}
	return longest
}
