package plan

import "slices"

// Job is one request's rows. Its groups, and their rows, never change; only what has been taken of them does.
type Job struct {
	Groups []*Group
	Rows   int
	Tokens int // of all rows
}

// Group is a set of rows that begin with the same tokens; they may run in several steps.
type Group struct {
	Rows   []Row
	Items  []int  // the request's item of each row
	Firsts []int  // by row: where its numbers begin among those of its item; nil: each row has all of its item's
	Shared int    // how many leading tokens all rows share on purpose; 0: the rows stand alone
	Salt   string // whose prefixes the group may share
	Next   int    // the rows before it have been given to a step

	longest int   // tokens of the longest row
	sums    []int // by row: tokens of the rows before it
	hold    hold  // what keeps its prefix from being dropped between steps
	prefix  prefixKey
	waiting waiting // where it is counted: see Backlog
}

// Prompts are a request's prompts, and what it asks of them.
type Prompts struct {
	Tokens   [][]int32 // by item; nil: the item has no row
	Labels   []int32   // what is read behind each prompt
	Inner    [][]Read  // by item: the places inside its prompt that are read, too; nil: none are
	Tails    []Tail    // what is read in place of all that: each prompt has a row for each, which hang on the prompt
	Relative bool
	Salt     string
	Head     int // leading tokens that a lone row is likely to share with later requests
}

// Tail is what a row has behind its prompt, and what is read there.
type Tail struct {
	Tokens []int32
	Labels []int32 // read behind the last token
	Inner  []Read  // read before that, at the prompt's last token or behind it
}

// Numbers is how many numbers are read of the tail.
func (t *Tail) Numbers() int {
	row := Row{Labels: t.Labels, Inner: t.Inner}
	return row.Numbers()
}

// Pending is how many rows no step has taken yet.
func (g *Group) Pending() int { return len(g.Rows) - g.Next }

// Pending is the first group with rows that no step has taken yet, or nil.
func (j *Job) Pending() *Group {
	for _, g := range j.Groups {
		if g.Pending() > 0 {
			return g
		}
	}
	return nil
}

// own counts the tokens of rows from..to-1 beyond the first shared of each.
func (g *Group) own(from, to, shared int) int { return g.sums[to] - g.sums[from] - (to-from)*shared }

// want are the tokens that the pending rows share.
func (g *Group) want() []int32 { return g.Rows[g.Next].Tokens[:g.Shared] }

// NewJob turns prompts into rows and groups them by what they share.
func (l *Ladder) NewJob(p Prompts) *Job {
	j := &Job{}
	if len(p.Tails) > 1 {
		j.Groups = l.branches(&p)
		return j.counted()
	}
	together := &Group{Salt: p.Salt, Rows: make([]Row, 0, len(p.Tokens)), Items: make([]int, 0, len(p.Tokens))}
	for item, tokens := range p.Tokens {
		if tokens == nil {
			continue
		}
		row := Row{Tokens: tokens, Labels: p.Labels, Relative: p.Relative}
		if p.Inner != nil {
			row.Inner = p.Inner[item]
		}
		if len(p.Tails) > 0 {
			row = p.Tails[0].behind(tokens, p.Relative)
		}
		together.Rows = append(together.Rows, row)
		together.Items = append(together.Items, item)
	}
	if len(together.Rows) > 0 {
		together.Shared = l.share(together.Rows, p.Head)
		j.Groups = l.separate(together)
	}
	return j.counted()
}

// branches makes a group of each prompt's rows, whose prefix is the prompt but its last token.
func (l *Ladder) branches(p *Prompts) (groups []*Group) {
	for item, tokens := range p.Tokens {
		if tokens == nil {
			continue
		}
		g := &Group{Salt: p.Salt, Rows: make([]Row, len(p.Tails)), Items: slices.Repeat([]int{item}, len(p.Tails)), Firsts: make([]int, len(p.Tails))}
		numbers := 0
		for i := range p.Tails {
			g.Rows[i], g.Firsts[i] = p.Tails[i].behind(tokens, p.Relative), numbers
			numbers += p.Tails[i].Numbers()
		}
		g.Shared = l.share(g.Rows, 0)
		groups = append(groups, l.separate(g)...)
	}
	return groups
}

