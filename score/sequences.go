package score

import (
	"fmt"
	"slices"

	"scored/score/plan"
)

// The score of a label of several tokens is the probability that all of them follow the
// prompt, one after the other: the exponential of the sum of their log-probabilities.
// To compute it, an item has rows that continue its prompt.
//
// Labels that begin alike share tokens, so all labels form a trie and each label is a
// path from its root. At every node but the last token of a label, the tokens that
// continue it are read, once. Every node that no other node follows ends a row.

// trieNode is a node of the trie of labels.
type trieNode struct {
	after labelSet            // the tokens that follow the node, which are read there
	next  map[int32]*trieNode // children, for those of the tokens that are not the last of a label
	first int                 // index of the node's first number among the item's
}

// trieStep is one token of a label's path: token k of those that follow node at.
type trieStep struct {
	at *trieNode
	k  int
}

// checkSequences refuses labels of several tokens that can never be scored.
func (l *limits) checkSequences(req *Request) error {
	if req.Sequences == nil {
		return nil
	}
	if len(req.Positions) > 0 {
		return Errorf(Invalid, positionsField,
			"%s goes with labels of one token each; leave it or label_mode out", positionsField)
	}
	tokens := 0
	for i, ids := range req.Sequences {
		if tokens += len(ids); tokens > l.maxScores {
			return Errorf(TooLarge, req.labelsField(),
				"%s has more than %d tokens, which is what the server takes at most; send each label once",
				req.labelsField(), l.maxScores)
		}
		field := fmt.Sprintf("%s[%d]", req.labelsField(), i)
		if len(ids) == 0 {
			return Errorf(Invalid, field, "%s has no tokens; a label needs one at least", field)
		}
		if k := l.badToken(ids); k >= 0 {
			return l.tokenError(field, ids, req.SequenceBeyond[i], k)
		}
		if most := MaxInput(l.context) - 1; len(ids) > most {
			return Errorf(Invalid, field, "%s has %d tokens, the longest that fits behind a "+
				"prompt has %d; use a shorter label", field, len(ids), most)
		}
	}
	return nil
}

// sequenceColumns builds the trie of labels of several tokens, and the rows that read
// it. ok is false if more than most tokens would be read behind one prompt.
func sequenceColumns(labels [][]int64, most int) (c columns, ok bool) {
	root := &trieNode{}
	c.paths = make([][]trieStep, len(labels))
	reads := 0
	for i, ids := range labels {
		at := root
		c.paths[i] = make([]trieStep, 0, len(ids))
		for n, id := range ids {
			known := len(at.after.ids)
			k := at.after.add(Label{ID: id})
			if k == known {
				reads++
			}
			if reads > most {
				return columns{}, false
			}
			c.paths[i] = append(c.paths[i], trieStep{at, k})
			if n < len(ids)-1 {
				at = at.child(int32(id))
			}
		}
		c.longest = max(c.longest, len(ids)-1)
	}
	root.layOut(nil, nil, &c)
	return c, true
}

// child returns the node behind one of the tokens that follow b, and makes it if it is
// new.
func (b *trieNode) child(id int32) *trieNode {
	next := b.next[id]
	if next == nil {
		if b.next == nil {
			b.next = map[int32]*trieNode{}
		}
		next = &trieNode{}
		b.next[id] = next
	}
	return next
}

// layOut adds to c the tails of the rows that go through b. path holds the tokens from
// the root to b. above holds the nodes before b, from the root down, that no row reads
// yet: the first of these rows reads them.
func (b *trieNode) layOut(path []int32, above []*trieNode, c *columns) {
	above = append(above, b)
	for _, id := range b.after.ids {
		if next := b.next[id]; next != nil {
			next.layOut(append(path, id), above, c)
			above = nil
		}
	}
	if len(b.next) > 0 {
		return
	}
	tail := plan.Tail{Tokens: slices.Clone(path), Labels: b.after.ids}
	for i, node := range above {
		node.first = c.numbers
		c.numbers += len(node.after.ids)
		c.rows += plan.LabelPasses(len(node.after.ids))
		if back := len(above) - 1 - i; back > 0 {
			tail.Inner = append(tail.Inner, plan.Read{Back: back, Labels: node.after.ids})
		}
	}
	c.tails = append(c.tails, tail)
	c.tailTokens += len(path)
}

// logprob returns label k's log-probability. For labels of one token, answer holds one
// number for each distinct label. For labels of several tokens it is an item's whole
// answer; then the result is the sum over the label's tokens or, with normalize, the
// mean.
func (c *columns) logprob(answer []float32, k int, normalize bool) float64 {
	if c.paths == nil {
		return float64(answer[c.of[k]])
	}
	sum := 0.0
	for _, t := range c.paths[k] {
		sum += float64(answer[t.at.first+t.k])
	}
	if normalize {
		sum /= float64(len(c.paths[k]))
	}
	return sum
}
