package plan

// commit gives the chosen rows their places in the cache. What turns out to have no room there is left to a later step;
// nil if the lead has none.
func (p *Planner) commit(f *filling, candidates []candidate, lead int) *Formed {
	formed := &Formed{Step: &Step{Bucket: f.bucket}, Number: p.steps, Lead: lead}
	at := make([]int, len(f.placed)) // by placement: its prefix in the step, -1 if it was left out
	for n := range f.placed {
		placed := &f.placed[n]
		c := &candidates[placed.candidate]
		at[n] = -1
		switch {
		case placed.shared == 0:
			at[n] = 0
		case placed.with != n:
			at[n] = at[placed.with]
		default:
			at[n], placed.fresh = p.prefix(formed.Step, c, placed)
		}
		if at[n] >= 0 {
			formed.take(c, placed, at[n])
		} else if n == 0 {
			return nil
		}
	}
	p.keepForLater(formed)
	return formed
}

// prefix puts a candidate's prefix into the table and the step, and gives its place there and how many of its tokens
// the step computes. The place is -1 if it has no room or needs more tokens than planned, as some of it was dropped since.
func (p *Planner) prefix(step *Step, c *candidate, placed *placement) (at, fresh int) {
	want := c.want[:placed.shared]
	if len(want)-p.table.Match(c.group.Salt, want) > placed.fresh {
		return -1, 0
	}
	held := p.table.holding(&c.group.hold) > 0
	if placed.shared < len(c.want) && placed.fresh > 0 && !p.table.hold(c.group.Salt, c.want, &c.group.hold) {
		return -1, 0 // a slice is of no use if it is dropped before the next
	}
	slots, missing := p.table.put(c.group.Salt, want)
	if slots == nil {
		if !held {
			p.table.release(&c.group.hold) // its job may not be in the step, and go to another device
		}
		return -1, 0
	}
	step.Prefixes = append(step.Prefixes, Prefix{Slots: slots, New: want[len(want)-missing:]})
	return len(step.Prefixes) - 1, missing
}

// take puts a placement's rows into the step.
func (f *Formed) take(c *candidate, placed *placement, prefix int) {
	g := c.group
	for _, row := range g.Rows[g.Next : g.Next+placed.count] {
		row.Prefix, row.Shared = prefix, placed.shared
		f.Step.Rows = append(f.Step.Rows, row)
	}
	f.Takes = append(f.Takes, Take{Job: c.job, Group: g, From: g.Next, Count: placed.count, Shared: placed.shared, New: placed.fresh})
}

// keepForLater holds the prefixes of groups that have rows left, as far as there is room, and lets the others go.
func (p *Planner) keepForLater(formed *Formed) {
	for _, take := range formed.Takes {
		g := take.Group
		if take.From+take.Count == len(g.Rows) {
			p.table.release(&g.hold)
		} else if take.Shared > 0 {
			p.table.hold(g.Salt, g.want(), &g.hold)
		}
	}
}
