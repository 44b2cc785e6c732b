package plan

// filling is a bucket and the placements that a step of it would have.
type filling struct {
	bucket Bucket
	placed []placement
	at     []int   // by candidate: index of its placement, or -1
	tokens int     // tokens that the step computes
	useful int     // those of them that no later step must compute again: see candidate.work
	rows   int     // how many of the bucket's rows are taken, as Row.passes counts
	used   int     // tokens of context
	pairs  float64 // pairs of a token and a key of the context that it attends to
}

// placement is a candidate in a step.
type placement struct {
	candidate int
	shared    int // tokens that its rows read from their prefix, or up to which a slice computes it
	fresh     int // those of them that the step computes
	with      int // index of the placement whose prefix its rows read: its own, or an earlier one
	count     int // rows
}

// minSlice is the smallest slice of a prefix, in tokens, that is computed ahead of its
// rows in the room that a step has left. A lower bound makes many small slices, each of
// which costs a place among the candidates.
const minSlice = 32

// fill takes candidates in order as long as the bucket has room. It returns false if it
// can take nothing of the first. It reuses the memory of the filling and discards its
// contents.
func (f *filling) fill(b Bucket, candidates []candidate) bool {
	*f = filling{bucket: b, placed: f.placed[:0], at: f.at[:0]}
	for i := range candidates {
		if f.tokens == b.Tokens || i > 0 && f.rows >= b.Rows {
			break
		}
		f.at = append(f.at, -1)
		if !f.place(i, candidates) && i == 0 {
			return false
		}
	}
	return true
}

// cost is the predicted duration of the step in nanoseconds.
func (f *filling) cost() float64 { return f.bucket.cost(f.used, f.pairs) }

// rate is the cost of a useful token in nanoseconds.
func (f *filling) rate() float64 { return f.cost() / float64(f.useful) }

// place puts as much of candidate i into the step as there is room for. It returns
// false if that is nothing.
func (f *filling) place(i int, candidates []candidate) bool {
	c := &candidates[i]
	p := placement{candidate: i, shared: len(c.prefix), with: len(f.placed)}
	known := f.known(c, &p)
	p.fresh = p.shared - known
	if c.recomputes(p.fresh) && c.group.longest-known <= min(f.bucket.Length, f.bucket.Tokens) {
		p.shared, p.fresh = known, 0
	}
	context := 0
	if p.with == len(f.placed) {
		room := min(f.bucket.Tokens-f.tokens, f.bucket.Context-f.used-known)
		if context = p.shared; p.fresh > room {
			return f.slice(p, known, room)
		}
	}
	if f.used+context > f.bucket.Context {
		return false
	}
	count, own, passes := f.rowsOf(c.group, p.shared, f.bucket.Tokens-f.tokens-p.fresh)
	if count == 0 && (p.fresh == 0 || i > 0 && p.fresh < minSlice) {
		return false
	}
	p.count = count
	f.rows += passes
	f.add(p, context, own)
	// Each row computes for itself a rest of the prefix that other rows may have to
	// compute again.
	if left := len(c.prefix) - p.shared; left > 0 {
		f.useful -= count * left
		if count == c.group.Pending() {
			f.useful += left
		}
	}
	return true
}

// known returns how many leading tokens of a candidate's prefix the step need not
// compute for it, because the cache holds them or an earlier placement computes them.
// If the prefix of an earlier placement includes all of it, p.with is set to that
// placement.
func (f *filling) known(c *candidate, p *placement) int {
	if c.similar < 0 || f.at[c.similar] < 0 {
		return c.kept
	}
	n := f.placed[f.at[c.similar]].with
	reach := min(c.common, f.placed[f.at[c.similar]].shared)
	if reach == len(c.prefix) && f.placed[n].shared >= reach {
		p.with = n
	}
	return max(c.kept, reach)
}

// recomputes reports whether each row should compute the missing tokens of the prefix
// for itself. That is so for a lone row if the missing part is too short to be worth a
// place in the cache, and for a few rows if little is missing.
func (c *candidate) recomputes(missing int) bool {
	if c.group.Pending() == 1 {
		return missing < minShared
	}
	return missing*(c.group.Pending()-1) <= minShared
}

// slice takes as much of a prefix as there is room for, and no rows.
func (f *filling) slice(p placement, known, room int) bool {
	if room < 1 || p.candidate > 0 && room < minSlice {
		return false
	}
	p.fresh = room
	p.shared = known + room
	f.add(p, p.shared, 0)
	return true
}

// rowsOf returns how many of the group's next rows fit into room tokens, their own
// tokens, and how many of the bucket's rows they take. A row with many labels or places
// counts as several rows, so that reading labels makes no step much longer than its
// shape does. The first row of a step always fits in this respect.
func (f *filling) rowsOf(g *Group, shared, room int) (count, tokens, passes int) {
	for i := g.Next; i < len(g.Rows); i++ {
		own, more := len(g.Rows[i].Tokens)-shared, g.Rows[i].passes()
		if own > f.bucket.Length || tokens+own > room || f.rows+passes > 0 &&
			f.rows+passes+more > f.bucket.Rows {
			break
		}
		tokens += own
		passes += more
		count++
	}
	return count, tokens, passes
}

// add puts a placement into the step. own is the number of its rows' own tokens, context
// the number of tokens that its prefix adds to the context.
func (f *filling) add(p placement, context, own int) {
	f.at[p.candidate] = len(f.placed)
	f.placed = append(f.placed, p)
	f.used += context
	f.tokens += p.fresh + own
	f.useful += p.fresh + own
	f.pairs += float64(own*p.shared) + float64(p.fresh)*(float64(p.shared)-float64(p.fresh)/2)
}

// LabelPasses returns how many rows of a bucket the labels of one place count as: one
// for every LabelsPerRow labels.
func LabelPasses(labels int) int { return max(1, (labels+LabelsPerRow-1)/LabelsPerRow) }
