package app

import (
	"log/slog"
	"strings"
	"testing"

	"scored/target"
)

// TestPriceOfOtherSteps: a price of another dtype is not used, and the log says so.
func TestPriceOfOtherSteps(t *testing.T) {
	p := &Price{Attention: target.Native, DType: target.BFloat16, Price: target.Price{Flops: 1, Bytes: 1, Attention: 1}}
	for dtype, want := range map[target.DType]bool{target.BFloat16: false, target.Float32: true} {
		var said strings.Builder
		if p.warn(target.Native, dtype, slog.New(slog.NewTextHandler(&said, nil))); (said.Len() > 0) != want || p.isOf(target.Native, dtype) == want {
			t.Errorf("%s: log says %q", dtype, said.String())
		}
	}
	var none *Price
	none.warn(target.Native, target.Float32, slog.New(slog.DiscardHandler))
}