// behind is the row of a prompt that ends in the tail.
func (t *Tail) behind(prompt []int32, relative bool) Row {
	if len(t.Tokens) > 0 {
		prompt = slices.Concat(prompt, t.Tokens)
	}
	return Row{Tokens: prompt, Labels: t.Labels, Inner: t.Inner, Relative: relative}
}

// counted fills in what follows from the groups.
func (j *Job) counted() *Job {
	for _, g := range j.Groups {
		j.Rows += len(g.Rows)
		j.Tokens += g.sums[len(g.Rows)]
	}
	return j
}

// minShared is the shortest prefix worth keeping on the device for a row that shares it with no other row yet.
const minShared = 64

// share decides how many leading tokens the rows take from a common prefix.
func (l *Ladder) share(rows []Row, head int) int {
	n, tokens := commonPrefix(rows)
	if len(rows) == 1 {
		if n = min(n, head); n < minShared {
			return 0
		}
	} else if n*(len(rows)-1) < tokens/16 {
		return 0 // sharing saves less than the larger step costs
	}
	longest := 0
	for i := range rows {
		longest = max(longest, len(rows[i].Tokens))
	}
	if l.sizeFor(n) == nil || longest-n > l.own(n) && l.sizeFor(longest-1) == nil {
		return 0 // the longest row has room by itself alone
	}
	return n
}

// commonPrefix counts the leading tokens that all rows share, leaving every row all places that are read as its own, and
// the rows' tokens.
func commonPrefix(rows []Row) (n, tokens int) {
	first := rows[0].Tokens
	n = len(first)
	for i := range rows {
		n = min(n, rows[i].first())
		n = Shared(first[:n], rows[i].Tokens)
		tokens += len(rows[i].Tokens)
	}
	return n, tokens
}

// separate gives each row that no step takes as a whole groups and prefixes of its own: see windows.
func (l *Ladder) separate(all *Group) []*Group {
	all.counted()
	longest := l.own(all.Shared)
	fits := func(r *Row) bool {
		return len(r.Tokens)-all.Shared <= longest && (len(r.Inner) == 0 || r.passes() <= l.rows)
	}
	if !slices.ContainsFunc(all.Rows, func(r Row) bool { return !fits(&r) }) {
		return []*Group{all}
	}
	together := &Group{Shared: all.Shared, Salt: all.Salt}
	var groups []*Group
	for i := range all.Rows {
		if !fits(&all.Rows[i]) {
			groups = append(groups, l.windows(all, i)...)
			continue
		}
		together.Rows, together.Items = append(together.Rows, all.Rows[i]), append(together.Items, all.Items[i])
		if all.Firsts != nil {
			together.Firsts = append(together.Firsts, all.Firsts[i])
		}
	}
	if len(together.Rows) > 0 {
		groups = append([]*Group{together.counted()}, groups...)
	}
	return groups
}

// counted fills in what follows from the rows.
func (g *Group) counted() *Group {
	g.sums = make([]int, len(g.Rows)+1)
	for i := range g.Rows {
		n := len(g.Rows[i].Tokens)
		g.sums[i+1] = g.sums[i] + n
		g.longest = max(g.longest, n)
	}
	if g.Shared > 0 {
		g.prefix = prefixKey{g.Salt, hashOf(g.want()), g.Shared}
	}
	return g
}

// PendingTokens counts the tokens of the rows that no step has taken yet, whole prompts.
func (g *Group) PendingTokens() int { return g.own(g.Next, len(g.Rows), 0) }

// PendingOwn counts their tokens beyond those that they share.
func (g *Group) PendingOwn() int { return g.own(g.Next, len(g.Rows), g.Shared) }
