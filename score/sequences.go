package score

import (
	"fmt"
	"slices"

	"scored/score/plan"
)

// A label of several tokens scores as the chance of all of them, one after the other, behind the prompt: the sum of their
// log-probabilities. For that an item has rows that go on from its prompt. Labels that begin alike share what they share:
// a tree of all labels' tokens, in which each label is a way from the root. Behind each of the tree's nodes but a label's
// last token, the tokens that go on from it are read, once; each of those nodes that no other follows ends a row.

// branch is a node of the tree.
type branch struct {
	after labelSet          // the tokens behind it, which are read there
	next  map[int32]*branch // those of them that labels go on from
	first int               // where its numbers begin among the item's
}

// fork is a step of a label's way: which of the tokens behind a node is its own.
type fork struct {
	at *branch
	k  int
}

// checkSequences refuses labels of several tokens that can never be scored.
func (s *Scorer) checkSequences(req *Request) error {
	if req.Sequences == nil {
		return nil
	}
	if len(req.Positions) > 0 {
		return Errorf(Invalid, positionsField, "%s goes with labels of one token each; leave it or label_mode out", positionsField)
	}
	tokens := 0
	for i, ids := range req.Sequences {
		if tokens += len(ids); tokens > s.cfg.MaxScores {
			return Errorf(TooLarge, req.labelsField(), "%s has more than %d tokens, which is what the server takes at most; send each label once",
				req.labelsField(), s.cfg.MaxScores)
		}
		field := fmt.Sprintf("%s[%d]", req.labelsField(), i)
		if len(ids) == 0 {
			return Errorf(Invalid, field, "%s has no tokens; a label needs one at least", field)
		}
		if k := s.badToken(ids); k >= 0 {
			return s.tokenError(field, ids, req.SequenceBeyond[i], k)
		}
		if most := MaxInput(s.cfg.ContextLength) - 1; len(ids) > most {
			return Errorf(Invalid, field, "%s has %d tokens, the longest that fits behind a prompt has %d; use a shorter label", field, len(ids), most)
		}
	}
	return nil
}

// branchesOf sorts labels of several tokens out. With more than most tokens to read behind one prompt ok is false.
func branchesOf(labels [][]int64, most int) (c columns, ok bool) {
	root := &branch{}
	c.ways = make([][]fork, len(labels))
	reads := 0
	for i, ids := range labels {
		at := root
		c.ways[i] = make([]fork, 0, len(ids))
		for n, id := range ids {
			known := len(at.after.ids)
			k := at.after.add(Label{ID: id})
			if k == known {
				reads++
			}
			if reads > most {
				return columns{}, false
			}
			c.ways[i] = append(c.ways[i], fork{at, k})
			if n < len(ids)-1 {
				at = at.goOn(int32(id))
			}
		}
		c.longest = max(c.longest, len(ids)-1)
	}
	root.lay(nil, nil, &c)
	return c, true
}

// goOn is the node behind one of the tokens.
func (b *branch) goOn(id int32) *branch {
	next := b.next[id]
	if next == nil {
		if b.next == nil {
			b.next = map[int32]*branch{}
		}
		next = &branch{}
		b.next[id] = next
	}
	return next
}

// lay makes the tails of the rows that go through the node, which stands behind the tokens of path. above are the nodes
// before it, from the first to the last, that no row reads yet: the first of these does.
func (b *branch) lay(path []int32, above []*branch, c *columns) {
	above = append(above, b)
	for _, id := range b.after.ids {
		if next := b.next[id]; next != nil {
			next.lay(append(path, id), above, c)
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
		c.rooms += plan.LabelPasses(len(node.after.ids))
		if back := len(above) - 1 - i; back > 0 {
			tail.Inner = append(tail.Inner, plan.Read{Back: back, Labels: node.after.ids})
		}
	}
	c.tails = append(c.tails, tail)
	c.tailTokens += len(path)
}

// logprob is label k's number, of an answer by distinct label or, for labels of several tokens, of an item's whole answer:
// the mean by token with normalize.
func (c *columns) logprob(answer []float32, k int, normalize bool) float64 {
	if c.ways == nil {
		return float64(answer[c.of[k]])
	}
	sum := 0.0
	for _, t := range c.ways[k] {
		sum += float64(answer[t.at.first+t.k])
	}
	if normalize {
		sum /= float64(len(c.ways[k]))
	}
	return sum
}
