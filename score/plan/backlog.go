package plan

import (
	"math"
	"time"
)

// Backlog is what the groups that wait for a device are predicted to take of its time, kept up to date as groups come and
// go. Groups that wait on the same prefix count it once. The price takes steps for as full as rows like these fill them: it
// leaves out the last step of all, which may not be full, and which Alone has for a request by itself.
//
// A group is in one Backlog at a time.
type Backlog struct {
	ladder *Ladder
	shares map[prefixKey]*share
	cost   time.Duration
}

// NewBacklog makes one in which nothing waits.
func NewBacklog(l *Ladder) *Backlog { return &Backlog{ladder: l, shares: map[prefixKey]*share{}} }

// Step is what the longest step takes, but for what its context adds. So much later than planned may a row be answered, as
// others that came behind it fill its step.
func (b *Backlog) Step() time.Duration { return b.ladder.buckets[len(b.ladder.buckets)-1].Cost }

// Cost is what all of it is predicted to take.
func (b *Backlog) Cost() time.Duration { return b.cost }

// prefixKey stands for a prefix of so many tokens. If two prefixes have the same, their price is wrong and nothing else.
type prefixKey struct {
	salt   string
	hash   uint64
	tokens int
}

// share is what waits on one prefix, or a group that stands alone.
type share struct {
	of      *Backlog
	key     prefixKey
	groups  int
	load    load
	missing int // tokens of the prefix that have still to be computed
	cost    time.Duration
}

// load is what rows need of a step.
type load struct {
	rows, passes int // passes: the room of rows that they take
	own          int // tokens beyond those shared
	longest      int // of them in one row, at most
}

func (l *load) add(more load, sign int) {
	l.rows += sign * more.rows
	l.passes += sign * more.passes
	l.own += sign * more.own
	l.longest = max(l.longest, more.longest)
}

// waiting is where a group is counted, and as what.
type waiting struct {
	in   *share
	load load
}

// load is what the pending rows need.
func (g *Group) load() load {
	n := g.Pending()
	return load{rows: n, passes: n * g.Rows[len(g.Rows)-1].passes(), own: g.PendingOwn(), longest: g.longest - g.Shared}
}

// Waits tells whether another group waits on the same prefix. Then its missing tokens are counted already.
func (b *Backlog) Waits(g *Group) bool { return g.Shared > 0 && b.shares[g.prefix] != nil }

// Add counts the group's pending rows. missing is how many tokens of its prefix have still to be computed; the least that is
// said of a prefix holds for all that wait on it.
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

// Update counts the group's rows anew, after some of them have been taken. missing is as in Add.
func (b *Backlog) Update(g *Group, missing int) {
	g.Uncount()
	b.Add(g, missing)
}

// Take counts a group here that was counted elsewhere.
func (b *Backlog) Take(g *Group) {
	if s := g.waiting.in; s != nil && s.of != b {
		missing := s.missing
		g.Uncount()
		b.Add(g, missing)
	}
}

// TakeAll counts here what waits elsewhere on the same prefix as the group, unless some of that is here already.
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

// Alone is what the group's pending rows are predicted to take if nothing else waits, so that no others fill their last step.
func (b *Backlog) Alone(g *Group, missing int) time.Duration {
	return b.ladder.price(g.load(), g.Shared, missing, math.Ceil)
}

// Uncount takes the group out of the Backlog that it is in, if any.
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

func (b *Backlog) reprice(s *share) {
	b.cost -= s.cost
	s.cost = b.ladder.price(s.load, s.key.tokens, s.missing, func(steps float64) float64 { return steps })
	b.cost += s.cost
}

// price is the least that rows on a prefix cost in steps of one bucket. whole makes a number of steps what is to be paid.
func (l *Ladder) price(need load, shared, missing int, whole func(float64) float64) time.Duration {
	least := math.Inf(1)
	for _, b := range l.buckets {
		if b.Context < shared || b.Length < need.longest || b.Tokens < need.longest {
			continue
		}
		steps := b.steps(need) + float64(missing)/float64(b.Tokens)
		keys := float64(shared) * math.Ceil(steps) // each step attends to the prefix
		if b.Context > 0 {
			steps = max(steps, float64(shared)/float64(b.Context)) // what the prefix leaves is for others
		}
		pairs := float64(need.own*shared) + float64(missing)*(float64(shared)-float64(missing)/2)
		least = min(least, float64(b.Cost)*whole(steps)+b.Key*keys+b.Pair*pairs)
	}
	if math.IsInf(least, 1) {
		return 0 // no bucket holds them, which NewJob sees to
	}
	return time.Duration(least)
}

// steps is how many steps the rows fill, as rows of their mean length.
func (b Bucket) steps(need load) float64 {
	long := max(1, (need.own+need.rows-1)/need.rows)
	inOne := max(1, min(b.Tokens/long, b.Rows*need.rows/need.passes))
	return float64(need.rows) / float64(inOne)
}

// hashOf is FNV-1a over token ids.
func hashOf(tokens []int32) uint64 {
	h := uint64(14695981039346656037)
	for _, id := range tokens {
		h = (h ^ uint64(uint32(id))) * 1099511628211
	}
	return h
}
