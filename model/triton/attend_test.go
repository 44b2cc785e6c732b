package triton_test

import (
	"slices"
	"strings"
	"testing"

	"scored/model/kernel"
	"scored/model/kernel/kerneltest"
	"scored/model/triton"
	"scored/model/triton/tritontest"
)

// TestAttention: the text that a GPU gets computes attention.
func TestAttention(t *testing.T) {
	shapes := map[string]kernel.Shape{
		"two heads a group":       {Tokens: 256, Context: 192, Heads: 4, KVHeads: 2, HeadDim: 128, Norm: true, Eps: 1e-6},
		"no context, no norm":     {Tokens: 320, Heads: 2, KVHeads: 2, HeadDim: 128},
		"six heads, long context": {Tokens: 64, Context: 1024, Heads: 6, KVHeads: 1, HeadDim: 64, Norm: true, Eps: 1e-6},
		"eight heads":             {Tokens: 192, Context: 128, Heads: 8, KVHeads: 1, HeadDim: 64},
		"seven heads":             {Tokens: 128, Context: 64, Heads: 14, KVHeads: 2, HeadDim: 64, Norm: true, Eps: 1e-6},
	}
	small := kernel.Shape{Tokens: 192, Context: 256, Heads: 2, KVHeads: 1, HeadDim: 64, Norm: true, Eps: 1e-6}
	kerneltest.TestAttention(t, shapes, small, func(s kernel.Shape) kerneltest.Kernels {
		return tritontest.Kernels{Shape: triton.Shape{Shape: s, Shared: 99 << 10}}
	})
}

func TestShapesWithoutKernels(t *testing.T) {
	for want, shape := range map[string]triton.Shape{
		"heads have 96 numbers, kernels are for 64 or 128":                                       {Shape: kernel.Shape{Tokens: 128, Heads: 2, KVHeads: 1, HeadDim: 96}, Shared: 99 << 10},
		"step shape has 32 tokens and 0 context keys, kernels take multiples of 64":              {Shape: kernel.Shape{Tokens: 32, Heads: 2, KVHeads: 1, HeadDim: 128}},
		"step shape has 128 tokens and 8 context keys, kernels take multiples of 64":             {Shape: kernel.Shape{Tokens: 128, Context: 8, Heads: 2, KVHeads: 1, HeadDim: 128}},
		"5 query heads do not share 2 key-value heads evenly":                                    {Shape: kernel.Shape{Tokens: 128, Heads: 5, KVHeads: 2, HeadDim: 128}},
		"step shape of 256 tokens and 2097152 context keys has arrays of more than 2^31 numbers": {Shape: kernel.Shape{Tokens: 256, Context: 1 << 21, Heads: 8, KVHeads: 4, HeadDim: 128}},
		"kernels take 53248 bytes of shared memory, the card has 49152":                          {Shape: kernel.Shape{Tokens: 256, Heads: 8, KVHeads: 4, HeadDim: 128}, Shared: 48 << 10},
	} {
		if err := shape.Check(); err == nil || err.Error() != want {
			t.Errorf("%+v: %v, want %s", shape, err, want)
		}
	}
}

// TestSharedMemory: no kernel asks for more shared memory than a card has, because XLA's
// compiler may crash then. A card with more of it gets more stages.
func TestSharedMemory(t *testing.T) {
	for _, shared := range []int{99 << 10, 163 << 10, 227 << 10} {
		for _, e := range []int{64, 128} {
			s := triton.Shape{Shape: kernel.Shape{Tokens: 2048, Context: 40960, Heads: 16, KVHeads: 8, HeadDim: e}, Shared: shared}
			if k := triton.Attend(s); s.Check() != nil || k.Shared > shared || k.Stages < 2 {
				t.Errorf("heads of %d on a card of %d bytes: %d stages with %d bytes, %v", e, shared, k.Stages, k.Shared, s.Check())
			}
		}
	}
	small, large := triton.Shape{Shape: kernel.Shape{Tokens: 64, Heads: 2, KVHeads: 1, HeadDim: 128}, Shared: 99 << 10}, triton.Shape{Shape: kernel.Shape{Tokens: 64, Heads: 2, KVHeads: 1, HeadDim: 128}, Shared: 227 << 10}
	if a, b := triton.Attend(small).Stages, triton.Attend(large).Stages; a >= b {
		t.Errorf("%d stages on a small card, %d on a large one", a, b)
	}
}

// TestSpans: a block of tokens goes over the blocks of context keys from the first to the
// last that any of its tokens attends to. It goes over the step's own keys from the
// block with the first one that any of its tokens attends to.
func TestSpans(t *testing.T) {
	s := triton.Shape{Shape: kernel.Shape{Tokens: 128, Context: 1024, Heads: 2, KVHeads: 1, HeadDim: 128}, Shared: 99 << 10} // blocks of 32 tokens and of 64 keys
	from, to, start := make([]int32, 128), make([]int32, 128), make([]int32, 128)
	for i := range start {
		from[i], to[i], start[i] = 1000, 1000, int32(i)
	}
	check := func(want ...int32) {
		t.Helper()
		if got := s.Blocks().Spans(from, to, start); !slices.Equal(got, want) {
			t.Errorf("spans are %v, want %v", got, want)
		}
	}
	check(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1)
	from[3], to[3], from[20], to[20], from[40], to[40], from[100], to[100] = 63, 64, 128, 192, 0, 512, 512, 513
	start[100] = 63
	check(0, 0, 0, 8, 3, 8, 0, 9, 0, 0, 1, 0)
	from[3], start[100], to[100] = 64, 64, 512
	check(2, 0, 0, 0, 3, 8, 0, 0, 0, 0, 1, 1)
}

// TestInterpreterRefuses: the interpreter, on which the tests of kernels rest, refuses
// wrong texts.
func TestInterpreterRefuses(t *testing.T) {
	s := triton.Shape{Shape: kernel.Shape{Tokens: 64, Heads: 2, KVHeads: 1, HeadDim: 64}, Shared: 99 << 10}
	right := triton.Keys(s)
	arrays := func() []*kerneltest.Array {
		qkv := kerneltest.New("bf16", 64, 4*64)
		return []*kerneltest.Array{qkv, qkv, kerneltest.New("f32", 1, 64), kerneltest.New("f32", 64, 128), kerneltest.New("bf16", 64, 128)}
	}
	if err := tritontest.Run(right.Body, right.Grid, arrays()...); err != nil {
		t.Fatal(err)
	}
	edit := func(old, new string) string {
		if !strings.Contains(right.Body, old) {
			t.Errorf("text has no %s", old)
		}
		return strings.Replace(right.Body, old, new, 1)
	}
	for want, body := range map[string]string{
		"is not known":           edit("arith.extf", "arith.sitofp"),
		"is not defined":         edit("%2 = tt.get_program_id y", "%other = tt.get_program_id y"),
		"its type is":            edit("{axis = 1 : i32} : tensor<32xi32> -> tensor<32x1xi32>", "{axis = 1 : i32} : tensor<32xi32> -> tensor<32x1xf32>"),
		"pointer to element":     edit("arith.constant 32 : i32", "arith.constant 64 : i32"),
		"is stored 0 times":      edit("tt.store", "tt.return\ntt.store"),
		"another length":         edit("{end = 64 : i32", "{end = 63 : i32"),
		"text ends too early":    strings.TrimSuffix(right.Body, "  }\n}\n"),
		"goes on after the func": right.Body + "}",
	} {
		if err := tritontest.Run(body, right.Grid, arrays()...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
