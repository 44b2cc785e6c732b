package plan

import "slices"

// Table knows which prefixes the KV cache of a device holds, and where. It is a radix tree over tokens, one for each salt:
// a node is a run of tokens that follows its parent's, and has a slot for each of them. So prefixes that begin alike share
// slots, and one that goes on from another needs no copy. What was used least recently gives its pages up first.
//
// A device runs steps in the order in which they were planned. So the table says what the cache will hold when the next
// step runs: a slot may be handed out again while a step that reads it is still queued.
type Table struct {
	pages    *pages
	keep     int // pages in use beyond which something unused gives its own up, if it can
	roots    map[string]*node
	now      int64 // number of the step being planned
	holds    map[*node]int
	reserved int  // pages that holds may need, taken together
	claimed  bool // no group gets a hold that has none: see Planner.Next
	resets   int  // how often the table was emptied
}

// node is a run of tokens in the tree. A root has none.
type node struct {
	parent   *node
	salt     string // of a root
	tokens   []int32
	slots    []int32
	children []*node
	used     int64 // number of the last step that used it
	made     int64 // number of the step that computes it
}

// NewTable makes the table of a cache of so many pages. While more than keep are in use, unused prefixes make room for new
// ones before free pages do; keep 0 means all.
func NewTable(pages, keep int) *Table {
	if keep == 0 || keep > pages {
		keep = pages
	}
	t := &Table{keep: keep}
	t.pages = newPages(pages)
	t.empty()
	return t
}

func (t *Table) empty() {
	t.pages = newPages(len(t.pages.owners))
	t.roots, t.holds, t.reserved = map[string]*node{}, map[*node]int{}, 0
	t.resets++
}

// Reset drops every prefix and tells how many there were, those counted once that another goes on from.
func (t *Table) Reset() (dropped int) {
	for _, root := range t.roots {
		dropped += root.leaves()
	}
	t.empty()
	return dropped
}

func (n *node) leaves() (leaves int) {
	for _, child := range n.children {
		leaves += max(child.leaves(), 1)
	}
	return leaves
}

// Match is how many leading tokens of the prompt the cache holds for prompts of this salt.
func (t *Table) Match(salt string, prompt []int32) int {
	_, shared := t.find(salt, prompt)
	return shared
}

// find gives the deepest node that holds a token of the prompt, or the root, or nil, and how many leading tokens the
// prompt shares with the tree.
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

// child is the one that begins with the first of the tokens.
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

// put makes the table hold the prompt, and gives its slots, the last missing of which the step must compute. It uses what
// the cache holds of the prompt already, and drops what this step does not use to make room. Without room it gives nil.
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
	more := &node{parent: at, tokens: slices.Clone(prompt[shared:]), slots: t.pages.take(missing, at.lastSlot()), used: t.now, made: t.now}
	at.children = append(at.children, more)
	root := more
	for root.parent != nil {
		root = root.parent
	}
	t.roots[salt] = root // it may be new, or have lost its last child to make room
	return more.path(len(prompt)), missing
}

// hold keeps what the table has of the prompt from being dropped until release, and sets pages aside for all of it. It
// is false if holds together need more than there is.
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

// mostPages is how many pages a prefix needs at most that goes on from no more than one other.
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

// holding is how many pages a hold has set aside; 0 if there is none.
func (t *Table) holding(h *hold) int {
	if h.resets != t.resets {
		return 0
	}
	return h.pages
}

// hold is a claim to a prefix; the zero value is none.
type hold struct {
	at     *node
	pages  int
	resets int // Table.resets when it was made: a table that was emptied since knows nothing of it
}

// before is how many tokens stand before the node's.
func (n *node) before() (tokens int) {
	for at := n.parent; at != nil; at = at.parent {
		tokens += len(at.tokens)
	}
	return tokens
}

// path are the slots of the leading tokens up to the node's last.
func (n *node) path(tokens int) []int32 {
	slots := make([]int32, tokens)
	end := tokens
	for at := n; at != nil; at = at.parent {
		end -= len(at.slots)
		copy(slots[end:], at.slots)
	}
	return slots
}

func (n *node) lastSlot() int32 {
	if len(n.slots) == 0 {
		return -1
	}
	return n.slots[len(n.slots)-1]
}

// use marks the node and those before it as used by a step.
func (n *node) use(step int64) {
	for at := n; at != nil; at = at.parent {
		at.used = step
	}
}

// split cuts a node in two behind its first tokens, and gives the first part, which takes the node's place.
func (t *Table) split(n *node, first int) *node {
	upper := &node{parent: n.parent, tokens: n.tokens[:first:first], slots: n.slots[:first:first], children: []*node{n}, used: n.used, made: n.made}
	n.parent.children[slices.Index(n.parent.children, n)] = upper
	n.parent, n.tokens, n.slots = upper, n.tokens[first:], n.slots[first:]
	if upper.lastSlot()/PageTokens == n.slots[0]/PageTokens {
		t.pages.own(n.slots[:1], 1) // both have slots in that page
	}
	return upper
}

// makeRoom drops prefixes that the step does not use until so many tokens fit behind a slot.
func (t *Table) makeRoom(tokens int, after int32) bool {
	need := PagesFor(max(0, tokens-t.pages.tail(after)))
	for t.pages.used+need > t.keep {
		if !t.dropOldest() {
			break
		}
	}
	return t.pages.room(after) >= tokens
}

// dropOldest drops the prefix that was used least recently, as far as no other goes on from it; false if the step uses or a
// group holds all there are.
func (t *Table) dropOldest() bool {
	var oldest *node
	for _, root := range t.roots {
		root.each(func(n *node) {
			if len(n.children) == 0 && n.used < t.now && t.holds[n] == 0 && (oldest == nil || n.used < oldest.used) {
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

// each visits the nodes below n.
func (n *node) each(visit func(*node)) {
	for _, child := range slices.Clone(n.children) {
		child.each(visit)
		visit(child)
	}
}

// drop takes a node without children out, and a root that is left without any.
func (t *Table) drop(n *node) {
	n.parent.children = slices.DeleteFunc(n.parent.children, func(other *node) bool { return other == n })
	t.pages.giveBack(n.slots)
	if root := n.parent; root.parent == nil && len(root.children) == 0 {
		delete(t.roots, root.salt)
	}
}

// Forget drops what a step was to compute, and all that goes on from it.
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

// Shared counts the leading tokens that two runs have in common.
func Shared(a, b []int32) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
