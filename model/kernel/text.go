package kernel

import (
	"fmt"
	"strconv"
	"strings"
)

// Text is the text of a kernel being written: lines of MLIR.
type Text struct {
	text   strings.Builder
	indent string
	values int
}

func (t *Text) String() string { return t.text.String() }

// Line writes one line.
func (t *Text) Line(format string, arguments ...any) {
	t.text.WriteString(t.indent)
	fmt.Fprintf(&t.text, format+"\n", arguments...)
}

// Name is that of a new value.
func (t *Text) Name() string {
	t.values++
	return "%" + strconv.Itoa(t.values)
}

// Inside moves the lines that body writes to the right.
func (t *Text) Inside(body func()) {
	outer := t.indent
	t.indent += "  "
	body()
	t.indent = outer
}

// Result is the name of one of the values that an operation gives together.
func Result(name string, i int) string { return fmt.Sprintf("%s#%d", name, i) }

// Dims are the axes of an array in the text of its type, such as 4x8x.
func Dims(dims []int) string {
	text := ""
	for _, d := range dims {
		text += strconv.Itoa(d) + "x"
	}
	return text
}

// Join writes each of all, with commas between.
func Join[V any](all []V, each func(V) string) string {
	parts := make([]string, len(all))
	for i, v := range all {
		parts[i] = each(v)
	}
	return strings.Join(parts, ", ")
}

// Layouts are the row-major orders of tensor types such as tensor<4x8xf32>, as a call
// has them: the last axis first.
func Layouts(tensors ...string) string {
	return "[" + Join(tensors, func(tensor string) string {
		if strings.Count(tensor, "x") == 1 {
			return "dense<0> : tensor<1xindex>"
		}
		return "dense<[1, 0]> : tensor<2xindex>"
	}) + "]"
}
