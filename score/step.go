package score

import (
	"math"
	"slices"
)

// forming is a step being put together on the device goroutine.
type forming struct {
	lead   *job
	step   *Step
	size   *prefixSize
	takes  []take
	number int64 // of the step
	tokens int   // tokens the step computes: new ones of the prefix and the rows' own
}

// take is the next rows of a group, going into a step.
type take struct {
	group  *group
	shared int // tokens each of them takes from the step's prefix
	count  int
}

// form puts the next step together. The first job leads: its next rows decide the prefix. Whatever else hangs on the
// same prefix, or stands alone, fills the step in the order of jobs. When the prefix leaves no room for the lead's next
// row, the step computes as much of the prefix as it can and nothing else.
func (p planner) form(jobs []*job, engine Engine) *forming {
	lead := firstPending(jobs[0])
	f := p.place(lead, engine)
	f.lead = lead.job
	lead.displaced = lead.displaced || f.step.Kept < lead.sliced
	f.step.Bucket, f.takes = f.choose(p.candidates(f, lead, jobs))
	if len(f.takes) == 0 {
		f.slice()
		lead.sliced = len(f.step.Prefix.Tokens)
	}
	f.tokens = f.step.New
	for _, t := range f.takes {
		f.step.Rows = slices.Grow(f.step.Rows, t.count)
		for _, row := range t.group.rows[t.group.next : t.group.next+t.count] {
			row.Shared = t.shared
			f.tokens += len(row.Own())
			f.step.Rows = append(f.step.Rows, row)
		}
	}
	return f
}

func firstPending(j *job) *group {
	for _, g := range j.groups {
		if g.pending() > 0 {
			return g
		}
	}
	return nil
}

// place finds what the lead group hangs on: a prefix on the device as it is, one that goes on from it, or a new one,
// whichever costs least. A prefix in a larger array than the group needs makes its steps dearer, so one in an array of the
// group's own size is looked for as well.
func (p planner) place(lead *group, engine Engine) *forming {
	if lead.shared == 0 {
		return &forming{step: &Step{}, size: p.sizeFor(0)}
	}
	want := lead.rows[lead.next].Tokens[:lead.shared]
	size := p.sizeFor(len(want))
	best := &forming{size: size, step: &Step{Prefix: &Prefix{Tokens: want, Size: size.prefix}, New: len(want)}}
	least := size.least(len(want) + lead.own())
	for _, most := range []int{size.prefix, p.sizes[len(p.sizes)-1].prefix} {
		if best.step.Base != nil && most == size.prefix {
			break // no array is larger
		}
		f, cost := p.goOn(lead, want, engine, most)
		if f != nil && (cost < least || cost == least && best.step.Base == nil) {
			best, least = f, cost
		}
	}
	return best
}

// goOn places the lead group on a prefix on the device in an array of at most this size, and tells what its rows then
// cost; nil if there is none that helps.
func (p planner) goOn(lead *group, want []int32, engine Engine, most int) (*forming, float64) {
	base, n := engine.Match(want, most)
	if base != nil && lead.sliced > 0 && !p.holds(base.Size, lead) {
		base, n = engine.Match(want[:lead.sliced], most) // base cannot go on to all of it; the last slice can, and was used last
	}
	if base == nil {
		return nil, 0
	}
	size, missing := p.sizeFor(base.Size), len(want)-n
	goesOn := p.holds(base.Size, lead)
	// Where few tokens are missing, computing them in every row costs less than another prefix. One that goes on from
	// this costs no more than what is missing.
	few := missing*lead.pending() <= len(want) && (!goesOn || missing*(lead.pending()-1) <= minShared)
	var asItIs, longer *forming
	var cost, longerCost float64
	if few && lead.longest-n <= size.ownTokens {
		asItIs = &forming{size: size, step: &Step{Prefix: base, Base: base, Kept: len(base.Tokens)}}
		cost = size.least(lead.own() + missing*lead.pending())
	}
	if goesOn {
		next := &Prefix{Tokens: want, Size: base.Size}
		longer = &forming{size: size, step: &Step{Prefix: next, Base: base, Kept: n, New: missing}}
		longerCost = size.least(lead.own() + missing)
	}
	if asItIs == nil || longer != nil && longerCost < cost {
		return longer, longerCost
	}
	return asItIs, cost
}

// holds tells whether a prefix of the size can hold what the group's rows share, and its buckets the rest of each.
func (p planner) holds(size int, g *group) bool {
	return g.shared <= size && g.longest-g.shared <= p.sizeFor(size).ownTokens
}

// slice cuts the new part of the prefix to what one step can compute; the next step goes on from there.
func (f *forming) slice() {
	step := f.step
	step.New = min(step.New, f.size.tokens)
	step.Prefix = &Prefix{Tokens: step.Prefix.Tokens[:step.Kept+step.New], Size: step.Prefix.Size}
	step.Bucket = f.size.cheapest(step.New)
}

