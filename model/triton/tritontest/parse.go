package tritontest

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// function is a kernel's text, taken apart.
type function struct {
	name  string
	kinds []kind // of the parameters
	body  *block
}

// block is a list of operations with parameters: the body of the function, of a loop or
// of a reduction.
type block struct {
	parameters []string
	operations []*operation
}

// operation is one operation. Values are known by name, such as %3 or %4#1.
type operation struct {
	results  []string
	name     string
	operands []string
	text     string // what stands between the name and the types
	types    []kind // all that the operation names, in order
	region   *block // of a loop or a reduction
}

// kind is the type of a value: a number, or a tensor with axes; or pointers to numbers
// of the element type.
type kind struct {
	element string
	pointer bool
	dims    []int
}

func (k kind) String() string { return fmt.Sprint(k.element, k.pointer, k.dims) }

// reader goes over the lines of a text. It panics where the text is wrong; Run turns
// panics into errors.
type reader struct {
	lines []string
	next  int
}

// Lines in the form in which Triton prints its IR: an operation is one line, and one
// with a region begins with a line that ends in a brace.
var (
	functionLine = regexp.MustCompile(
		`^tt\.func public @(\w+)\((.*)\) attributes \{noinline = false\} \{$`)
	parameter = regexp.MustCompile(`(%\w+): (\S+) \{tt\.divisibility = 16 : i32\}`)
	forLine   = regexp.MustCompile(`^(%\w+):(\d+) = scf\.for (%\w+) = (%\w+) to (%\w+) ` +
		`step (%\w+) iter_args\((.*)\) -> \((.*)\)  : i32 \{$`)
	reduceLine = regexp.MustCompile(`^(%\w+) = "tt\.reduce"\((%\w+)\) <\{axis = 1 : i32\}> \(\{$`)
	regionLine = regexp.MustCompile(`^\^bb0\((%\w+): \w+, (%\w+): \w+\):$`)
	opLine     = regexp.MustCompile(`^(?:(%\w+) = )?([\w.]+)(?: (.*))?$`)
	valueName  = regexp.MustCompile(`%\w+(?:#\d+)?`)
	typeText   = regexp.MustCompile(`tensor<[\dx]+(?:!tt\.ptr<\w+>|\w+)>|!tt\.ptr<\w+>|` +
		`\b(?:i1|i32|f32|bf16)\b`)
	typeParts = regexp.MustCompile(`^(?:tensor<((?:\d+x)+))?(!tt\.ptr<)?(\w+)>*$`)
)

// parse takes the text of a module with one function apart.
func parse(text string) *function {
	r := &reader{lines: strings.Split(strings.TrimSpace(text), "\n")}
	if r.line() != "module {" {
		panic("text is no module")
	}
	header := functionLine.FindStringSubmatch(r.line())
	if header == nil {
		panic("module has no function")
	}
	f := &function{name: header[1], body: &block{}}
	for _, p := range parameter.FindAllStringSubmatch(header[2], -1) {
		f.body.parameters = append(f.body.parameters, p[1])
		f.kinds = append(f.kinds, kindOf(p[2]))
	}
	r.operations(f.body, "}")
	if r.line() != "}" || r.next != len(r.lines) {
		panic("text goes on after the function")
	}
	return f
}

// line returns the next line without its indent.
func (r *reader) line() string {
	if r.next == len(r.lines) {
		panic("text ends too early")
	}
	r.next++
	return strings.TrimSpace(r.lines[r.next-1])
}

// operations reads those of a block, up to the line that begins with end, and returns
// that line.
func (r *reader) operations(b *block, end string) (last string) {
	for {
		line := r.line()
		if strings.HasPrefix(line, end) {
			return line
		}
		b.operations = append(b.operations, r.operation(line))
	}
}

// operation reads the operation that a line begins, with its region if it has one.
func (r *reader) operation(line string) *operation {
	if parts := forLine.FindStringSubmatch(line); parts != nil {
		return r.loop(parts)
	}
	if parts := reduceLine.FindStringSubmatch(line); parts != nil {
		inputs := regionLine.FindStringSubmatch(r.line())
		op := &operation{name: "tt.reduce", results: parts[1:2], operands: parts[2:3],
			region: &block{parameters: inputs[1:]}}
		op.types = kindsOf(r.operations(op.region, "})"))
		return op
	}
	parts := opLine.FindStringSubmatch(line)
	if parts == nil {
		panic(fmt.Sprintf("line %d is no operation: %s", r.next, line))
	}
	op := &operation{name: parts[2], text: parts[3]}
	if parts[1] != "" {
		op.results = parts[1:2]
	}
	if at := strings.LastIndex(op.text, " : "); at >= 0 {
		op.types, op.text = kindsOf(op.text[at:]), op.text[:at]
	}
	op.operands = valueName.FindAllString(op.text, -1)
	return op
}

// loop reads a loop from what forLine has matched. Its operands are from, to, step and
// the initial state; its region's parameters are the counter and the state.
func (r *reader) loop(parts []string) *operation {
	op := &operation{name: "scf.for", operands: slices.Clone(parts[4:7]),
		region: &block{parameters: parts[3:4:4]}}
	for _, pair := range strings.Split(parts[7], ", ") {
		inside, outside, _ := strings.Cut(pair, " = ")
		op.region.parameters = append(op.region.parameters, inside)
		op.operands = append(op.operands, outside)
	}
	for i := range number(parts[2]) {
		op.results = append(op.results, fmt.Sprintf("%s#%d", parts[1], i))
	}
	op.types = kindsOf(parts[8])
	r.operations(op.region, "}")
	return op
}

// kindsOf returns all types that a text names, in order.
func kindsOf(text string) (all []kind) {
	for _, t := range typeText.FindAllString(text, -1) {
		all = append(all, kindOf(t))
	}
	return all
}

// kindOf reads one type.
func kindOf(text string) kind {
	parts := typeParts.FindStringSubmatch(text)
	if parts == nil {
		panic("type is not understood: " + text)
	}
	k := kind{element: parts[3], pointer: parts[2] != ""}
	for _, d := range strings.Split(strings.TrimSuffix(parts[1], "x"), "x") {
		if d != "" {
			k.dims = append(k.dims, number(d))
		}
	}
	return k
}

// number reads an integer, and panics if it is none.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

// attribute returns the number of an attribute such as axis = 1 : i32.
func (op *operation) attribute(name string) int {
	found := regexp.MustCompile(`\b` + name + ` = (\d+) : i32`).FindStringSubmatch(op.text)
	if found == nil {
		panic(op.name + " has no attribute " + name)
	}
	return number(found[1])
}
