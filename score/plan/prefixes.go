package plan

import "slices"

// Table knows which prefixes the KV cache of a device holds, and in which slots. It is
// a radix tree over tokens, one for each salt. A node is a run of tokens that follows
// its parent's and has a slot for each token. So prefixes that begin alike share slots,
// and a prefix that continues another needs no copy. Pages of the least recently used
// prefixes are reused first.
//
// A device runs steps in the order in which they were planned. So the table describes
// the cache as it will be when the next step runs: a slot may be handed out again while
// a step that reads it is still queued.
type Table struct {
	pages    *pages
	keep     int // pages in use above which unused prefixes are dropped for new ones
	roots    map[string]*node
	now      int64 // number of the step being planned
	holds    map[*node]int
	reserved int  // pages that all holds together may need
	claimed  bool // no group gets a new hold: see Planner.Next
	resets   int  // how often the table was emptied
}

// node is a run of tokens in the tree. A root has no tokens.
type node struct {
	parent   *node
	salt     string // roots only
	tokens   []int32
	slots    []int32
	children []*node
	used     int64 // number of the last step that used it
	made     int64 // number of the step that computes it
}

// NewTable returns the empty table of a cache of pages pages. While more than keep
// pages are in use, unused prefixes are dropped for new ones before free pages are
// used. keep 0 means all pages.
func NewTable(pages, keep int) *Table {
	if keep == 0 || keep > pages {
		keep = pages
	}
	t := &Table{keep: keep}
	t.pages = newPages(pages)
	t.empty()
	return t
}

// empty drops all prefixes and holds. Holds made before are recognized by their value
// of resets.
func (t *Table) empty() {
	t.pages = newPages(len(t.pages.owners))
	t.roots, t.holds, t.reserved = map[string]*node{}, map[*node]int{}, 0
	t.resets++
}

// Reset drops every prefix and returns how many there were. A prefix that another
// continues is not counted.
func (t *Table) Reset() (dropped int) {
	for _, root := range t.roots {
		dropped += root.leaves()
	}
	t.empty()
	return dropped
}

// leaves returns how many nodes below n have no children.
func (n *node) leaves() (leaves int) {
	for _, child := range n.children {
		leaves += max(child.leaves(), 1)
	}
	return leaves
}

// Match returns how many leading tokens of the prompt the cache holds for requests of
// this salt.
func (t *Table) Match(salt string, prompt []int32) int {
	_, shared := t.find(salt, prompt)
	return shared
}

// find returns how many leading tokens the prompt shares with the tree, and the deepest
// node that holds one of these tokens. The node is the root if they share none, and nil
// if the salt has no tree.
func (t *Table) find(salt string, prompt []int32) (at *node, shared int) {
	at = t.roots[salt]
	for at != nil {
		child := at.child(prompt[shared:])
		if child == nil {
			break
		}
		n := Shared(child.tokens, prompt[shared:])
		at, shared = child, shared+n
		if n < len(child.tokens) {
			break
		}
	}
	return at, shared
}

// child returns the child that begins with the first of the tokens, or nil.
func (n *node) child(tokens []int32) *node {
	if len(tokens) == 0 {
		return nil
	}
	for _, child := range n.children {
		if child.tokens[0] == tokens[0] {
			return child
		}
	}
	return nil
}

// put makes the table hold the prompt and returns its slots. The step must compute the
// last missing tokens; the cache holds the others already. To make room, put drops
// prefixes that this step does not use. Without room it returns nil.
func (t *Table) put(salt string, prompt []int32) (slots []int32, missing int) {
	at, shared := t.find(salt, prompt)
	if at == nil {
		at = &node{salt: salt}
	}
	at.use(t.now)
	end := at.before() + len(at.tokens)
	missing = len(prompt) - shared
	if missing == 0 {
		return at.path(end)[:shared], 0
	}
	if end > shared {
		at = t.split(at, len(at.tokens)-(end-shared))
	}
	if !t.makeRoom(missing, at.lastSlot()) {
		return nil, 0
	}
	more := &node{parent: at, tokens: slices.Clone(prompt[shared:]),
		slots: t.pages.take(missing, at.lastSlot()), used: t.now, made: t.now}
	at.children = append(at.children, more)
	root := more
	for root.parent != nil {
		root = root.parent
	}
	t.roots[salt] = root // it may be new, or was deleted with its last child to make room
	return more.path(len(prompt)), missing
}

