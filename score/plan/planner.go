package plan

import "math"

// Planner forms the steps of one device, one after the other.
type Planner struct {
	ladder *Ladder
	table  *Table
	steps  int64

	candidateRoom []candidate // what forming a step works in, kept from one to the next
	fillRoom      []filling   // by bucket
	fills         []*filling
}

// NewPlanner makes the planner of a device, whose KV cache the table describes.
func NewPlanner(l *Ladder, t *Table) *Planner {
	return &Planner{ladder: l, table: t, fillRoom: make([]filling, len(l.buckets))}
}

// Formed is a step, and what it takes of which groups.
type Formed struct {
	Step   *Step
	Number int64 // of the step, by which Table.Forget knows it
	Lead   int   // the first of the jobs that could be served: it is in the step
	Takes  []Take
}

// Take is the next rows of a group, or a slice of its prefix, going into a step.
type Take struct {
	Job    int // index of the group's job
	Group  *Group
	From   int // the group's row that is the first
	Count  int // rows; 0: the step computes a part of the prefix only
	Shared int // tokens that each of them takes from its prefix
	New    int // tokens of the prefix that the step computes for it
}

// Next forms the next step for jobs in the order in which they are to be served. The first leads: its next rows, or a
// slice of its prefix, are in the step. What others have waiting fills the step in their order. Every job has pending rows.
// Whoever runs the step moves Group.Next on by what it takes. Next gives nil if there are no jobs.
func (p *Planner) Next(jobs []*Job) *Formed {
	if len(jobs) == 0 {
		return nil
	}
	p.table.claimed = false
	if f := p.form(jobs, 0); f != nil {
		return f
	}
	// Others hold the pages that the first job needs. Until they are done nobody gets a new hold, however many come.
	p.table.claimed = true
	for lead := 1; lead < len(jobs) && p.othersHold(jobs[0]); lead++ {
		if f := p.form(jobs, lead); f != nil {
			return f
		}
	}
	// Prefixes in pieces, or those that groups hold, leave no job the pages it needs. The empty cache has room for any.
	p.Reset()
	p.table.claimed = false
	return p.form(jobs, 0)
}

// othersHold tells whether groups hold pages that are not the job's.
func (p *Planner) othersHold(j *Job) bool {
	held := p.table.reserved
	for _, g := range j.Groups {
		held -= p.table.holding(&g.hold)
	}
	return held > 0
}

// Reset drops every prefix and every hold, and tells how many prefixes there were.
func (p *Planner) Reset() int { return p.table.Reset() }

// Forget drops what a step was to compute, and all that goes on from it.
func (p *Planner) Forget(step int64) { p.table.Forget(step) }

// Release ends what the job's groups hold of the cache.
func (p *Planner) Release(j *Job) {
	for _, g := range j.Groups {
		p.table.release(&g.hold)
	}
}

// Match is how many leading tokens of the group's prefix the cache holds.
func (p *Planner) Match(g *Group) int { return p.table.Match(g.Salt, g.want()) }

// StepTokens is the most tokens a step computes. It is fixed, so no lock is needed to read it.
func (p *Planner) StepTokens() int { return p.ladder.tokens }

// form puts together the step that the lead's next rows are in; nil if it has no room for the lead's prefix.
func (p *Planner) form(jobs []*Job, lead int) *Formed {
	p.steps++
	p.table.now = p.steps
	candidates := p.candidates(jobs, lead)
	best := p.choose(candidates)
	if best == nil {
		return nil
	}
	return p.commit(best, candidates, lead)
}

// candidate is a group that may go into the step.
type candidate struct {
	job   int
	group *Group
	want  []int32 // the tokens that its rows share
	kept  int     // how many of them the cache holds
	like  int     // the candidate before it whose prefix begins most like its own, unless the cache holds more; else -1
	liked int     // the tokens that the two share; as many as are kept without one
}

// enough is how many of the largest steps' work is looked at: what waits behind that cannot get into the next step, and
// changes nothing about its shape.
const enough = 4

// candidates are the groups with rows waiting, the lead first and then as the jobs stand.
func (p *Planner) candidates(jobs []*Job, lead int) (all []candidate) {
	first := jobs[lead].Pending()
	all = append(p.candidateRoom[:0], p.candidate(lead, first, nil)) //nolint:gocritic // it is put back below
	defer func() { p.candidateRoom = all }()
	work := all[0].work()
	for i, j := range jobs {
		for _, g := range j.Groups {
			if g == first || g.Pending() == 0 {
				continue
			}
			if work > enough*p.ladder.tokens {
				return all
			}
			c := p.candidate(i, g, all)
			work += c.work()
			all = append(all, c)
		}
	}
	return all
}

