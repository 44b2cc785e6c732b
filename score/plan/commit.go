package plan

// commit gives the chosen rows their slots in the cache and returns the step. Rows for
// which the cache has no room are left to a later step. It returns nil if the lead has
// no room.
func (p *Planner) commit(f *filling, candidates []candidate, lead int) *Formed {
	formed := &Formed{Step: &Step{Bucket: f.bucket}, ID: p.steps, Lead: lead}
	at := make([]int, len(f.placed)) // by placement: its prefix in the step; -1 if it is left out
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

// prefix puts a candidate's prefix into the table and the step. It returns the prefix's
// index in the step and how many of its tokens the step computes. The index is -1 if
// the cache has no room, or if more tokens are missing than planned because some were
// dropped meanwhile.
func (p *Planner) prefix(step *Step, c *candidate, placed *placement) (at, fresh int) {
	prefix := c.prefix[:placed.shared]
	if len(prefix)-p.table.Match(c.group.Salt, prefix) > placed.fresh {
		return -1, 0
	}
	held := p.table.holding(&c.group.hold) > 0
	if placed.shared < len(c.prefix) && placed.fresh > 0 &&
		!p.table.hold(c.group.Salt, c.prefix, &c.group.hold) {
		return -1, 0 // a slice is useless if it is dropped before the next one
	}
	slots, missing := p.table.put(c.group.Salt, prefix)
	if slots == nil {
		if !held {
			p.table.release(&c.group.hold) // its job may go to another device
		}
		return -1, 0
	}
	step.Prefixes = append(step.Prefixes, Prefix{Slots: slots, New: prefix[len(prefix)-missing:]})
	return len(step.Prefixes) - 1, missing
}

// take puts a placement's rows into the step. prefix is the index of their prefix
// there.
func (f *Formed) take(c *candidate, placed *placement, prefix int) {
	g := c.group
	for _, row := range g.Rows[g.Next : g.Next+placed.count] {
		row.Prefix, row.Shared = prefix, placed.shared
		f.Step.Rows = append(f.Step.Rows, row)
	}
	f.Takes = append(f.Takes, Take{Job: c.job, Group: g, From: g.Next, Count: placed.count,
		Shared: placed.shared, New: placed.fresh})
}

// keepForLater holds the prefixes of groups that have rows left, as far as there is
// room, and releases those of the others.
func (p *Planner) keepForLater(formed *Formed) {
	for _, take := range formed.Takes {
		g := take.Group
		if take.From+take.Count == len(g.Rows) {
			p.table.release(&g.hold)
		} else if take.Shared > 0 {
			p.table.hold(g.Salt, g.sharedPrefix(), &g.hold)
		}
	}
}
