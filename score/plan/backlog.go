package plan

import (
	"math"
	"time"
)

// Backlog predicts how much time of a device the waiting groups will take. It is kept
// up to date as groups come and go. Groups that wait on the same prefix count it once.
// The price assumes steps that are as full as rows like these fill them. It leaves out
// the last step of all, which may be partly empty; Alone counts that step for a request
// by itself.
//
// A group is in at most one Backlog at a time. A Backlog must not be used by several
// goroutines at once.
type Backlog struct {
	ladder *Ladder
	shares map[prefixKey]*share
	cost   time.Duration
}

// NewBacklog returns a Backlog in which nothing waits.
func NewBacklog(l *Ladder) *Backlog { return &Backlog{ladder: l, shares: map[prefixKey]*share{}} }

// Step is the predicted duration of the longest step, without what its context adds. A
// row may be answered so much later than predicted, because rows that came later fill
// its step.
func (b *Backlog) Step() time.Duration { return b.ladder.buckets[len(b.ladder.buckets)-1].Cost }

// Cost is the predicted time that everything in the Backlog takes.
func (b *Backlog) Cost() time.Duration { return b.cost }

// prefixKey identifies a prefix by its hash. If two prefixes have the same key, their
// price is wrong, and nothing else.
type prefixKey struct {
	salt   string
	hash   uint64
	tokens int
}

// share is what waits on one prefix, or a single group without a shared prefix.
type share struct {
	of      *Backlog
	key     prefixKey
	groups  int
	load    load
	missing int // tokens of the prefix that must still be computed
	cost    time.Duration
}

// load is what rows need of a step.
type load struct {
	rows, passes int // passes: how many of a bucket's rows they take
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

// waiting is where a group is counted, and as what load.
type waiting struct {
	in   *share
	load load
}

// load returns what the pending rows need.
func (g *Group) load() load {
	n := g.Pending()
	return load{rows: n, passes: n * g.Rows[len(g.Rows)-1].passes(), own: g.PendingOwn(),
		longest: g.longest - g.Shared}
}

// Waits reports whether another group waits on the same prefix. Its missing tokens are
// counted already then.
func (b *Backlog) Waits(g *Group) bool { return g.Shared > 0 && b.shares[g.prefix] != nil }

// Add counts the group's pending rows. missing is how many tokens of its prefix must
// still be computed. If groups on the same prefix give different numbers, the smallest
// counts.
func (b *Backlog) Add(g *Group, missing int) {
	if g.Pending() == 0 {
		return
	}
	s := &share{of: b, missing: missing}
	if g.Shared > 0 {
		s.key = g.prefix
		if other := b.shares[s.key]; other != nil {
			s = other
		}
		b.shares[s.key] = s
	}
	g.waiting = waiting{in: s, load: g.load()}
	s.groups++
	s.load.add(g.waiting.load, 1)
	s.missing = min(s.missing, missing)
	b.reprice(s)
}

// Update counts the group's rows anew after some of them have been taken. missing is as
// in Add.
func (b *Backlog) Update(g *Group, missing int) {
	g.Uncount()
	b.Add(g, missing)
}

// Take moves a group here from the Backlog that it is in. It does nothing if the group
// is in none.
func (b *Backlog) Take(g *Group) {
	if s := g.waiting.in; s != nil && s.of != b {
		missing := s.missing
		g.Uncount()
		b.Add(g, missing)
	}
}

// TakeAll moves everything that waits in from on the group's prefix here, unless some
// of it is here already.
func (b *Backlog) TakeAll(g *Group, from *Backlog) {
	s := from.shares[g.prefix]
	if g.Shared == 0 || s == nil || b.shares[g.prefix] != nil {
		return
	}
	delete(from.shares, s.key)
	from.cost -= s.cost
	b.shares[s.key] = s
	b.cost += s.cost
	s.of = b
}

// Alone predicts how long the group's pending rows take if nothing else waits, so that
// no other rows fill their last step. missing is as in Add.
func (b *Backlog) Alone(g *Group, missing int) time.Duration {
	return b.ladder.price(g.load(), g.Shared, missing, math.Ceil)
}

// Uncount removes the group from the Backlog that it is in, if any.
func (g *Group) Uncount() {
	s := g.waiting.in
	if s == nil {
		return
	}
	s.load.add(g.waiting.load, -1)
	g.waiting = waiting{}
	if s.groups--; s.groups > 0 {
		s.of.reprice(s)
		return
	}
	s.of.cost -= s.cost
	if s.key.tokens > 0 {
		delete(s.of.shares, s.key)
	}
}

// reprice updates the cost after s has changed.
func (b *Backlog) reprice(s *share) {
	b.cost -= s.cost
	s.cost = b.ladder.price(s.load, s.key.tokens, s.missing,
		func(steps float64) float64 { return steps })
	b.cost += s.cost
}

// price returns the lowest predicted time for rows on a prefix of shared tokens, all in
// steps of one bucket. missing tokens of the prefix must be computed. round turns a
// fractional number of steps into the number to be paid.
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

// hashOf is the 64-bit FNV-1a hash of token ids, one id at a time.
func hashOf(tokens []int32) uint64 {
	h := uint64(14695981039346656037)
	for _, id := range tokens {
		h = (h ^ uint64(uint32(id))) * 1099511628211
	}
	return h
}
