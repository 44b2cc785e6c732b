package kerneltest

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"scored/model/kernel"
)

// TestAttention runs every case on the kernels that make returns for a shape. shapes,
// by name, are those in which numbers are compared. small has several blocks of tokens
// and at least three of context keys, two query heads and one key-value head.
func TestAttention(t *testing.T, shapes map[string]kernel.Shape, small kernel.Shape,
	make func(kernel.Shape) Kernels) {
	for name, shape := range shapes {
		t.Run("softmax/"+name, func(t *testing.T) {
			t.Parallel()
			attends(t, NewStep(shape, make(shape), 1))
		})
	}
	for _, bad := range []float64{math.Inf(1), math.Inf(-1), math.NaN()} {
		t.Run(fmt.Sprint("overflow/", bad), func(t *testing.T) {
			t.Parallel()
			overflowStays(t, NewStep(small, make(small), 3), bad)
		})
	}
	t.Run("large values outside", func(t *testing.T) {
		t.Parallel()
		outsideIsHarmless(t, NewStep(small, make(small), 4))
	})
	t.Run("blocks", func(t *testing.T) {
		t.Parallel()
		onlySpansAreRead(t, NewStep(small, make(small), 6))
	})
	t.Run("ranges", func(t *testing.T) {
		t.Parallel()
		rangesAreExact(t, NewStep(small, make(small), 5))
	})
}

// attends compares numbers with the definition, to the precision of bfloat16: weights
// enter the product with the values rounded to 8 bits, which moves a number by a few
// hundredths at most and a thousandth on average.
func attends(t *testing.T, s *Step) {
	if err := s.kernels.Check(); err != nil {
		t.Fatal(err)
	}
	got, worst, sum, n := s.Run(t), 0.0, 0.0, 0.0
	for token := range s.Tokens {
		for head := range s.Heads {
			want := s.want(token, head)
			for d, x := range s.head(got, token, head) {
				off := math.Abs(x - want[d])
				if math.IsNaN(off) {
					t.Fatalf("token %d, head %d, number %d is %v, want %v", token, head, d, x, want[d])
				}
				worst, sum, n = max(worst, off), sum+off, n+1
			}
		}
	}
	t.Logf("off by up to %.4f, %.5f on average", worst, sum/n)
	if worst > 0.04 || sum/n > 0.001 {
		t.Errorf("numbers are off by up to %.4f, %.5f on average; want 0.04 and 0.001", worst, sum/n)
	}
}

// head returns the attention output of a token's head.
func (s *Step) head(output *Array, token, head int) []float64 {
	return output.Data[token*output.Dims[1]+head*s.HeadDim:][:s.HeadDim]
}

// overflowStays: a value of the step that is not finite reaches the tokens that attend
// to it, and no other.
func overflowStays(t *testing.T, s *Step, bad float64) {
	broken := s.Tokens / 2
	s.value(broken, 0)[5] = bad
	got := s.Run(t)
	for token := range s.Tokens {
		_, own := s.keys(token)
		attends := slices.Contains(own, broken)
		for head := range s.Heads {
			if is := math.IsNaN(s.head(got, token, head)[0]); is != attends {
				t.Errorf("token %d, head %d: NaN %v, attends to it %v", token, head, is, attends)
			}
		}
	}
}

// outsideIsHarmless: keys of the context that are NaN, and values as large as there
// are, change no bit of a token that does not attend to them.
func outsideIsHarmless(t *testing.T, s *Step) {
	want := slices.Clone(s.Run(t).Data)
	middle := s.Shape.Context / 2
	for key := middle - 10; key < middle+10; key++ {
		k, v := s.contextKey(key, 0)
		for i := range k {
			k[i], v[i] = math.NaN(), BFloat16(math.MaxFloat32/1.01)
		}
	}
	got, width, spared := s.Run(t), s.Heads*s.HeadDim, 0
	for token := range s.Tokens {
		attends := int(s.From[token]) < middle+10 && int(s.To[token]) > middle-10
		changed := !slices.Equal(got.Data[token*width:][:width], want[token*width:][:width])
		if changed != attends {
			t.Errorf("token %d, which attends to %d … %d of the context: numbers change %v, want %v",
				token, s.From[token], s.To[token]-1, changed, attends)
		}
		if !attends {
			spared++
		}
	}
	if spared < 20 || spared > s.Tokens-20 {
		t.Errorf("%d of %d tokens do not attend to the keys that changed; the case tells little",
			spared, s.Tokens)
	}
}

