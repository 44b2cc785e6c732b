package profile

import (
	"cmp"
	"math"
	"slices"
)

// interval is a range of time in nanoseconds since the trace began. At ten minutes, two
// neighbouring float64 are a ten-thousandth of a nanosecond apart.
type interval struct{ start, end float64 }

// length returns the duration in nanoseconds.
func (i interval) length() float64 { return i.end - i.start }

// union returns the time that any of the intervals covers, as disjoint intervals in
// ascending order with gaps between them. Empty intervals are dropped.
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

// divide splits the time of a into the part that b covers as well, and the rest. a and b
// must be unions; the results are. It takes time linear in their lengths.
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

// ownTimes returns the length of each interval without the time of those that begin
// later: time that several cover belongs to the one that began last. In a line of
// nested ops that is the innermost one, so an own time is an op's without the ops that
// it runs. The sum of all own times is the length of their union.
func ownTimes(in []interval) []float64 {
	order := make([]int, len(in))
	for i := range in {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(in[a].start, in[b].start), cmp.Compare(in[b].end, in[a].end))
	})
	own := make([]float64, len(in))
	var open []int // begun, the latest last; some may have ended
	now := 0.0
	until := func(end float64) { // gives the time from now to end to the latest that lasts
		for len(open) > 0 && now < end {
			latest := open[len(open)-1]
			if last := min(in[latest].end, end); last > now {
				own[latest] += last - now
				now = last
			}
			if in[latest].end <= now {
				open = open[:len(open)-1]
			}
		}
		now = end
	}
	for _, i := range order {
		until(in[i].start)
		open = append(open, i)
	}
	until(math.Inf(1))
	return own
}

// total returns the sum of the lengths.
func total(in []interval) float64 {
	sum := 0.0
	for _, i := range in {
		sum += i.length()
	}
	return sum
}

// longest returns the length of the longest interval; 0 of none.
func longest(in []interval) float64 {
	most := 0.0
	for _, i := range in {
		most = max(most, i.length())
	}
	return most
}
