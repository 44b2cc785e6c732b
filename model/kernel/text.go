package kernel

import (
	"fmt"
	"strconv"
	"strings"
)

// Text collects the lines of a kernel's MLIR. The zero value is an empty text. mosaic and
// triton embed it and add the operations of their dialects.
type Text struct {
	text   strings.Builder
	indent string
	values int
}

// String returns the lines written so far.
func (t *Text) String() string { return t.text.String() }

// Line writes one line, formatted as by fmt.Sprintf.
func (t *Text) Line(format string, arguments ...any) {
	t.text.WriteString(t.indent)
	fmt.Fprintf(&t.text, format+"\n", arguments...)
}

// Name returns a name that no other value of the text has, such as %7.
func (t *Text) Name() string {
	t.values++
	return "%" + strconv.Itoa(t.values)
}

// Inside calls body and indents the lines that it writes.
func (t *Text) Inside(body func()) {
	outer := t.indent
	t.indent += "  "
	body()
	t.indent = outer
}

// Result returns the name of result i of an operation with several, such as %7#1.
func Result(name string, i int) string { return fmt.Sprintf("%s#%d", name, i) }

// Dims returns the axes of an array as they stand in the text of its type, such as 4x8x.
func Dims(dims []int) string {
	text := ""
	for _, d := range dims {
		text += strconv.Itoa(d) + "x"
	}
	return text
}

// Join joins the texts of all with commas.
func Join[V any](all []V, each func(V) string) string {
	parts := make([]string, len(all))
	for i, v := range all {
		parts[i] = each(v)
	}
	return strings.Join(parts, ", ")
}

// Layouts returns the row-major layouts of tensor types such as tensor<4x8xf32>, as a
// custom call needs them: the axes from the fastest, the last one, on. Types have one
// axis or two.
func Layouts(tensors ...string) string {
	return "[" + Join(tensors, func(tensor string) string {
		if strings.Count(tensor, "x") == 1 {
			return "dense<0> : tensor<1xindex>"
		}
		return "dense<[1, 0]> : tensor<2xindex>"
	}) + "]"
}
