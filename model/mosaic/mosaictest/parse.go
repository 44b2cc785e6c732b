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
		body    *block
		grid    [2]int
		whole   int // operands that every point of the grid gets whole
		windows []window
	}
	functions map[string]*block
}

type window struct {
	index         string // the function that says which block it shows
	rows, columns int
}

type block struct {
	parameters []string
	operations []*operation
}

type operation struct {
	results    []string
	name       string
	operands   []string
	attributes string
	result     kind
	region     *block
}

// kind is the element type and the axes of a result.
type kind struct {
	element string
	dims    []int
}

type reader struct {
	lines []string
	next  int
}

// The generic form of MLIR as it is printed, an operation on a line, but for those with a region.
var (
	opLine     = regexp.MustCompile(`^(?:(%\d+)(?::(\d+))? = )?"stable_mosaic\.([\w.]+)"\((.*?)\)(?: \{(.*)\})? : \(.*\) -> (.*)$`)
	regionLine = regexp.MustCompile(`^(?:(%\d+)(?::(\d+))? = )?"stable_mosaic\.([\w.]+)"\((.*?)\) \(\{$`)
	inputsLine = regexp.MustCompile(`^\^bb0\((.*)\):$`)
	windowText = regexp.MustCompile(`transform_indices = @(\w+), window_bounds = array<i64: (\d+), (\d+)>`)
	kindText   = regexp.MustCompile(`^(?:vector<((?:\d+x)*))?(\w+)>?$`)
)

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

func (m *module) add(body *block, about *operation) {
	if name := about.quoted("sym_name"); !strings.Contains(about.attributes, "window_params") {
		m.functions[name] = body
		return
	}
	m.kernel.body, m.kernel.whole = body, about.number("scalar_prefetch")
	copy(m.kernel.grid[:], about.numbers("iteration_bounds"))
	for _, w := range windowText.FindAllStringSubmatch(about.attributes, -1) {
		m.kernel.windows = append(m.kernel.windows, window{w[1], whole(w[2]), whole(w[3])})
	}
}

func (r *reader) line() string {
	if r.next == len(r.lines) {
		panic("text ends too early")
	}
	r.next++
	return strings.TrimSpace(r.lines[r.next-1])
}

// block reads the parameters and operations of a region, up to its end.
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
				op.result.dims = append(op.result.dims, whole(d))
			}
		}
		if i := strings.LastIndex(of[2], "x"); i > 0 && of[2] != "index" {
			return nil, fmt.Errorf("line %d has a type that is not understood: %s", r.next, parts[6])
		}
	}
	return op, nil
}

func begin(parts []string) *operation {
	op := &operation{name: parts[3], operands: list(parts[4])}
	switch {
	case parts[2] != "":
		for i := range whole(parts[2]) {
			op.results = append(op.results, fmt.Sprintf("%s#%d", parts[1], i))
		}
	case parts[1] != "":
		op.results = []string{parts[1]}
	}
	return op
}

func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ", ")
}

func whole(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

// attribute is the text of an attribute up to where its value must have ended.
func (op *operation) attribute(name, pattern string) string {
	found := regexp.MustCompile(`(?:^|[ {])` + name + ` = ` + pattern).FindStringSubmatch(op.attributes)
	if found == nil {
		return ""
	}
	return found[1]
}

func (op *operation) quoted(name string) string { return op.attribute(name, `"(\w+)"`) }

// word is the name in an attribute such as #vector.kind<add>.
func (op *operation) word(name string) string { return op.attribute(name, `#[\w.]+<(\w+)>`) }

// numbers are those of an attribute such as array<i64: 1, 2> or [1, 2].
func (op *operation) numbers(name string) (all []int) {
	for _, n := range list(op.attribute(name, `(?:array<\w+: |\[)([-\d, ]+)`)) {
		all = append(all, whole(n))
	}
	return all
}

// number is a single one; 0 if the attribute is not there.
func (op *operation) number(name string) int {
	if all := op.numbers(name); len(all) == 1 {
		return all[0]
	}
	if s := op.attribute(name, `(-?\d+) : `); s != "" {
		return whole(s)
	}
	return 0
}

func (op *operation) constant() float64 {
	x, err := strconv.ParseFloat(op.attribute("value", `([-+.\de]+) : `), 64)
	if err != nil {
		panic(err)
	}
	return x
}

// dimensionNumbers are the axes of both arrays that a product contracts.
func (op *operation) dimensionNumbers() [2]int {
	found := op.attribute("dimension_numbers", `#tpu\.dot_dimension_numbers<(\[\d\], \[\d\])`)
	return [2]int{whole(found[1:2]), whole(found[6:7])}
}
