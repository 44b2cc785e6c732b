package score

import "scored/score/plan"

// labelSet is the distinct labels of a request, in the order of their first appearance.
type labelSet struct {
	ids    []int32
	places map[int64]int // nil while they are few
}

// fewLabels are found faster, and without garbage, by looking at each.
const fewLabels = 16

// add gives the label's place, and adds it if it is new.
func (s *labelSet) add(label Label) int {
	id := int32(label.ID) // checked against the vocabulary
	if s.places == nil {
		for place, other := range s.ids {
			if other == id {
				return place
			}
		}
	} else if place, known := s.places[label.ID]; known {
		return place
	}
	place := len(s.ids)
	s.ids = append(s.ids, id)
	if s.places != nil {
		s.places[label.ID] = place
	} else if place == fewLabels {
		s.places = make(map[int64]int, 4*fewLabels)
		for place, id := range s.ids {
			s.places[int64(id)] = place
		}
	}
	return place
}

// columns are a request's distinct labels, each of which is read once at a place, and each label's place among them.
type columns struct {
	labels    []int32
	of        []int   // by label of the request
	positions []int64 // the distinct ones of the request
	// activation makes scores of a classifier's logits; "" where the numbers are log-probabilities.
	activation Activation

	// Labels of several tokens have these in place of all that: see branchesOf.
	tails      []plan.Tail // of an item's rows
	ways       [][]fork    // by label of the request: where each of its tokens is read
	numbers    int         // of an item's answer
	rooms      int         // of rows that an item takes
	longest    int         // tokens of the longest tail
	tailTokens int         // of all tails
}

// passes is how many rows' room an item takes at most.
func (c *columns) passes() int {
	if c.tails != nil {
		return c.rooms
	}
	return plan.LabelPasses(len(c.labels)) * (1 + len(c.positions))
}

// held is how many tokens the rows of a prompt of n hold in memory, and computed how many of them a device computes that
// keeps nothing.
func (c *columns) held(n int) int     { return max(1, len(c.tails))*n + c.tailTokens }
func (c *columns) computed(n int) int { return n - 1 + max(1, len(c.tails)) + c.tailTokens }

// columnsOf sorts out labels that have been checked against the vocabulary. With more than most distinct ones ok is false.
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
