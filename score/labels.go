package score

import "scored/score/plan"

// labelSet holds the distinct labels of a request, in the order of their first
// appearance.
type labelSet struct {
	ids     []int32
	indexes map[int64]int // of ids; nil while they are few
}

// fewLabels is the size up to which a linear search is faster than a map, and allocates
// nothing.
const fewLabels = 16

// add returns the label's index in the set. It adds the label if it is new.
func (s *labelSet) add(label Label) int {
	id := int32(label.ID) // checked against the vocabulary
	if s.indexes == nil {
		for i, other := range s.ids {
			if other == id {
				return i
			}
		}
	} else if i, known := s.indexes[label.ID]; known {
		return i
	}
	last := len(s.ids)
	s.ids = append(s.ids, id)
	if s.indexes != nil {
		s.indexes[label.ID] = last
	} else if last == fewLabels {
		s.indexes = make(map[int64]int, 4*fewLabels)
		for i, id := range s.ids {
			s.indexes[int64(id)] = i
		}
	}
	return last
}

// columns maps a request's labels to the numbers of an answer. Each distinct label is
// read once at a place, however often the request names it.
type columns struct {
	labels     []int32
	of         []int      // by label of the request: index of the same label in labels
	positions  []int64    // the distinct positions of the request, ascending
	activation Activation // of a classifier; "" where the numbers are log-probabilities

	// Labels of several tokens use these fields in place of the ones above: see
	// sequenceColumns.
	tails      []plan.Tail  // one for each row of an item
	paths      [][]trieStep // by label of the request: where each of its tokens is read
	numbers    int          // how many numbers an item's answer has
	rows       int          // how many rows an item counts as
	longest    int          // tokens of the longest tail
	tailTokens int          // tokens of all tails
}

// passes returns how many rows an item counts as, at most: see plan.LabelPasses.
func (c *columns) passes() int {
	if c.tails != nil {
		return c.rows
	}
	return plan.LabelPasses(len(c.labels)) * (1 + len(c.positions))
}

// held returns how many tokens the rows of a prompt of n tokens hold in memory.
// computed returns how many of them a device computes that has nothing in its cache.
func (c *columns) held(n int) int     { return max(1, len(c.tails))*n + c.tailTokens }
func (c *columns) computed(n int) int { return n - 1 + max(1, len(c.tails)) + c.tailTokens }

// columnsOf maps labels that have been checked against the vocabulary to distinct ones.
// ok is false if there are more than most.
func columnsOf(labels []Label, most int) (c columns, ok bool) {
	set := labelSet{ids: make([]int32, 0, min(len(labels), fewLabels))}
	c.of = make([]int, len(labels))
	for i, label := range labels {
		if c.of[i] = set.add(label); len(set.ids) > most {
			return columns{}, false
		}
	}
	c.labels = set.ids
	return c, true
}
