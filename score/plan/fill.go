package plan

// filling is a bucket with what a step could take in it.
type filling struct {
	bucket Bucket
	placed []placement
	at     []int   // by candidate: its placement, or -1
	tokens int     // that the step computes
	useful int     // of them, those that need not be computed again: see candidate.work
	rows   int     // room of rows that is taken
	used   int     // tokens of context
	pairs  float64 // of a token and a key of the context that it sees
}

// placement is a candidate in a step.
type placement struct {
	candidate int
	shared    int // tokens that its rows take from their prefix, or that a slice reaches
	fresh     int // of them, those that the step computes
	with      int // the placement whose prefix its rows hang on: itself, or one before
	count     int // rows
}

// minSlice is the least of a prefix that is computed ahead of its rows in what room a step has left. Less makes many
// small pieces of a prefix, each of which takes its place among the candidates again.
const minSlice = 32

// fill takes candidates in order as long as the bucket has room; false if it can take nothing of the first. What the
// filling held before is gone.
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

// cost is what the step is predicted to take, in nanoseconds.
func (f *filling) cost() float64 { return f.bucket.cost(f.used, f.pairs) }

// rate is what a useful token costs, in nanoseconds.
func (f *filling) rate() float64 { return f.cost() / float64(f.useful) }

// place puts as much of a candidate into the step as there is room for; false if that is nothing.
func (f *filling) place(i int, candidates []candidate) bool {
	c := &candidates[i]
	p := placement{candidate: i, shared: len(c.want), with: len(f.placed)}
	known := f.known(c, &p)
	p.fresh = p.shared - known
	if c.asItIs(p.fresh) && c.group.longest-known <= min(f.bucket.Length, f.bucket.Tokens) {
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
	if left := len(c.want) - p.shared; left > 0 { // each row computes for itself what others may have to compute again
		f.useful -= count * left
		if count == c.group.Pending() {
			f.useful += left
		}
	}
	return true
}

// known is how many leading tokens of a candidate's prefix the step need not compute for it, as they are kept or computed
// for one before. If the prefix of one before has all of it in it, the placement goes with that.
func (f *filling) known(c *candidate, p *placement) int {
	if c.like < 0 || f.at[c.like] < 0 {
		return c.kept
	}
	n := f.placed[f.at[c.like]].with
	reach := min(c.liked, f.placed[f.at[c.like]].shared)
	if reach == len(c.want) && f.placed[n].shared >= reach {
		p.with = n
	}
	return max(c.kept, reach)
}

// asItIs tells whether the rows had better compute, each for itself, what is missing of their prefix: a lone row whose
// missing part is too short to be worth keeping, or a few rows that miss little.
func (c *candidate) asItIs(missing int) bool {
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

// rowsOf counts the next rows of a group that fit, their own tokens, and the room of rows they take. A row of many labels or
// places takes the room of several rows, so that reading labels keeps no step much longer than its shape does; alone it always
// has room.
func (f *filling) rowsOf(g *Group, shared, room int) (count, tokens, passes int) {
	for i := g.Next; i < len(g.Rows); i++ {
		own, more := len(g.Rows[i].Tokens)-shared, g.Rows[i].passes()
		if own > f.bucket.Length || tokens+own > room || f.rows+passes > 0 && f.rows+passes+more > f.bucket.Rows {
			break
		}
		tokens += own
		passes += more
		count++
	}
	return count, tokens, passes
}

// add puts a placement into the step, whose rows have so many own tokens.
func (f *filling) add(p placement, context, own int) {
	f.at[p.candidate] = len(f.placed)
	f.placed = append(f.placed, p)
	f.used += context
	f.tokens += p.fresh + own
	f.useful += p.fresh + own
	f.pairs += float64(own*p.shared) + float64(p.fresh)*(float64(p.shared)-float64(p.fresh)/2)
}

// LabelPasses is how many rows' room so many labels of one place take.
func LabelPasses(labels int) int { return max(1, (labels+LabelsPerRow-1)/LabelsPerRow) }