// hold keeps the cached part of the prompt from being dropped until release, and
// reserves pages for all of it. It returns false if the holds together would need more
// pages than there are.
func (t *Table) hold(salt string, prompt []int32, h *hold) bool {
	pages := t.holding(h)
	if pages == 0 {
		pages = mostPages(len(prompt))
		if t.claimed || t.reserved > 0 && t.reserved+pages > len(t.pages.owners) {
			return false
		}
	}
	at, _ := t.find(salt, prompt)
	t.release(h)
	*h = hold{at: at, pages: pages, resets: t.resets}
	t.holds[at]++
	t.reserved += pages
	return true
}

// mostPages returns how many pages a prefix needs at most if it continues no more than
// one other prefix.
func mostPages(tokens int) int { return PagesFor(tokens) + 1 }

// release ends a hold, if there is one.
func (t *Table) release(h *hold) {
	if t.holding(h) == 0 {
		*h = hold{}
		return
	}
	if t.holds[h.at]--; t.holds[h.at] <= 0 {
		delete(t.holds, h.at)
	}
	t.reserved -= h.pages
	*h = hold{}
}

// holding returns how many pages a hold has reserved; 0 if it is none, or from before
// the last reset.
func (t *Table) holding(h *hold) int {
	if h.resets != t.resets {
		return 0
	}
	return h.pages
}

// hold is a claim to a prefix. The zero value is no claim.
type hold struct {
	at     *node
	pages  int
	resets int // Table.resets when it was made: the hold ends when the table is emptied
}

// before returns how many tokens of the prefix precede the node's.
func (n *node) before() (tokens int) {
	for at := n.parent; at != nil; at = at.parent {
		tokens += len(at.tokens)
	}
	return tokens
}

// path returns the slots of the first tokens tokens of the prefix that ends with the
// node.
func (n *node) path(tokens int) []int32 {
	slots := make([]int32, tokens)
	end := tokens
	for at := n; at != nil; at = at.parent {
		end -= len(at.slots)
		copy(slots[end:], at.slots)
	}
	return slots
}

// lastSlot returns the slot of the node's last token, or -1 for a root.
func (n *node) lastSlot() int32 {
	if len(n.slots) == 0 {
		return -1
	}
	return n.slots[len(n.slots)-1]
}

// use marks the node and its ancestors as used by a step.
func (n *node) use(step int64) {
	for at := n; at != nil; at = at.parent {
		at.used = step
	}
}

// split cuts a node in two behind its first tokens. It returns the first part, which
// takes the node's place in the tree.
func (t *Table) split(n *node, first int) *node {
	upper := &node{parent: n.parent, tokens: n.tokens[:first:first], slots: n.slots[:first:first],
		children: []*node{n}, used: n.used, made: n.made}
	n.parent.children[slices.Index(n.parent.children, n)] = upper
	n.parent, n.tokens, n.slots = upper, n.tokens[first:], n.slots[first:]
	if upper.lastSlot()/PageTokens == n.slots[0]/PageTokens {
		t.pages.own(n.slots[:1], 1) // both parts have slots in that page
	}
	return upper
}

// makeRoom drops prefixes that the step does not use until tokens more tokens fit
// behind slot after. It returns false if they do not fit.
func (t *Table) makeRoom(tokens int, after int32) bool {
	need := PagesFor(max(0, tokens-t.pages.tail(after)))
	for t.pages.used+need > t.keep {
		if !t.dropOldest() {
			break
		}
	}
	return t.pages.room(after) >= tokens
}

// dropOldest drops the node that was used least recently among those without children.
// It returns false if all of these are used by the step or held by a group.
func (t *Table) dropOldest() bool {
	var oldest *node
	for _, root := range t.roots {
		root.each(func(n *node) {
			if len(n.children) == 0 && n.used < t.now && t.holds[n] == 0 &&
				(oldest == nil || n.used < oldest.used) {
				oldest = n
			}
		})
	}
	if oldest == nil {
		return false
	}
	t.drop(oldest)
	return true
}

// each calls visit for all nodes below n, children before their parent.
func (n *node) each(visit func(*node)) {
	for _, child := range slices.Clone(n.children) {
		child.each(visit)
		visit(child)
	}
}

// drop removes a node without children, and its root if that has no other child.
func (t *Table) drop(n *node) {
	n.parent.children = slices.DeleteFunc(n.parent.children,
		func(other *node) bool { return other == n })
	t.pages.giveBack(n.slots)
	if root := n.parent; root.parent == nil && len(root.children) == 0 {
		delete(t.roots, root.salt)
	}
}

// Forget drops the tokens that a step was to compute, and all tokens that continue them.
func (t *Table) Forget(step int64) {
	for _, root := range t.roots {
		root.each(func(n *node) {
			if n.made == step {
				n.each(t.drop)
				t.drop(n)
			}
		})
	}
}

// Shared returns how many leading tokens two runs have in common.
func Shared(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
