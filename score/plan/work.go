package plan

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
	Shared int    // how many leading tokens all rows share on purpose; 0: the rows stand alone
	Salt   string // whose prefixes the group may share
	Next   int    // the rows before it have been given to a step

	longest int   // tokens of the longest row
	sums    []int // by row: tokens of the rows before it
	hold    hold  // what keeps its prefix from being dropped between steps
}

// Prompts are a request's prompts, and what it asks of them.
type Prompts struct {
	Tokens   [][]int32 // by item; nil: the item has no row
	Labels   []int32
	Relative bool
	Salt     string
	Head     int // leading tokens that a lone row is likely to share with later requests
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
	together := &Group{Salt: p.Salt, Rows: make([]Row, 0, len(p.Tokens)), Items: make([]int, 0, len(p.Tokens))}
	for item, tokens := range p.Tokens {
		if tokens == nil {
			continue
		}
		j.Rows++
		j.Tokens += len(tokens)
		together.Rows = append(together.Rows, Row{Tokens: tokens, Labels: p.Labels, Relative: p.Relative})
		together.Items = append(together.Items, item)
	}
	if j.Rows > 0 {
		together.Shared = l.share(together.Rows, j.Tokens, p.Head)
		j.Groups = l.separate(together)
	}
	return j
}

// minShared is the shortest prefix worth keeping on the device for a row that shares it with no other row yet.
const minShared = 64

// share decides how many leading tokens the rows take from a common prefix.
func (l *Ladder) share(rows []Row, tokens, head int) int {
	n := commonPrefix(rows)
	if len(rows) == 1 {
		if n = min(n, head); n < minShared {
			return 0
		}
	} else if n*(len(rows)-1) < tokens/16 {
		return 0 // sharing saves less than the larger step costs
	}
	if l.sizeFor(n) == nil {
		return 0
	}
	return n
}

// commonPrefix counts the leading tokens that all rows share, leaving every row at least one token of its own.
func commonPrefix(rows []Row) int {
	first := rows[0].Tokens
	n := len(first) - 1
	for i := range rows[1:] {
		n = min(n, len(rows[i+1].Tokens)-1)
		n = Shared(first[:n], rows[i+1].Tokens)
	}
	return n
}

// separate gives each row whose own part is longer than any bucket takes a group and a prefix of its own: all of the
// prompt but the last token, which is computed over several steps.
func (l *Ladder) separate(all *Group) []*Group {
	all.counted()
	longest := l.own(all.Shared)
	if all.longest-all.Shared <= longest {
		return []*Group{all}
	}
	together := &Group{Shared: all.Shared, Salt: all.Salt}
	var groups []*Group
	for i, row := range all.Rows {
		if len(row.Tokens)-all.Shared <= longest {
			together.Rows, together.Items = append(together.Rows, row), append(together.Items, all.Items[i])
			continue
		}
		alone := &Group{Rows: []Row{row}, Items: []int{all.Items[i]}, Shared: len(row.Tokens) - 1, Salt: all.Salt}
		groups = append(groups, alone.counted())
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
	return g
}

// PendingTokens counts the tokens of the rows that no step has taken yet, whole prompts.
func (g *Group) PendingTokens() int { return g.own(g.Next, len(g.Rows), 0) }

// PendingOwn counts their tokens beyond those that they share.
func (g *Group) PendingOwn() int { return g.own(g.Next, len(g.Rows), g.Shared) }
