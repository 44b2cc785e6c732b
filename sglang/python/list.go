package python

import (
	"slices"
	"strconv"
	"strings"
)

// array reads a list whose opening bracket has been read: Ints if all its elements are
// integers that fit 64 bits, else []Value. An empty list is a []Value.
func (d *decoder) array(depth int) Value {
	d.spend(containerBytes)
	list := []Value{}
	d.blanks()
	if d.peek() == ']' {
		d.at++
		return list
	}
	ints, more := d.ints()
	if !more {
		return ints
	}
	d.spend(len(ints) * (elementBytes + referredBytes))
	list = slices.Grow(list, len(ints)+1)
	for _, n := range ints {
		list = append(list, Int{Small: n})
	}
	for {
		d.spend(elementBytes + referredBytes)
		// append would grow by a quarter, and leave four times the list behind as garbage.
		if len(list) == cap(list) {
			list = slices.Grow(list, min(len(list)+1, d.memory/elementBytes+1))
		}
		list = append(list, d.value(depth+1))
		d.blanks()
		switch d.peek() {
		case ']':
			d.at++
			return list
		case ',':
			d.at++
			d.blanks()
		default:
			d.fail("Expecting ',' delimiter", d.at)
		}
	}
}

// ints reads the leading elements of a list that are integers of 64 bits. With more,
// the decoder is before the first element that is not; otherwise the list has ended. A
// body of token ids is one such list, so this is the path that must be fast: 8 bytes and
// no allocation for each element.
func (d *decoder) ints() (ints Ints, more bool) {
	for {
		rest := d.text[d.at:]
		n := numberLength(rest)
		if n == 0 {
			return ints, true
		}
		small, err := strconv.ParseInt(rest[:n], 10, 64)
		if err != nil {
			return ints, true
		}
		after := d.at + n
		end := after + blanksOf(d.text[after:])
		if end == len(d.text) || d.text[end] != ',' && d.text[end] != ']' {
			return ints, true // the caller reads the element again and reports the fault
		}
		d.spend(8) // an int64
		if ints == nil {
			ints = make(Ints, 0, min(countInts(rest), d.memory/8+1))
		}
		ints = append(ints, small)
		d.at = end + 1
		if d.text[end] == ']' {
			return ints, false
		}
		d.blanks()
	}
}

// countInts counts the elements of a list that continues with s, up to the first that
// is no plain integer, so that ints allocates once. It may count too many.
func countInts(s string) int {
	flat := strings.IndexFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') &&
			!strings.ContainsRune(", -\t\n\r", r)
	})
	if flat < 0 {
		flat = len(s)
	}
	return 1 + strings.Count(s[:flat], ",")
}
