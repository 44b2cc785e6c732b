// Package triton writes the kernels that compute attention on an NVIDIA GPU, as programs
// of Triton: MLIR text that XLA's CUDA plugin compiles, called from StableHLO as the
// custom call "__gpu$xla.gpu.triton". It is pure text: nothing here needs a GPU, or C.
//
// It must not know graphs or steps: Keys and Attend return a Kernel for a Shape, and
// package model writes its Call into a program. Begin with attend.go; text.go has the
// operations that kernels are written with.
//
// A compiler that sees softmax(q·k)·v as separate operations writes every score to
// memory and reads it back several times. A kernel keeps the scores of some queries and
// some keys in registers, and continues with the next keys (FlashAttention,
// arXiv:2205.14135, algorithm 1).
package triton

import (
	"fmt"
	"strings"

	"scored/model/kernel"
)

// Kernel is a kernel for one shape.
type Kernel struct {
	Name string
	// Body is an MLIR module with one function of that name. It gets pointers to the
	// operands and then to the result, and runs once for each point of Grid.
	Body string
	Grid [2]int
	// Warps is how many warps of 32 threads run a point of the grid. Stages is how many
	// blocks of keys are loaded or in use at a time.
	Warps, Stages int
	// Shared bounds the bytes of shared memory that a point of the grid uses.
	Shared int
}

// Call returns the StableHLO operation that runs the kernel, in one line. Operands,
// result and their types are texts of StableHLO.
func (k Kernel) Call(operands []string, operandTypes []string, result, resultType string) string {
	// Profiles show the operation by its location, and the kernel by its name.
	return fmt.Sprintf(`%s = "stablehlo.custom_call"(%s) {api_version = 4 : i32, `+
		`call_target_name = "__gpu$xla.gpu.triton", `+
		`backend_config = {debug = false, grid_x = %d : i32, grid_y = %d : i32, grid_z = 1 : i32, `+
		`ir = %s, name = %q, `+
		`num_stages = %d : i32, num_warps = %d : i32}, operand_layouts = %s, `+
		`result_layouts = %s} : (%s) -> %s loc(%q)`,
		result, strings.Join(operands, ", "), k.Grid[0], k.Grid[1], quote(k.Body), k.Name, k.Stages,
		k.Warps,
		kernel.Layouts(operandTypes...), kernel.Layouts(resultType),
		strings.Join(operandTypes, ", "), resultType, k.Name)
}

// quote returns a string literal of MLIR, whose escapes are hexadecimal.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\22`, "\n", `\0A`).Replace(s) + `"`
}

// operand is an array that a kernel gets a pointer to.
type operand struct{ name, element string }

// module writes a kernel's module. XLA aligns all buffers, which lets Triton read 16
// bytes at a time.
func module(name string, operands []operand, body func(t *text, in map[string]value)) string {
	t := &text{}
	in, parameters := map[string]value{}, make([]string, len(operands))
	for i, o := range operands {
		v := value{"%" + o.name, kind{element: o.element, pointer: true}}
		in[o.name], parameters[i] = v, fmt.Sprintf("%s: %s {tt.divisibility = 16 : i32}", v.name, v.kind)
	}
	t.Line("module {")
	t.Inside(func() {
		t.Line("tt.func public @%s(%s) attributes {noinline = false} {", name,
			strings.Join(parameters, ", "))
		t.Inside(func() {
			body(t, in)
			t.Line("tt.return")
		})
		t.Line("}")
	})
	t.Line("}")
	return t.String()
}
