package plan

import "slices"

// grouping turns one request's prompts into groups. It decides which rows read their
// first tokens from a common prefix, and cuts rows that no bucket holds.
type grouping struct {
	ladder  *Ladder
	prompts *Prompts
}

// groups returns the groups of all prompts. With several tails each prompt has a group
// of its own, because its tails share all of it. Otherwise all prompts are one group.
func (w *grouping) groups() []*Group {
	if len(w.prompts.Tails) > 1 {
		return w.byPrompt()
	}
	p := w.prompts
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
	if len(together.Rows) == 0 {
		return nil
	}
	together.Shared = w.share(together.Rows, p.Reusable)
	return w.separate(together)
}

// byPrompt makes a group of each prompt's rows, one for each tail. Its prefix is the
// prompt without the last token.
func (w *grouping) byPrompt() (groups []*Group) {
	tails := w.prompts.Tails
	for item, tokens := range w.prompts.Tokens {
		if tokens == nil {
			continue
		}
		g := &Group{Salt: w.prompts.Salt, Rows: make([]Row, len(tails)),
			Items: slices.Repeat([]int{item}, len(tails)), Firsts: make([]int, len(tails))}
		numbers := 0
		for i := range tails {
			g.Rows[i], g.Firsts[i] = tails[i].behind(tokens, w.prompts.Relative), numbers
			numbers += tails[i].Numbers()
		}
		g.Shared = w.share(g.Rows, 0)
		groups = append(groups, w.separate(g)...)
	}
	return groups
}

// minShared is the shortest prefix, in tokens, that is kept on the device for a row
// that shares it with no other row yet.
const minShared = 64

// share decides how many leading tokens the rows read from a common prefix. reusable is
// as in Prompts.
func (w *grouping) share(rows []Row, reusable int) int {
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
	l := w.ladder
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
// own: see windows. The rows that fit stay together in the first group.
func (w *grouping) separate(all *Group) []*Group {
	longest := w.ladder.own(all.Shared)
	fits := func(r *Row) bool {
		return len(r.Tokens)-all.Shared <= longest &&
			(len(r.Inner) == 0 || r.passes() <= w.ladder.rows)
	}
	if !slices.ContainsFunc(all.Rows, func(r Row) bool { return !fits(&r) }) {
		return []*Group{all.counted()}
	}
	together := &Group{Shared: all.Shared, Salt: all.Salt}
	var groups []*Group
	for i := range all.Rows {
		if !fits(&all.Rows[i]) {
			groups = append(groups, w.windows(all, i)...)
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
