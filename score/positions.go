package score

import (
	"cmp"
	"fmt"
	"slices"

	"scored/score/plan"
)

const positionsField = "score_positions"

// checkPositions refuses positions that no item can have in a context of so many tokens.
// It does not look at lengths of items: see checkPlaces.
func (r *Request) checkPositions(context int) error {
	if len(r.Positions) > 0 && !r.Query.IsTokens {
		return Errorf(Invalid, positionsField,
			"%s counts tokens of items, and a text is tokenized together with its query; "+
				"send query and items as lists of token ids", positionsField)
	}
	if n := len(r.Positions); n > context {
		return Errorf(Invalid, positionsField,
			"%s has %d entries, a prompt has less than %d tokens; send each position once",
			positionsField, n, context)
	}
	return nil
}

// atPositions describes a request's positions for an error, or returns "" if it has
// none.
func atPositions(req *Request) string {
	if len(req.Positions) == 0 {
		return ""
	}
	return fmt.Sprintf(" at %d positions and the end", len(req.Positions))
}

// distinct returns the distinct positions in ascending order.
func distinct(positions []int64) []int64 {
	all := slices.Clone(positions)
	slices.Sort(all)
	return slices.Compact(all)
}

// itemTokens returns how many of item i's own tokens are in its prompt of prompt
// tokens, which may have been cut at its end.
func (r *Request) itemTokens(i, prompt int) int {
	if r.ItemFirst {
		return min(len(r.Items[i].Tokens), prompt)
	}
	return max(0, prompt-len(r.Query.Tokens))
}

// checkPlaces refuses positions that item i does not have in its prompt of prompt
// tokens.
func (r *Request) checkPlaces(i, prompt int) error {
	n := int64(r.itemTokens(i, prompt))
	for k, p := range r.Positions {
		if p >= -n && p < n {
			continue
		}
		field, kept := fmt.Sprintf("%s[%d]", positionsField, k), ""
		if n < int64(len(r.Items[i].Tokens)) {
			kept = " left"
		}
		return Errorf(Invalid, field, "%s is %s, and %s has %d tokens%s; a position is one of the "+
			"item's tokens, 0 the first and -1 the last",
			field, r.PositionBeyond.digits(r.Positions, k), r.itemField(i), n, kept)
	}
	return nil
}

// back returns how many tokens follow a position of item i in its prompt of prompt
// tokens. The position must have been checked.
func (r *Request) back(i, prompt int, position int64) int {
	n := r.itemTokens(i, prompt)
	at := int(position)
	if at < 0 {
		at += n
	}
	if !r.ItemFirst {
		at += prompt - n
	}
	return prompt - 1 - at
}

// inner returns the places of item i's prompt of prompt tokens that are read before its
// last token, from the first to the last.
func (c *columns) inner(req *Request, i, prompt int) []plan.Read {
	reads := make([]plan.Read, 0, len(c.positions))
	for _, p := range c.positions {
		if back := req.back(i, prompt, p); back > 0 {
			reads = append(reads, plan.Read{Back: back, Labels: c.labels})
		}
	}
	slices.SortFunc(reads, func(a, b plan.Read) int { return cmp.Compare(b.Back, a.Back) })
	return slices.CompactFunc(reads, func(a, b plan.Read) bool { return a.Back == b.Back })
}

// numbersAt returns the numbers of an answer that were read back tokens before the end.
// inner lists the places before the end, as method inner returns them.
func (c *columns) numbersAt(answer []float32, inner []plan.Read, back int) []float32 {
	place, _ := slices.BinarySearchFunc(inner, back,
		func(r plan.Read, back int) int { return cmp.Compare(back, r.Back) })
	return answer[place*len(c.labels):][:len(c.labels)]
}

// multiplied returns the field to blame for a request that counts as n where most are
// allowed. n is a multiple of places, the number of places at which each item is read.
// So the positions are to blame if the request would fit without them; otherwise the
// labels, or a classifier's texts.
func (r *Request) multiplied(n, places, most int) string {
	switch {
	case places > 1 && n/places <= most:
		return positionsField
	case r.Classify:
		return r.itemsField()
	}
	return r.labelsField()
}
