package plan

import "math"

// Planner forms the steps of one device, one after the other. It must not be used by
// several goroutines at once.
type Planner struct {
	ladder *Ladder
	table  *Table
	steps  int64

	candidateRoom []candidate // memory for forming a step, reused by the next
	fillRoom      []filling   // by bucket
	fills         []*filling
}

// NewPlanner returns the planner of a device whose KV cache t describes. The Planner
// owns t.
func NewPlanner(l *Ladder, t *Table) *Planner {
	return &Planner{ladder: l, table: t, fillRoom: make([]filling, len(l.buckets))}
}

// Formed is a step, and the rows of each group that it takes.
type Formed struct {
	Step  *Step
	ID    int64 // of the step, for Forget
	Lead  int   // index of the job that leads the step: its rows are in it
	Takes []Take
}

// Take is the next rows of a group, or a slice of its prefix, that go into a step.
type Take struct {
	Job    int // index of the group's job
	Group  *Group
	From   int // index of the first row in the group
	Count  int // number of rows; 0: the step computes only a part of the prefix
	Shared int // tokens that each row reads from the prefix
	New    int // tokens of the prefix that the step computes for these rows
}

// Next forms the next step for jobs, which are in the order in which they are to be
// served. The first job leads: its next rows, or a slice of its prefix, are in the
// step. Where groups of other jobs hold the pages that it needs, the first job that can
// leads: see Formed.Lead. Rows of other jobs fill the step in order. Every job must
// have pending rows. The caller must add each Take's Count to its Group.Next before the
// next call. Next returns nil if there are no jobs.
func (p *Planner) Next(jobs []*Job) *Formed {
	if len(jobs) == 0 {
		return nil
	}
	p.table.claimed = false
	if f := p.form(jobs, 0); f != nil {
		return f
	}
	// Other groups hold the pages that the first job needs. Until they are done no
	// group gets a new hold, however many jobs come.
	p.table.claimed = true
	for lead := 1; lead < len(jobs) && p.othersHold(jobs[0]); lead++ {
		if f := p.form(jobs, lead); f != nil {
			return f
		}
	}
	// Prefixes in pieces, or held by groups, leave no job the pages it needs. An empty
	// cache has room for any job.
	p.Reset()
	p.table.claimed = false
	return p.form(jobs, 0)
}

// othersHold reports whether groups of other jobs hold pages.
func (p *Planner) othersHold(j *Job) bool {
	held := p.table.reserved
	for _, g := range j.Groups {
		held -= p.table.holding(&g.hold)
	}
	return held > 0
}

// Reset drops every prefix and every hold, and returns how many prefixes there were.
func (p *Planner) Reset() int { return p.table.Reset() }

// Forget drops the tokens that a step was to compute, and all prefixes that continue
// them.
func (p *Planner) Forget(step int64) { p.table.Forget(step) }

// Release ends the holds of the job's groups.
func (p *Planner) Release(j *Job) {
	for _, g := range j.Groups {
		p.table.release(&g.hold)
	}
}

// Match returns how many leading tokens of the group's prefix the cache holds.
func (p *Planner) Match(g *Group) int { return p.table.Match(g.Salt, g.sharedPrefix()) }

// form forms the step that jobs[lead] leads. It returns nil if the cache has no room
// for the lead's prefix.
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
	job     int
	group   *Group
	prefix  []int32 // the tokens that its rows share
	kept    int     // how many of them the cache holds
	similar int     // earlier candidate with the longest common prefix, if that exceeds kept; else -1
	common  int     // length of that common prefix in tokens; kept if there is none
}

// maxWork bounds the candidates to the work of so many of the largest steps. Groups
// behind these cannot get into the next step, and do not influence its shape.
const maxWork = 4

// candidates returns the groups with pending rows, first the lead and then the others
// in the order of jobs.
func (p *Planner) candidates(jobs []*Job, lead int) (all []candidate) {
	first := jobs[lead].Pending()
	//nolint:gocritic // all is put back below
	all = append(p.candidateRoom[:0], p.candidate(lead, first, nil))
	defer func() { p.candidateRoom = all }()
	work := all[0].work()
	for i, j := range jobs {
		for _, g := range j.Groups {
			if g == first || g.Pending() == 0 {
				continue
			}
			if work > maxWork*p.ladder.tokens {
				return all
			}
			c := p.candidate(i, g, all)
			work += c.work()
			all = append(all, c)
		}
	}
	return all
}

// candidate looks up how much of the group's prefix is cached, or shared with the
// candidates before.
func (p *Planner) candidate(job int, g *Group, before []candidate) candidate {
	c := candidate{job: job, group: g, similar: -1}
	if g.Shared == 0 {
		return c
	}
	c.prefix = g.sharedPrefix()
	c.kept = p.table.Match(g.Salt, c.prefix)
	c.common = c.kept
	for i := range before {
		other := &before[i]
		if other.group.Salt != g.Salt || len(other.prefix) < c.common {
			continue
		}
		if n := Shared(other.prefix, c.prefix); n > c.common || n == len(c.prefix) {
			c.similar, c.common = i, n
			if n == len(c.prefix) {
				break
			}
		}
	}
	return c
}

// work returns how many tokens of the pending rows, and of their shared prefix, must
// still be computed.
func (c *candidate) work() int {
	g := c.group
	return len(c.prefix) - c.common + g.own(g.Next, len(g.Rows), g.Shared)
}

// choose returns the bucket, filled, with the lowest cost for this step plus an
// estimate for the rows that it leaves waiting; nil if no bucket can take anything of
// the lead.
//
// Different orders of the same steps cost the same. Of these the step with the most
// useful tokens for its cost comes first: it answers the most requests early (Smith,
// 1956, doi:10.1002/nav.3800030106), and the steps left for later can still be filled
// by new requests.
func (p *Planner) choose(candidates []candidate) (best *filling) {
	work, longest, shared := 0, 0, 0
	for i := range candidates {
		c := &candidates[i]
		work += c.work()
		longest = max(longest, c.group.longest-c.group.Shared)
		shared = max(shared, len(c.prefix))
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

// sameCost is the relative difference up to which two sums of costs count as equal.
// They are added in different orders.
const sameCost = 1e-9

// fillAll fills every bucket that can take rows of the lead. If none can, it returns
// those that can take a slice of its prefix.
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

// leftover estimates the cost of tokens that later steps must compute: rate for each,
// or, if that is much lower than the cheapest steps with room for them, the cost of
// these steps. A token takes room tokens of a bucket.
func (s *size) leftover(tokens, longest int, rate, room float64) float64 {
	const margin = 1.1 // costs are estimates, and other requests wait less for smaller steps
	cost := float64(tokens) * rate
	if least := s.least(int(math.Ceil(float64(tokens)*room)), longest); least > margin*cost {
		return least
	}
	return cost
}

// leftoverRate estimates the cost of a token that is left to later steps, and how many
// tokens of a bucket it will take up. It assumes that later steps are filled like
// the best filled bucket now, among the buckets whose rows are as long as the longest
// one waiting, or as long as any bucket's.
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
	if room < nearlyFull {
		room = 1
	}
	return rate, room
}

// nearlyFull is the ratio of a bucket's tokens to those used, up to which it counts as
// full. If 2,040 of 2,048 tokens did not count as full, workload W3, in steps of other
// sizes, would cost 2 % more on an H100.
const nearlyFull = 1.05
