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

// Step is the predicted duration of the longest step, without the time that its context
// adds. A row may be answered so much later than predicted, because rows that came later
// fill its step.
func (b *Backlog) Step() time.Duration { return b.ladder.buckets[len(b.ladder.buckets)-1].Cost }

// Cost is the predicted time that everything in the Backlog takes.
func (b *Backlog) Cost() time.Duration { return b.cost }

// prefixKey identifies a prefix by its hash. Two prefixes with the same key count as
// one. Then their price is too low, and nothing else is wrong.
type prefixKey struct {
	salt   string
	hash   uint64
	tokens int
}

// share holds the groups that wait on one prefix, or a single group without a shared
// prefix.
type share struct {
	of      *Backlog
	key     prefixKey
	groups  int
	load    load
	missing int // tokens of the prefix that must still be computed
	cost    time.Duration
}

// waiting is the share in which a group is counted, and the load it is counted as.
type waiting struct {
	in   *share
	load load
}

// load returns the load of the pending rows.
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

// TakeAll moves every group in from that waits on the prefix of g here. It does nothing
// if a group on that prefix is here already.
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

// hashOf is the 64-bit FNV-1a hash of token ids, one id at a time.
func hashOf(tokens []int32) uint64 {
	h := uint64(14695981039346656037)
	for _, id := range tokens {
		h = (h ^ uint64(uint32(id))) * 1099511628211
	}
	return h
}