// onlySpansAreRead: a block of tokens that attends to one block of the context reads no
// other. Values that are NaN would tell, since even the weight 0 makes them NaN.
func onlySpansAreRead(t *testing.T, s *Step) {
	size := s.kernels.Blocks().Context
	if s.Shape.Context < 3*size {
		t.Fatalf("context of %d keys has no blocks of %d around another", s.Shape.Context, size)
	}
	for token := range s.Tokens {
		s.From[token], s.To[token] = int32(size+3), int32(2*size-5)
	}
	for key := range s.Shape.Context {
		if key/size != 1 {
			_, v := s.contextKey(key, 0)
			v[0] = math.NaN()
		}
	}
	if got := s.Run(t); slices.ContainsFunc(got.Data, math.IsNaN) {
		t.Error("a block of the context is read that no token attends to")
	}
}

// rangesAreExact: a token attends to every key of its ranges and to no other. All
// scores are 0, so each token's output is the mean of its values, rounded once. The
// case moves each end of each range by one, and finds that at every token.
func rangesAreExact(t *testing.T, s *Step) {
	for token := range s.Tokens {
		clear(s.QKV.Data[token*s.QKV.Dims[1]:][:2*s.HeadDim]) // both query heads
	}
	want := make([][]float64, s.Tokens)
	for token := range want {
		want[token] = s.want(token, 1)
	}
	if all := s.wrong(t, want); len(all) > 0 {
		token := all[0]
		t.Fatalf("%d tokens are wrong, first %d, which attends to %d … %d of the context and %d … of "+
			"the step", len(all), token, s.From[token], s.To[token]-1, s.Start[token])
	}
	for name, end := range map[string][]int32{"from": s.From, "to": s.To, "start": s.Start} {
		for _, by := range []int32{-1, 1} {
			right, changed := slices.Clone(end), []int(nil)
			for token := range end {
				if s.shift(token, name, by); end[token] != right[token] {
					changed = append(changed, token)
				}
			}
			if got := s.wrong(t, want); !slices.Equal(got, changed) || len(changed) < s.Tokens/4 {
				t.Errorf("%s off by %d is found at tokens %v, want %v", name, by, got, changed)
			}
			copy(end, right)
		}
	}
}

// wrong runs the kernels and returns the tokens whose head 1 is not as wanted, by more
// than one rounding to bfloat16.
func (s *Step) wrong(t *testing.T, want [][]float64) (tokens []int) {
	t.Helper()
	got := s.Run(t)
	for token := range s.Tokens {
		for d, x := range s.head(got, token, 1) {
			if !(math.Abs(x-want[token][d]) <= math.Abs(want[token][d])/256+1e-5) {
				tokens = append(tokens, token)
				break
			}
		}
	}
	return tokens
}

// shift moves one end of a token's ranges by one: from, to or start. It does nothing
// if there is no key, or if the token attends to no key of the context.
func (s *Step) shift(token int, end string, by int32) {
	from, to, start := &s.From[token], &s.To[token], &s.Start[token]
	none := *from == *to
	switch {
	case end == "from" && !none:
		*from = max(*from+by, 0)
	case end == "to" && !none:
		*to = min(*to+by, int32(s.Shape.Context))
	case end == "start":
		*start = min(max(*start+by, 0), int32(token)+1)
	}
}
