package plan

import "fmt"

// Check tells what is wrong with the table: a slot that two nodes have, or pages whose
// owners are miscounted.
func (t *Table) check() error {
	seen := map[int32]bool{}
	owners := make([]int, len(t.pages.owners))
	var err error
	for _, root := range t.roots {
		root.each(func(n *node) {
			last := int32(-1)
			for _, slot := range n.slots {
				if seen[slot] {
					err = fmt.Errorf("slot %d is in two nodes", slot)
				}
				seen[slot] = true
				if page := slot / PageTokens; page != last {
					owners[page]++
					last = page
				}
				if int(slot%PageTokens) >= t.pages.filled[slot/PageTokens] {
					err = fmt.Errorf("slot %d is not handed out", slot)
				}
			}
		})
	}
	for page, n := range owners {
		if n != t.pages.owners[page] {
			err = fmt.Errorf("page %d has %d owners, %d are counted", page, n, t.pages.owners[page])
		}
	}
	return err
}

// CheckTable is check for tests outside.
func (p *Planner) CheckTable() error { return p.table.check() }

// Held is how many pages groups have set aside.
func (p *Planner) Held() int { return p.table.reserved }
