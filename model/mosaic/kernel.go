// Package mosaic writes the kernels that compute attention on a TPU, as programs of
// Mosaic: MLIR text that libtpu compiles, called from StableHLO as the custom call
// "tpu_custom_call". It is pure text: nothing here needs a TPU, or C.
//
// It must not know graphs or steps: Keys and Attend return a Kernel for a Shape, and
// package model writes its Call into a program. Begin with attend.go; text.go has the
// operations that kernels are written with.
//
// A compiler that sees softmax(q·k)·v as separate operations writes every score to
// memory and reads it back several times. A kernel keeps the scores of some queries and
// some keys in registers and fast memory, and continues with the next keys
// (FlashAttention, arXiv:2205.14135, algorithm 1).
package mosaic

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"scored/model/kernel"
)

// version is that of Mosaic's stable dialect in which the text is written. Later versions
// of libtpu read earlier ones.
const version = 17

// Kernel is a kernel for one shape.
type Kernel struct {
	Name string
	// Body is an MLIR module: one function that is called for each block of the grid,
	// and one for each of its windows that says which block of the array the window
	// shows.
	Body string
	Cost Cost
	// FastMemory is how many bytes of fast memory (VMEM) the kernel may use.
	FastMemory int
}

// Cost is a kernel's cost as the compiler gets it, because it cannot see inside.
type Cost struct {
	Flops          int `json:"flops"`
	Transcendental int `json:"transcendentals"`
	BytesAccessed  int `json:"bytes_accessed"`
}

// Call returns the StableHLO operation that runs the kernel, in one line. Operands,
// result and their types are texts of StableHLO.
func (k Kernel) Call(operands []string, operandTypes []string, result, resultType string) string {
	// Profiles show the operation by its location.
	return fmt.Sprintf(`%s = "stablehlo.custom_call"(%s) {api_version = 1 : i32, `+
		`backend_config = %s, `+
		`call_target_name = "tpu_custom_call", `+
		`kernel_name = %q, operand_layouts = %s, result_layouts = %s} : (%s) -> %s loc(%q)`,
		result, strings.Join(operands, ", "), quote(k.config()), k.Name,
		kernel.Layouts(operandTypes...), kernel.Layouts(resultType),
		strings.Join(operandTypes, ", "), resultType, k.Name)
}

// config returns the call's backend_config: JSON that holds the kernel's body and what
// the compiler must know of it.
func (k Kernel) config() string {
	type call struct {
		Body    string `json:"body"`
		Cost    Cost   `json:"cost_estimate"`
		Format  int    `json:"serialization_format"`
		Layouts bool   `json:"needs_layout_passes"`
	}
	type memory struct {
		Space  int `json:"memory_space"` // 1 is VMEM
		Offset int `json:"offset"`
		Size   int `json:"size"`
	}
	// A struct of numbers, booleans and base64 always encodes.
	config, _ := json.Marshal(struct {
		Call   call     `json:"custom_call_config"`
		Memory []memory `json:"scoped_memory_configs"`
	}{
		call{base64.StdEncoding.EncodeToString([]byte(k.Body)), k.Cost, 1, true},
		[]memory{{1, 0, k.FastMemory}},
	})
	return string(config)
}

// quote returns a string literal of MLIR, whose escapes are hexadecimal.
func quote(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\22`) + `"` }

// window shows a kernel one of its arrays block by block. While the kernel works on the
// blocks of one point of the grid, the blocks of the next point are copied to fast
// memory.
type window struct {
	kind       // of a block
	fixed bool // it shows the same block at every point, so there is nothing to copy ahead
	// block writes which block the window shows at point (i, j), counted in blocks.
	block func(t *text, i, j value) (row, column value)
}

// module writes a kernel's module. For each point (i, j) of the grid body receives the
// resident arrays, which are in scalar memory and the same for every point, and the
// block that each window shows there.
func module(name string, grid [2]int, resident []kind, windows []window,
	body func(t *text, i, j value, resident, blocks []value)) string {
	t := &text{}
	t.Line(`"builtin.module"() ({`)
	var indexes, inputs []value
	take := func(k kind) value { return value{t.Name(), k} }
	indexes = []value{take(scalar("i32")), take(scalar("i32"))}
	for _, k := range resident {
		inputs = append(inputs, take(k.in("smem")))
	}
	for _, w := range windows {
		inputs = append(inputs, take(w.in("vmem")))
	}
	all := append(append([]value{}, indexes...), inputs...)
	t.function(all, func() []value {
		body(t, indexes[0], indexes[1], inputs[:len(resident)], inputs[len(resident):])
		return nil
	}, fmt.Sprintf(`dimension_semantics = [#tpu.dimension_semantics<arbitrary>, `+
		`#tpu.dimension_semantics<arbitrary>], `+
		`iteration_bounds = array<i64: %d, %d>, scalar_prefetch = %d : i64, `+
		`scratch_operands = 0 : i64, sym_name = "%s", `+
		`tpu.core_type = #tpu.core_type<tc>, window_params = [%s]`, grid[0], grid[1], len(resident),
		name, windowParameters(windows)))
	for n, w := range windows {
		at := []value{take(scalar("i32")), take(scalar("i32"))}
		seen := append([]value{}, at...)
		for _, k := range resident {
			seen = append(seen, take(k.in("smem")))
		}
		t.function(seen, func() []value {
			row, column := w.block(t, at[0], at[1])
			return []value{row, column}
		}, fmt.Sprintf(`sym_name = "window_%d"`, n))
	}
	t.Line("}) {stable_mosaic.version = %d : i64} : () -> ()", version)
	return t.String()
}

// windowParameters returns the attributes of windows: the size of each one's blocks, and
// the function that says which block it shows.
func windowParameters(windows []window) string {
	n := -1
	return kernel.Join(windows, func(w window) string {
		n++
		mode := ""
		if w.fixed {
			mode = "pipeline_mode = #tpu.pipeline_mode<synchronous>, "
		}
		return fmt.Sprintf("{%stransform_indices = @window_%d, window_bounds = array<i64: %d, %d>}",
			mode, n, w.dims[0], w.dims[1])
	})
}

// function writes a function that returns what body returns.
func (t *text) function(inputs []value, body func() []value, attributes string) {
	t.Line(`"stable_mosaic.func.func"() ({`)
	t.Line("^bb0(%s):", parameters(inputs))
	var out []value
	t.Inside(func() {
		out = body()
		t.do("func.return", "", out...)
	})
	t.Line("}) {function_type = (%s) -> (%s), %s} : () -> ()", kinds(inputs), kinds(out), attributes)
}
