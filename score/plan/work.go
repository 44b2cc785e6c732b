package plan

import "slices"

// Job holds one request's rows. Its groups and their rows never change; only Group.Next
// does.
type Job struct {
	Groups []*Group
	Rows   int
	Tokens int // of all rows, whole prompts
}

// Group is a set of rows that begin with the same tokens. They may run in several
// steps.
type Group struct {
	Rows   []Row
	Items  []int  // the request's item of each row
	Firsts []int  // by row: index of its first number among the item's; nil: one row has all
	Shared int    // leading tokens that all rows read from a shared prefix; 0: none
	Salt   string // the group shares prefixes only with groups of the same salt
	Next   int    // index of the first row that no step has taken

	longest int   // tokens of the longest row
	sums    []int // by row: total tokens of the rows before it
	hold    hold  // keeps its prefix in the cache between steps
	prefix  prefixKey
	waiting waiting // the Backlog in which it is counted
}

// Prompts holds a request's prompts and what is read of them.
type Prompts struct {
	Tokens   [][]int32 // by item; nil: the item has no row
	Labels   []int32   // read behind each prompt
	Inner    [][]Read  // by item: earlier places that are read, too; nil: none
	Tails    []Tail    // if any, each prompt has a row for each tail; Labels and Inner are ignored
	Relative bool
	Salt     string
	Reusable int // leading tokens that a lone row is likely to share with later requests
}

// Tail is what a row has behind its prompt, and what is read there.
type Tail struct {
	Tokens []int32
	Labels []int32 // read behind the last token
	Inner  []Read  // read before that, at the prompt's last token or later
}

// Numbers returns how many numbers are read at the tail.
func (t *Tail) Numbers() int {
	row := Row{Labels: t.Labels, Inner: t.Inner}
	return row.Numbers()
}

// Pending returns how many rows no step has taken yet.
func (g *Group) Pending() int { return len(g.Rows) - g.Next }

// Pending returns the first group with rows that no step has taken yet, or nil.
func (j *Job) Pending() *Group {
	for _, g := range j.Groups {
		if g.Pending() > 0 {
			return g
		}
	}
	return nil
}

// own returns the number of tokens of rows from..to-1, without the first shared tokens
// of each.
func (g *Group) own(from, to, shared int) int {
	return g.sums[to] - g.sums[from] - (to-from)*shared
}

// sharedPrefix returns the tokens that the pending rows share. At least one row must be
// pending.
func (g *Group) sharedPrefix() []int32 { return g.Rows[g.Next].Tokens[:g.Shared] }

// NewJob turns prompts into rows, and groups the rows by the prefix that they share.
// Every group fits the ladder's buckets.
func (l *Ladder) NewJob(p Prompts) *Job {
	j := &Job{}
	if len(p.Tails) > 1 {
		j.Groups = l.branches(&p)
		return j.counted()
	}
	together := &Group{Salt: p.Salt, Rows: make([]Row, 0, len(p.Tokens)),
		Items: make([]int, 0, len(p.Tokens))}
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
		together.Shared = l.share(together.Rows, p.Reusable)
		j.Groups = l.separate(together)
	}
	return j.counted()
}

// branches makes a group of each prompt's rows. Its prefix is the prompt without the
// last token.
func (l *Ladder) branches(p *Prompts) (groups []*Group) {
	for item, tokens := range p.Tokens {
		if tokens == nil {
			continue
		}
		g := &Group{Salt: p.Salt, Rows: make([]Row, len(p.Tails)),
			Items: slices.Repeat([]int{item}, len(p.Tails)), Firsts: make([]int, len(p.Tails))}
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

// behind returns the row of a prompt that ends in the tail.
func (t *Tail) behind(prompt []int32, relative bool) Row {
	if len(t.Tokens) > 0 {
		prompt = slices.Concat(prompt, t.Tokens)
	}
	return Row{Tokens: prompt, Labels: t.Labels, Inner: t.Inner, Relative: relative}
}

// counted computes Rows and Tokens from the groups.
func (j *Job) counted() *Job {
	for _, g := range j.Groups {
		j.Rows += len(g.Rows)
		j.Tokens += g.sums[len(g.Rows)]
	}
	return j
}

// minShared is the shortest prefix, in tokens, that is kept on the device for a row
// that shares it with no other row yet.
const minShared = 64

// share decides how many leading tokens the rows read from a common prefix.
func (l *Ladder) share(rows []Row, reusable int) int {
	n, tokens := commonPrefix(rows)
	if len(rows) == 1 {
		if n = min(n, reusable); n < minShared {
			return 0
		}
	} else if n*(len(rows)-1) < tokens/16 {
		return 0 // the work saved by sharing is less than a larger step costs
	}
	longest := 0
	for i := range rows {
		longest = max(longest, len(rows[i].Tokens))
	}
	if l.sizeFor(n) == nil || longest-n > l.own(n) && l.sizeFor(longest-1) == nil {
		return 0 // the longest row fits only without a prefix
	}
	return n
}

// commonPrefix returns how many leading tokens all rows share, and the total of the
// rows' tokens. It leaves every place that is read to the row itself.
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

// separate moves each row that no step can take as it is to groups and prefixes of its
// own: see windows.
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
		together.Rows, together.Items = append(together.Rows, all.Rows[i]),
			append(together.Items, all.Items[i])
		if all.Firsts != nil {
			together.Firsts = append(together.Firsts, all.Firsts[i])
		}
	}
	if len(together.Rows) > 0 {
		groups = append([]*Group{together.counted()}, groups...)
	}
	return groups
}

// counted computes the fields that follow from the rows.
func (g *Group) counted() *Group {
	g.sums = make([]int, len(g.Rows)+1)
	for i := range g.Rows {
		n := len(g.Rows[i].Tokens)
		g.sums[i+1] = g.sums[i] + n
		g.longest = max(g.longest, n)
	}
	if g.Shared > 0 {
		g.prefix = prefixKey{g.Salt, hashOf(g.sharedPrefix()), g.Shared}
	}
	return g
}

// PendingTokens returns the tokens of the rows that no step has taken yet, whole
// prompts.
func (g *Group) PendingTokens() int { return g.own(g.Next, len(g.Rows), 0) }

// PendingOwn returns their tokens beyond the shared prefix.
func (g *Group) PendingOwn() int { return g.own(g.Next, len(g.Rows), g.Shared) }
