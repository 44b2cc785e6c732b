package profile

import (
	"cmp"
	"slices"
)

// interval is a stretch of time, in nanoseconds of the trace.
type interval struct{ start, end float64 }

func (i interval) length() float64 { return i.end - i.start }

// union returns the same time as disjoint intervals in order.
func union(in []interval) []interval {
	sorted := slices.Clone(in)
	slices.SortFunc(sorted, func(a, b interval) int { return cmp.Compare(a.start, b.start) })
	var out []interval
	for _, i := range sorted {
		switch {
		case i.end <= i.start:
		case len(out) > 0 && i.start <= out[len(out)-1].end:
			out[len(out)-1].end = max(out[len(out)-1].end, i.end)
		default:
			out = append(out, i)
		}
	}
	return out
}

// divide splits a at b: what is in both, and what is in a alone. Both must be unions.
func divide(a, b []interval) (both, alone []interval) {
	j := 0
	for _, rest := range a {
		for j < len(b) && b[j].end <= rest.start {
			j++
		}
		for k := j; k < len(b) && b[k].start < rest.end; k++ {
			common := interval{max(rest.start, b[k].start), min(rest.end, b[k].end)}
			if common.start > rest.start {
				alone = append(alone, interval{rest.start, common.start})
			}
			both = append(both, common)
			rest.start = common.end
		}
		if rest.end > rest.start {
			alone = append(alone, rest)
		}
	}
	return both, alone
}

// ownTimes tells how long each interval lasts without those that lie within it. Where two overlap otherwise, what both
// have is the later one's.
func ownTimes(in []interval) []float64 {
	order := make([]int, len(in))
	own := make([]float64, len(in))
	for i := range in {
		order[i], own[i] = i, in[i].length()
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(in[a].start, in[b].start), cmp.Compare(in[b].end, in[a].end))
	})
	var open []int // those that have begun and may not have ended, each within the one before
	for _, i := range order {
		for len(open) > 0 && in[open[len(open)-1]].end <= in[i].start {
			open = open[:len(open)-1]
		}
		if len(open) > 0 {
			outer := open[len(open)-1]
			own[outer] = max(0, own[outer]-(min(in[i].end, in[outer].end)-in[i].start))
		}
		open = append(open, i)
	}
	return own
}

func total(in []interval) float64 {
	sum := 0.0
	for _, i := range in {
		sum += i.length()
	}
	return sum
}

func longest(in []interval) float64 {
	most := 0.0
	for _, i := range in {
		most = max(most, i.length())
	}
	return most
}
