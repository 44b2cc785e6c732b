package mosaictest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// module is a kernel's text, taken apart.
type module struct {
	kernel struct {
		body     *block
		grid     [2]int
		resident int // the first operands: every point of the grid gets them as a whole
		windows  []window
	}
	functions map[string]*block // the others, by name: those of windows
}

// window shows one block of an operand at each point of the grid.
type window struct {
	index         string // the function that returns which block, in blocks
	rows, columns int    // of a block
}

// block is a list of operations with parameters: the body of a function or a loop.
type block struct {
	parameters []string
	operations []*operation
}

// operation is one operation. Values are known by name, such as %3 or %4#1.
type operation struct {
	results    []string
	name       string // without the dialect's prefix, e.g. arith.addf
	operands   []string
	attributes string // the text between braces
	result     kind   // of the only result, if it is one that apply returns
	region     *block // the body of a loop
}

// kind is the type of a result: its element type and axes, none of a number.
type kind struct {
	element string
	dims    []int
}

// reader goes over the lines of a text. It panics where the text ends too early; Run
// turns panics into errors.
type reader struct {
	lines []string
	next  int
}

// begins is how every operation begins: results, how many they are, name, operands.
const begins = `^(?:(%\d+)(?::(\d+))? = )?"stable_mosaic\.([\w.]+)"\((.*?)\)`

// Lines of MLIR's generic form as it is printed: an operation is one line, and one with
// a region begins with a line that ends in a brace.
var (
	opLine     = regexp.MustCompile(begins + `(?: \{(.*)\})? : \(.*\) -> (.*)$`)
	regionLine = regexp.MustCompile(begins + ` \(\{$`)
	inputsLine = regexp.MustCompile(`^\^bb0\((.*)\):$`)
	windowText = regexp.MustCompile(
		`transform_indices = @(\w+), window_bounds = array<i64: (\d+), (\d+)>`)
	kindText = regexp.MustCompile(`^(?:vector<((?:\d+x)*))?(\w+)>?$`)
)

// parse takes the text of a module apart.
func parse(text string) (*module, error) {
	r := &reader{lines: strings.Split(text, "\n")}
	m := &module{functions: map[string]*block{}}
	if r.line() != `"builtin.module"() ({` {
		return nil, fmt.Errorf("text is no module")
	}
	for {
		line := r.line()
		if strings.HasPrefix(line, "}) {stable_mosaic.version = ") {
			break
		}
		if line != `"stable_mosaic.func.func"() ({` {
			return nil, fmt.Errorf("line %d is no function: %s", r.next, line)
		}
		body, err := r.block()
		if err != nil {
			return nil, err
		}
		m.add(body, &operation{attributes: r.line()})
	}
	if m.kernel.body == nil {
		return nil, fmt.Errorf("module has no kernel")
	}
	return m, nil
}

// add adds a function: the kernel, which has windows, or one of those that it names.
func (m *module) add(body *block, about *operation) {
	if name := about.quoted("sym_name"); !strings.Contains(about.attributes, "window_params") {
		m.functions[name] = body
		return
	}
	m.kernel.body, m.kernel.resident = body, about.number("scalar_prefetch")
	copy(m.kernel.grid[:], about.numbers("iteration_bounds"))
	for _, w := range windowText.FindAllStringSubmatch(about.attributes, -1) {
		m.kernel.windows = append(m.kernel.windows, window{w[1], integer(w[2]), integer(w[3])})
	}
}

// line returns the next line without its indent.
func (r *reader) line() string {
	if r.next == len(r.lines) {
		panic("text ends too early")
	}
	r.next++
	return strings.TrimSpace(r.lines[r.next-1])
}

