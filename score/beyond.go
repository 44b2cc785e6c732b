package score

import "strconv"

// Beyond is the first integer of a list that int64 does not hold. In the list it is saturated, which keeps it outside of
// every vocabulary and of every item.
type Beyond struct {
	Index  int
	Digits string // in decimal, as the client meant it, for error messages
}

// digits are those of list[i]. b may be nil.
func (b *Beyond) digits(list []int64, i int) string {
	if b != nil && b.Index == i {
		return b.Digits
	}
	return strconv.FormatInt(list[i], 10)
}
