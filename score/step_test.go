package score

import "testing"

// TestLeftoverRate: rows that stay behind are not rated by a bucket too short for them, however cheap it is.
func TestLeftoverRate(t *testing.T) {
	short := filled{bucket: Bucket{Length: 8, Cost: 100}, tokens: 200}
	long := filled{bucket: Bucket{Length: 32, Cost: 100}, tokens: 100}
	dear := filled{bucket: Bucket{Length: 32, Cost: 300}, tokens: 150}
	for _, c := range []struct {
		longest int
		want    float64
	}{
		{8, 0.5},
		{9, 1},
		{32, 1},
		{33, 1}, // none holds it: the longest there are
	} {
		if got := leftoverRate([]filled{short, dear, long}, c.longest); got != c.want {
			t.Errorf("rows of up to %d tokens: %v a token, want %v", c.longest, got, c.want)
		}
	}
}