// block reads the parameters and operations of a region. The line that ends it is next.
func (r *reader) block() (*block, error) {
	header := inputsLine.FindStringSubmatch(r.line())
	if header == nil {
		return nil, fmt.Errorf("line %d does not begin a block", r.next)
	}
	b := &block{}
	for _, p := range list(header[1]) {
		if name, _, found := strings.Cut(p, ": "); found && strings.HasPrefix(name, "%") {
			b.parameters = append(b.parameters, name)
		}
	}
	for !strings.HasPrefix(strings.TrimSpace(r.lines[r.next]), "})") {
		op, err := r.operation()
		if err != nil {
			return nil, err
		}
		b.operations = append(b.operations, op)
	}
	return b, nil
}

// operation reads one operation, with its region if it has one.
func (r *reader) operation() (op *operation, err error) {
	line := r.line()
	if parts := regionLine.FindStringSubmatch(line); parts != nil {
		op = begin(parts)
		if op.region, err = r.block(); err != nil {
			return nil, err
		}
		r.line() // the types
		return op, nil
	}
	parts := opLine.FindStringSubmatch(line)
	if parts == nil {
		return nil, fmt.Errorf("line %d is no operation: %s", r.next, line)
	}
	op = begin(parts)
	op.attributes = parts[5]
	if of := kindText.FindStringSubmatch(parts[6]); of != nil {
		op.result.element = of[2]
		for _, d := range strings.Split(strings.TrimSuffix(of[1], "x"), "x") {
			if d != "" {
				op.result.dims = append(op.result.dims, integer(d))
			}
		}
		if i := strings.LastIndex(of[2], "x"); i > 0 && of[2] != "index" {
			return nil, fmt.Errorf("line %d has a type that is not understood: %s", r.next, parts[6])
		}
	}
	return op, nil
}

// begin makes an operation of what the expression begins has matched.
func begin(parts []string) *operation {
	op := &operation{name: parts[3], operands: list(parts[4])}
	switch {
	case parts[2] != "":
		for i := range integer(parts[2]) {
			op.results = append(op.results, fmt.Sprintf("%s#%d", parts[1], i))
		}
	case parts[1] != "":
		op.results = []string{parts[1]}
	}
	return op
}

// list splits a list at its commas.
func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ", ")
}

// integer reads a number, and panics if it is none.
func integer(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

// attribute returns what the first group of the pattern matches in an attribute's value;
// "" if the operation has no such attribute.
func (op *operation) attribute(name, pattern string) string {
	expression := regexp.MustCompile(`(?:^|[ {])` + name + ` = ` + pattern)
	found := expression.FindStringSubmatch(op.attributes)
	if found == nil {
		return ""
	}
	return found[1]
}

// quoted returns the name in an attribute such as "keys".
func (op *operation) quoted(name string) string { return op.attribute(name, `"(\w+)"`) }

// word returns the name in an attribute such as #vector.kind<add>.
func (op *operation) word(name string) string { return op.attribute(name, `#[\w.]+<(\w+)>`) }

// numbers returns those of an attribute such as array<i64: 1, 2> or [1, 2].
func (op *operation) numbers(name string) (all []int) {
	for _, n := range list(op.attribute(name, `(?:array<\w+: |\[)([-\d, ]+)`)) {
		all = append(all, integer(n))
	}
	return all
}

// number returns that of an attribute such as 1 : i64; 0 if there is no such attribute.
func (op *operation) number(name string) int {
	if all := op.numbers(name); len(all) == 1 {
		return all[0]
	}
	if s := op.attribute(name, `(-?\d+) : `); s != "" {
		return integer(s)
	}
	return 0
}

// constant returns the value of a constant.
func (op *operation) constant() float64 {
	x, err := strconv.ParseFloat(op.attribute("value", `([-+.\de]+) : `), 64)
	if err != nil {
		panic(err)
	}
	return x
}

// dimensionNumbers returns which axis of each factor a product contracts.
func (op *operation) dimensionNumbers() [2]int {
	found := op.attribute("dimension_numbers", `#tpu\.dot_dimension_numbers<(\[\d\], \[\d\])`)
	return [2]int{integer(found[1:2]), integer(found[6:7])}
}
