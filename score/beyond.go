package score

import "strconv"

// Beyond is the first integer of a list that does not fit int64. In the list it is
// saturated, so it stays outside of every vocabulary and every item.
type Beyond struct {
	Index  int
	Digits string // in decimal, as the client wrote it, for error messages
}

// digits returns list[i] in decimal, as the client wrote it. b may be nil.
func (b *Beyond) digits(list []int64, i int) string {
	if b != nil && b.Index == i {
		return b.Digits
	}
	return strconv.FormatInt(list[i], 10)
}