func (p *Planner) candidate(job int, g *Group, before []candidate) candidate {
	c := candidate{job: job, group: g, like: -1}
	if g.Shared == 0 {
		return c
	}
	c.want = g.want()
	c.kept = p.table.Match(g.Salt, c.want)
	c.liked = c.kept
	for i := range before {
		other := &before[i]
		if other.group.Salt != g.Salt || len(other.want) < c.liked {
			continue
		}
		if n := Shared(other.want, c.want); n > c.liked || n == len(c.want) {
			c.like, c.liked = i, n
			if n == len(c.want) {
				break
			}
		}
	}
	return c
}

// work counts the tokens that its pending rows, and what they share, have still to be computed.
func (c *candidate) work() int {
	g := c.group
	return len(c.want) - c.liked + g.own(g.Next, len(g.Rows), g.Shared)
}

// choose picks the bucket that brings all the candidates' work to its end at the least cost, and what it takes; nil if no
// bucket can take anything of the lead. The same steps in another order cost the same: then the one that does the most for
// its cost goes first, which answers the most requests early (Smith, 1956, doi:10.1002/nav.3800030106), and what is left
// fills up with what comes meanwhile.
func (p *Planner) choose(candidates []candidate) (best *filling) {
	work, longest, shared := 0, 0, 0
	for i := range candidates {
		c := &candidates[i]
		work += c.work()
		longest = max(longest, c.group.longest-c.group.Shared)
		shared = max(shared, len(c.want))
	}
	fills := p.fillAll(candidates)
	s := p.ladder.sizeFor(shared)
	rate, room := leftoverRate(fills, longest)
	least := math.Inf(1)
	for _, f := range fills {
		cost := f.cost() + s.leftover(max(0, work-f.useful), longest, rate, room)
		same := best != nil && math.Abs(cost-least) <= sameCost*least
		if same && f.rate() < best.rate() || !same && cost < least {
			best, least = f, cost
		}
	}
	return best
}

// sameCost is how far sums of the same costs may be apart: they are added in another order.
const sameCost = 1e-9

// fillAll fills the buckets that can take rows of the lead or, if none can, a slice of its prefix.
func (p *Planner) fillAll(candidates []candidate) []*filling {
	fills, slices := p.fills[:0], 0
	for i, b := range p.ladder.buckets {
		f := &p.fillRoom[i]
		if !f.fill(b, candidates) {
			continue
		}
		fills = append(fills, f)
		if last := len(fills) - 1; f.placed[0].count == 0 {
			fills[slices], fills[last] = fills[last], fills[slices]
			slices++
		}
	}
	p.fills = fills
	if slices < len(fills) {
		return fills[slices:]
	}
	return fills
}

// leftover is what the tokens are expected to cost that are left to later steps: not much less than the cheapest steps that
// have room for them, where a token takes as much room as room says.
func (s *size) leftover(tokens, longest int, rate, room float64) float64 {
	const much = 1.1 // costs are estimates, and others wait less for smaller steps
	cost := float64(tokens) * rate
	if least := s.least(int(math.Ceil(float64(tokens)*room)), longest); least > much*cost {
		return least
	}
	return cost
}

// leftoverRate is what a token is expected to cost that is left to later steps, and how many tokens of a bucket it takes up:
// what it costs now in the best filled of the buckets that hold rows as long as the longest one waiting, or as long as any
// does.
func leftoverRate(fills []*filling, longest int) (rate, room float64) {
	reach := 0
	for _, f := range fills {
		reach = max(reach, f.bucket.Length)
	}
	rate, room = math.Inf(1), 1
	for _, f := range fills {
		if f.bucket.Length < min(longest, reach) {
			continue
		}
		if r := f.rate(); r < rate {
			rate, room = r, float64(f.bucket.Tokens)/float64(f.useful)
		}
	}
	if room < hardlyFuller {
		room = 1
	}
	return rate, room
}

// hardlyFuller is up to where a bucket counts as full: with 2,040 of 2,048 tokens, W3 in steps of other sizes would cost 2 %
// more on an H100.
const hardlyFuller = 1.05
