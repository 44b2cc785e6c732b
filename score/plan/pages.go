package plan

// pages allocates slots of the KV cache, page by page. A page is owned by the nodes
// that have slots in it, and free when it has no owner. Slots of a page are handed out
// in ascending order.
type pages struct {
	owners []int   // by page: how many nodes have slots in it
	filled []int   // by page: how many of its slots, from the first on, are handed out
	freed  []int32 // pages that were in use and are free, the last freed last
	fresh  int32   // pages from this one on were never in use
	used   int     // pages in use
}

// newPages returns n free pages.
func newPages(n int) *pages { return &pages{owners: make([]int, n), filled: make([]int, n)} }

// room returns how many more tokens can be stored behind slot after: in the rest of its
// page, if that slot is the last handed out there, and in free pages.
func (p *pages) room(after int32) int { return p.tail(after) + p.left()*PageTokens }

// left returns how many pages are free.
func (p *pages) left() int { return len(p.owners) - p.used }

// tail returns how many slots can be handed out behind slot after in the same page. It
// is 0 if after is negative, which means no slot.
func (p *pages) tail(after int32) int {
	if after < 0 || p.filled[after/PageTokens] != int(after%PageTokens)+1 {
		return 0
	}
	return PageTokens - p.filled[after/PageTokens]
}

// take hands out n slots, behind slot after as long as its page has room and then in
// free pages. The caller must have checked room. It becomes an owner of the pages.
func (p *pages) take(n int, after int32) []int32 {
	slots := make([]int32, 0, n)
	page := after / PageTokens
	left := min(n, p.tail(after))
	for len(slots) < n {
		if left == 0 {
			page, left = p.free(), min(n-len(slots), PageTokens)
		}
		for ; left > 0; left-- {
			slots = append(slots, page*PageTokens+int32(p.filled[page]))
			p.filled[page]++
		}
	}
	p.own(slots, 1)
	return slots
}

// free returns a free page, preferably one that was in use before, because the device
// has touched its memory already.
func (p *pages) free() int32 {
	if n := len(p.freed); n > 0 {
		page := p.freed[n-1]
		p.freed = p.freed[:n-1]
		return page
	}
	p.fresh++
	return p.fresh - 1
}

// own adds owners, 1 or -1, to the number of owners of the pages that slots lie in.
// Pages without an owner become free. Slots of a page must be adjacent in slots.
func (p *pages) own(slots []int32, owners int) {
	for i, slot := range slots {
		page := slot / PageTokens
		if i > 0 && slots[i-1]/PageTokens == page {
			continue
		}
		before := p.owners[page]
		p.owners[page] += owners
		switch {
		case before == 0:
			p.used++
		case p.owners[page] == 0:
			p.filled[page] = 0
			p.freed = append(p.freed, page)
			p.used--
		}
	}
}

// giveBack ends the ownership of slots. If they are the last handed out of a page, they
// can be handed out again.
func (p *pages) giveBack(slots []int32) {
	if n := len(slots); n > 0 {
		page := slots[n-1] / PageTokens
		first := n - 1
		for first > 0 && slots[first-1] == slots[first]-1 && slots[first-1]/PageTokens == page {
			first--
		}
		if p.filled[page] == int(slots[n-1]%PageTokens)+1 {
			p.filled[page] = int(slots[first] % PageTokens)
		}
	}
	p.own(slots, -1)
}