// cheapest is the cheapest bucket that computes n tokens; the size must have one.
func (s *prefixSize) cheapest(n int) Bucket {
	for _, b := range s.buckets {
		if b.Tokens >= n {
			return b
		}
	}
	return s.buckets[len(s.buckets)-1]
}

// candidates are the groups that can run in the step, the lead first, with what they would take from its prefix.
func (p planner) candidates(f *forming, lead *group, jobs []*job) []take {
	candidates := []take{f.candidate(lead)}
	for _, j := range jobs {
		for _, g := range j.groups {
			if g == lead || g.pending() == 0 {
				continue
			}
			if c := f.candidate(g); !p.belongsElsewhere(f, c) {
				candidates = append(candidates, c)
			}
		}
	}
	return candidates
}

// candidate offers a group's pending rows, with what they share with the step's prefix.
func (f *forming) candidate(g *group) take {
	c := take{group: g, count: g.pending()}
	if f.step.Prefix != nil {
		c.shared = sharedTokens(f.step.Prefix.Tokens, g.rows[g.next].Tokens[:g.shared])
	}
	return c
}

// belongsElsewhere tells whether rows cost less in steps of their own, on a prefix of their own, than here, where each
// computes what it does not share.
func (p planner) belongsElsewhere(f *forming, c take) bool {
	g := c.group
	missing := g.shared - c.shared
	if missing*c.count <= g.shared {
		return false
	}
	own := g.own()
	return f.size.rate*float64(own+missing*c.count) > p.sizeFor(g.shared).least(g.shared+own)
}

// choose picks the bucket that brings all the candidates' work to its end at the least cost, and the rows it takes.
func (f *forming) choose(candidates []take) (best Bucket, chosen []take) {
	work, longest := f.step.New, 0
	for _, c := range candidates {
		for _, row := range c.group.rows[c.group.next:] {
			own := len(row.Tokens) - c.shared
			work += own
			longest = max(longest, own)
		}
	}
	fills := make([]filled, 0, len(f.size.buckets))
	for _, b := range f.size.buckets {
		takes, tokens := f.fill(b, candidates)
		if len(takes) > 0 && takes[0].group == candidates[0].group { // the lead's next row must make progress
			fills = append(fills, filled{b, takes, tokens})
		}
	}
	rate, room := leftoverRate(fills, longest)
	least := math.Inf(1)
	for _, one := range fills {
		if cost := float64(one.bucket.Cost) + f.leftover(work-one.tokens, rate, room); cost < least {
			best, chosen, least = one.bucket, one.takes, cost
		}
	}
	return best, chosen
}

// leftover is what the tokens are expected to cost that are left to later steps: not much less than the cheapest steps that
// have room for them, where a token takes as much room as rate says.
func (f *forming) leftover(tokens int, rate, room float64) float64 {
	const much = 1.1 // costs are estimates, and others wait less for smaller steps
	cost := float64(tokens) * rate
	if least := f.size.least(int(math.Ceil(float64(tokens) * room))); least > much*cost {
		return least
	}
	return cost
}

// leftoverRate is what a token is expected to cost that is left to later steps, and how many tokens of a bucket it takes up:
// what it costs now in the best filled of the buckets that hold rows as long as the longest one waiting, or as long as any
// does.
func leftoverRate(fills []filled, longest int) (rate, room float64) {
	reach := 0
	for _, one := range fills {
		reach = max(reach, one.bucket.Length)
	}
	rate, room = math.Inf(1), 1
	for _, one := range fills {
		if one.bucket.Length < min(longest, reach) {
			continue
		}
		if r := float64(one.bucket.Cost) / float64(one.tokens); r < rate {
			rate, room = r, float64(one.bucket.Tokens)/float64(one.tokens)
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

// filled is a bucket with the rows that a step could take in it, and the tokens it would compute.
type filled struct {
	bucket Bucket
	takes  []take
	tokens int
}

// fill takes rows in order until the bucket is full, and counts the tokens the step would compute. A row of many labels
// takes the room of several rows, so that reading labels keeps no step much longer than its shape does; alone it always
// has room.
func (f *forming) fill(b Bucket, candidates []take) (takes []take, tokens int) {
	tokens = f.step.New
	rows := 0
	for _, c := range candidates {
		n := 0
		for _, row := range c.group.rows[c.group.next : c.group.next+c.count] {
			own, passes := len(row.Tokens)-c.shared, labelPasses(len(row.Labels))
			if own > b.Length || tokens+own > b.Tokens || rows > 0 && rows+passes > b.Rows {
				break
			}
			tokens += own
			rows += passes
			n++
		}
		if n > 0 {
			takes = append(takes, take{c.group, c.shared, n})
		}
	}
	return takes, tokens
}
