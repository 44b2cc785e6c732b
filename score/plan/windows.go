package plan

// windows cuts row i of a group, which no step can take as it is: it has more own
// tokens than any bucket, or is read at so many places that a step that reads them all
// would take much longer than its shape does.
//
// Each window is a row that ends at the last place where it is read, on a prefix of all
// tokens before its first place. So a prompt that is read only at its end becomes one
// row of one token, whose prefix is computed over several steps. No token is computed
// more than twice.
func (w *grouping) windows(all *Group, i int) (groups []*Group) {
	row := &all.Rows[i]
	places := append(append(make([]Read, 0, len(row.Inner)+1), row.Inner...), Read{Labels: row.Labels})
	numbers := 0 // numbers of the item before those of the window
	if all.Firsts != nil {
		numbers = all.Firsts[i]
	}
	for len(places) > 0 {
		first := len(row.Tokens) - 1 - places[0].Back
		shared := 0
		if w.ladder.sizeFor(first) != nil {
			shared = first
		}
		n := w.window(places, first-shared, w.ladder.own(shared))
		last := places[n-1]
		r := Row{Tokens: row.Tokens[:len(row.Tokens)-last.Back], Labels: last.Labels,
			Relative: row.Relative}
		for _, p := range places[:n-1] {
			r.Inner = append(r.Inner, Read{Back: p.Back - last.Back, Labels: p.Labels})
		}
		g := &Group{Rows: []Row{r}, Items: all.Items[i : i+1], Shared: shared, Salt: all.Salt}
		if all.Firsts != nil || len(groups) > 0 || n < len(places) {
			g.Firsts = []int{numbers}
		}
		groups = append(groups, g.counted())
		numbers += r.Numbers()
		places = places[n:]
	}
	return groups
}

// window returns how many places go into one window: as many as a step can read, and as
// lie within the longest own part of a row. before is the number of own tokens before
// the first place. The result is at least 1.
func (w *grouping) window(places []Read, before, longest int) (n int) {
	passes := 0
	for _, p := range places {
		passes += LabelPasses(len(p.Labels))
		own := before + places[0].Back - p.Back + 1
		if n > 0 && (passes > w.ladder.rows || own > longest) {
			break
		}
		n++
	}
	return n
}
