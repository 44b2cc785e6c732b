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

// Prompts holds a request's prompts and the labels that are read in them.
type Prompts struct {
	Tokens   [][]int32 // by item; nil: the item has no row
	Labels   []int32   // read behind each prompt
	Inner    [][]Read  // by item: earlier places that are read, too; nil: none
	Tails    []Tail    // if any, each prompt has a row for each tail; Labels and Inner are ignored
	Relative bool      // see Row.Relative
	Salt     string    // see Group.Salt
	Reusable int       // leading tokens that a lone row is likely to share with later requests
}

// Tail holds the tokens of a row behind its prompt, and the labels that are read there.
type Tail struct {
	Tokens []int32
	Labels []int32 // read behind the last token
	Inner  []Read  // earlier places that are read, at the prompt's last token or later
}

// Numbers returns how many numbers are read at the tail.
func (t *Tail) Numbers() int {
	row := Row{Labels: t.Labels, Inner: t.Inner}
	return row.Numbers()
}

// behind returns the row of a prompt that ends in the tail.
func (t *Tail) behind(prompt []int32, relative bool) Row {
	if len(t.Tokens) > 0 {
		prompt = slices.Concat(prompt, t.Tokens)
	}
	return Row{Tokens: prompt, Labels: t.Labels, Inner: t.Inner, Relative: relative}
}

// NewJob turns prompts into rows, and groups the rows by the prefix that they share.
// Every group fits the ladder's buckets. The Job keeps the prompts' memory.
func (l *Ladder) NewJob(p Prompts) *Job {
	j := &Job{Groups: (&grouping{ladder: l, prompts: &p}).groups()}
	for _, g := range j.Groups {
		j.Rows += len(g.Rows)
		j.Tokens += g.sums[len(g.Rows)]
	}
	return j
}

// Pending returns the first group with rows that no step has taken yet, or nil.
func (j *Job) Pending() *Group {
	for _, g := range j.Groups {
		if g.Pending() > 0 {
			return g
		}
	}
	return nil
}

// counted computes the fields that follow from the rows. It must be called once, when
// Rows and Shared are complete.
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

// Pending returns how many rows no step has taken yet.
func (g *Group) Pending() int { return len(g.Rows) - g.Next }

// PendingTokens returns how many tokens the pending rows have, whole prompts.
func (g *Group) PendingTokens() int { return g.own(g.Next, len(g.Rows), 0) }

// PendingOwn returns how many tokens the pending rows have beyond the shared prefix.
func (g *Group) PendingOwn() int { return g.own(g.Next, len(g.Rows), g.Shared) }

// own returns the number of tokens of rows from..to-1, without the first shared tokens
// of each.
func (g *Group) own(from, to, shared int) int {
	return g.sums[to] - g.sums[from] - (to-from)*shared
}

// sharedPrefix returns the tokens that the pending rows share. At least one row must be
// pending.
func (g *Group) sharedPrefix() []int32 { return g.Rows[g.Next].Tokens[:g.Shared] }
