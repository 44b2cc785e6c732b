package model

import (
	"slices"
	"strings"
	"testing"

	"scored/model/checkpoint"
	"scored/score/plan"
)

// kernelConfig is a small model with heads that kernels take.
func kernelConfig() checkpoint.Config {
	c := smallConfig()
	c.HeadDim, c.Heads, c.KVHeads = 128, 4, 2
	return c
}

func kernelBuckets() []plan.Bucket {
	return []plan.Bucket{{Tokens: 128, Rows: 16, Length: 128, Cost: 1}, {Tokens: 256, Rows: 16, Length: 256, Context: 128, Cost: 2}}
}

// TestCallKernels: a call replaces the barrier that ends a formula, with the operands in
// order, and no other line changes.
func TestCallKernels(t *testing.T) {
	const before = "  func.func @main(%p1: tensor<256x1024xbf16>) -> tensor<256x512xbf16> {"
	const other = `    %9 = "stablehlo.optimization_barrier"(%p1) : (tensor<256x1024xbf16>) -> tensor<256x1024xbf16>`
	lines := func(element string) []string {
		in, out := "tensor<256x1024x"+element+">", "tensor<256x512x"+element+">"
		operands := in + ", " + in + ", tensor<1x128xf32>, tensor<256x256xf32>"
		return []string{
			"module @block {", before, other,
			`    %10, %11, %12, %13 = "stablehlo.optimization_barrier"(%p1, %p1, %p2, %p3) : (` + operands + ") -> (" + operands + ")",
			`    %14 = "stablehlo.add"(%10, %11) : (tensor<256x1024xbf16>, tensor<256x1024xbf16>) -> tensor<256x1024xbf16>`,
			`    %16, %17 = "stablehlo.optimization_barrier"(%14, %10) : (` + out + ", " + in + ") -> (" + out + ", " + in + ")",
			"  }", "}", "",
		}
	}
	text := func(lines []string) string { return strings.Join(lines, "\n") }
	program, at := lines("bf16"), 5
	rewritten, calls := TPUKernels().Of(kernelConfig()).call([]byte(text(program)))
	if calls != 1 {
		t.Errorf("%d calls are placed, want 1", calls)
	}
	got := strings.Split(string(rewritten), "\n")
	if !slices.Equal(slices.Delete(slices.Clone(got), at, at+1), slices.Delete(slices.Clone(program), at, at+1)) {
		t.Error("other lines changed")
	}
	for _, part := range []string{
		`    %16 = "stablehlo.custom_call"(%p1, %p1, %p2, %p3) {`, `call_target_name = "tpu_custom_call"`, `kernel_name = "keys"`,
		`: (tensor<256x1024xbf16>, tensor<256x1024xbf16>, tensor<1x128xf32>, tensor<256x256xf32>) -> tensor<256x512xbf16> loc("keys")`,
		"result_layouts = [dense<[1, 0]> : tensor<2xindex>]}",
	} {
		if !strings.Contains(got[at], part) {
			t.Errorf("line %d lacks %s", at, part)
		}
	}
	rewritten, _ = GPUKernels(99 << 10).Of(kernelConfig()).call([]byte(text(program)))
	call := strings.Split(string(rewritten), "\n")[at]
	for _, part := range []string{
		`    %16 = "stablehlo.custom_call"(%p1, %p1, %p2, %p3) {api_version = 4 : i32`, `call_target_name = "__gpu$xla.gpu.triton"`, `name = "keys"`,
		`ir = "module {\0A  tt.func public @keys(`, `grid_x = 2 : i32, grid_y = 8 : i32`, "result_layouts = [dense<[1, 0]> : tensor<2xindex>]}",
	} {
		if !strings.Contains(call, part) {
			t.Errorf("call of a GPU's kernel lacks %s", part)
		}
	}
	for name, unchanged := range map[string]string{
		"no marks":                              text(append(program[:3:3], program[4], "  }", "}", "")),
		"float32, for which there is no kernel": text(lines("f32")),
	} {
		if got, calls := TPUKernels().Of(kernelConfig()).call([]byte(unchanged)); string(got) != unchanged || calls != 0 {
			t.Errorf("%s: program becomes %s with %d calls", name, got, calls)
		}
	}
}

// TestKeepCaches: a cache that is a program's first parameter and first result stays in
// place, and no other text changes.
func TestKeepCaches(t *testing.T) {
	const kind = "tensor<384x512xui16>"
	text := func(in, out string) string {
		return "module @layer {\n  func.func @main(" + in + ", %p1: tensor<4xi32>) -> (" + out + ", tensor<4xf32>) {\n    return\n  }\n}\n"
	}
	got, caches := keepCaches([]byte(text("%cache: "+kind, kind)))
	if want := text("%cache: "+kind+" {tf.aliasing_output = 0 : i32}", kind); string(got) != want || caches != 1 {
		t.Errorf("%d caches in %s, want 1 in %s", caches, got, want)
	}
	got, caches = keepCaches([]byte(text("%cache: "+kind+", %cache1: "+kind, kind+", "+kind)))
	if want := text("%cache: "+kind+" {tf.aliasing_output = 0 : i32}, %cache1: "+kind+" {tf.aliasing_output = 1 : i32}", kind+", "+kind); string(got) != want || caches != 2 {
		t.Errorf("%d caches in %s, want 2 in %s", caches, got, want)
	}
	for name, other := range map[string]string{"no cache": text("%p0: "+kind, kind), "no result of its kind": text("%cache: "+kind, "tensor<384x512xf32>")} {
		if got, caches := keepCaches([]byte(other)); string(got) != other || caches != 0 {
			t.Errorf("%s: %d caches in %s", name, caches, got)
		}
	}
}
