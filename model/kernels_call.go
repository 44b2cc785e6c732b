package model

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"scored/model/mosaic"
	"scored/model/triton"
)

// barrier is an optimization barrier in the text of a program. Two of them enclose the
// formula of a kernel: see packed.kernel.
type barrier struct{ results, operands, types []string }

// barrierLine matches a barrier. GoMLX writes each operation of StableHLO on one line.
var barrierLine = regexp.MustCompile(`^\s*(%\w+(?:, %\w+)*) = ` +
	`"stablehlo\.optimization_barrier"\((%[\w, %]+)\) : \((tensor<[^)]+)\) -> `)

// call replaces the formulas in a program of an engine with Options.Kernels by calls of
// kernels. The program is StableHLO text, as the plugin receives it; calls is how many
// formulas were replaced. Other programs stay as they are. A formula stays in the text,
// but nothing uses its result any more, and the compiler drops it.
func (k LayerKernels) call(program []byte) (rewritten []byte, calls int) {
	var out bytes.Buffer
	var begin barrier
	for line := range bytes.Lines(program) {
		b, found := readBarrier(string(line))
		switch {
		case !found:
		case len(b.operands) == 2 && slices.Contains(begin.results, b.operands[1]):
			if call := k.operation(begin, b); call != "" {
				line = []byte("    " + call + "\n")
				calls++
			}
		default:
			begin = b
		}
		out.Write(line)
	}
	return out.Bytes(), calls
}

func readBarrier(line string) (barrier, bool) {
	parts := barrierLine.FindStringSubmatch(line)
	if parts == nil {
		return barrier{}, false
	}
	list := func(i int) []string { return strings.Split(parts[i], ", ") }
	return barrier{results: list(1), operands: list(2), types: list(3)}, true
}

// operation returns the operation that calls the kernel between two barriers, or "" if
// there is no kernel for it. It tells the kernels apart by the number of their operands:
// Keys has 4, Attend 6 without a context and 7 with one.
func (k LayerKernels) operation(begin, end barrier) string {
	if !k.Any() {
		return ""
	}
	result, resultType := end.results[0], end.types[0]
	tokens, context, keys := rowsOf(resultType), 0, false
	switch len(begin.operands) {
	case 4:
		keys = true
	case 6:
	case 7:
		context = rowsOf(begin.types[3])
	default:
		return ""
	}
	if !strings.HasSuffix(resultType, "xbf16>") { // kernels are written for bfloat16
		return ""
	}
	return k.kernel(tokens, context, keys).Call(begin.operands, begin.types, result, resultType)
}

// caller writes the operation that calls a kernel.
type caller interface {
	Call(operands []string, operandTypes []string, result, resultType string) string
}

// kernel returns the kernel that prepares keys, or the one that attends.
func (k LayerKernels) kernel(tokens, context int, keys bool) caller {
	switch {
	case k.kind == tritonKernels && keys:
		return triton.Keys(k.triton(tokens, context))
	case k.kind == tritonKernels:
		return triton.Attend(k.triton(tokens, context))
	case keys:
		return mosaic.Keys(k.mosaic(tokens, context))
	}
	return mosaic.Attend(k.mosaic(tokens, context))
}

// rowsOf returns the first axis of an array of this type, e.g. 4 for tensor<4x8xf32>.
func rowsOf(tensorType string) int {
	text, _, _ := strings.Cut(strings.TrimPrefix(tensorType, "tensor<"), "x")
	n, _ := strconv.Atoi(text) // an array's axes are numbers
	return n
}
