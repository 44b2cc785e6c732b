package model

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"scored/model/mosaic"
	"scored/model/triton"
)

// Splicer writes into the programs of an engine what GoMLX has no words for: the calls
// of kernels, and that the KV cache stays in its place. It knows what it has put into
// each. Its methods may be called from any goroutine.
type Splicer struct {
	config Config

	mu   sync.Mutex
	by   Kernels            // those of the last engine that took the Splicer
	seen map[string]spliced // by the program's name
}

// spliced counts what has been put into a program.
type spliced struct {
	calls  int // of kernels
	caches int // that stay in their place
}

// NewSplicer makes a Splicer for engines of the model, which all have the same
// Options.Kernels.
func NewSplicer(c Config) *Splicer { return &Splicer{config: c, seen: map[string]spliced{}} }

// take tells whose kernels to call.
func (s *Splicer) take(by Kernels) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.by = by
}

// Rewrite is CallKernels and KeepCache for the compiler that the engine's programs go
// to. It must be the last to see their text.
func (s *Splicer) Rewrite(program []byte) []byte {
	s.mu.Lock()
	by := s.by
	s.mu.Unlock()
	var put spliced
	program, put.calls = s.config.CallKernels(by, program)
	program, put.caches = KeepCache(program)
	if m := moduleName.FindSubmatch(program); m != nil {
		s.mu.Lock()
		s.seen[string(m[1])] = put
		s.mu.Unlock()
	}
	return program
}

// demand is an error unless the program went through Rewrite and got what it must have.
// Without its kernels the formula would run in their place, and without a cache in its
// place each layer of each step would copy it: right, and many times slower.
func (s *Splicer) demand(program string, calls, caches int) error {
	s.mu.Lock()
	put, seen := s.seen[program]
	s.mu.Unlock()
	switch {
	case !seen:
		return fmt.Errorf("program %s was compiled without Splicer.Rewrite: give that to the plugin",
			program)
	case put.calls != calls:
		return fmt.Errorf("program %s calls %d kernels, not %d: its text is not as "+
			"Config.CallKernels knows it", program, put.calls, calls)
	case put.caches != caches:
		return fmt.Errorf("program %s keeps %d caches in their place, not %d: its text is not as "+
			"KeepCache knows it", program, put.caches, caches)
	}
	return nil
}

var moduleName = regexp.MustCompile(`^module @([\w.-]+)`)

// A program's parameters and what it gives, the KV caches that its parameters begin
// with, and what it gives one by one.
var (
	mainFunction   = regexp.MustCompile(`func\.func @main\(([^\n]*)\) -> \(([^\n]*)\)`)
	cacheParameter = regexp.MustCompile(`^(?:, )?%` + cacheName + `\d*: (tensor<[^>]+>)`)
	givenType      = regexp.MustCompile(`^(?:, )?(tensor<[^>]*>)`)
)

// KeepCache tells the compiler that a program's first outputs take the memory of its
// first parameters, as far as those are KV caches of the same shapes, as they are given
// away with each run; caches is how many there are. The attribute is StableHLO's in
// MLIR, of XLA's importer.
func KeepCache(program []byte) (rewritten []byte, caches int) {
	m := mainFunction.FindSubmatchIndex(program)
	if m == nil {
		return program, 0
	}
	out := bytes.NewBuffer(slices.Clone(program[:m[2]]))
	takes, gives := program[m[2]:m[3]], program[m[4]:m[5]]
	for {
		cache, given := cacheParameter.FindSubmatch(takes), givenType.FindSubmatch(gives)
		if cache == nil || given == nil || !bytes.Equal(cache[1], given[1]) {
			break
		}
		fmt.Fprintf(out, "%s {tf.aliasing_output = %d : i32}", cache[0], caches)
		takes, gives = takes[len(cache[0]):], gives[len(given[0]):]
		caches++
	}
	out.Write(takes)
	out.Write(program[m[3]:])
	return out.Bytes(), caches
}

// barrier is an end of a kernel in the text of a program: see network.kernel.
type barrier struct{ results, operands, kinds []string }

// An operation of StableHLO is one line of GoMLX's text.
var barrierLine = regexp.MustCompile(
	`^\s*(%\w+(?:, %\w+)*) = "stablehlo\.optimization_barrier"\((%[\w, %]+)\) : \((tensor<[^)]+)\) -> `)

// CallKernels puts calls of kernels into a program of an engine with Options.Kernels:
// its StableHLO text, as the plugin is given it; calls is how many it put. Other
// programs stay as they are. What a kernel replaces is left behind, without a use, for
// the compiler to drop.
func (c Config) CallKernels(by Kernels, program []byte) (rewritten []byte, calls int) {
	var out bytes.Buffer
	var begin barrier
	for line := range bytes.Lines(program) {
		b, found := readBarrier(string(line))
		switch {
		case !found:
		case len(b.operands) == 2 && slices.Contains(begin.results, b.operands[1]):
			if call := c.callKernel(by, begin, b); call != "" {
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
	return barrier{results: list(1), operands: list(2), kinds: list(3)}, true
}

// callKernel tells the kernels apart by their operands; "" if there is none for them.
func (c Config) callKernel(by Kernels, begin, end barrier) string {
	if !by.Any() {
		return ""
	}
	result, kind := end.results[0], end.kinds[0]
	tokens, prefix, keys := rowsOf(kind), 0, false
	switch len(begin.operands) {
	case 4:
		keys = true
	case 6:
	case 7:
		prefix = rowsOf(begin.kinds[3])
	default:
		return ""
	}
	if !strings.HasSuffix(kind, "xbf16>") { // kernels are written for bfloat16
		return ""
	}
	return c.caller(by, tokens, prefix, keys).Call(begin.operands, begin.kinds, result, kind)
}

// caller writes the operation that calls a kernel.
type caller interface {
	Call(operands []string, operandTypes []string, result, resultType string) string
}

// caller is the kernel that makes keys ready, or the one that attends.
func (c Config) caller(by Kernels, tokens, prefix int, keys bool) caller {
	switch {
	case by.kind == tritonKernels && keys:
		return triton.Keys(c.tritonShape(by, tokens, prefix))
	case by.kind == tritonKernels:
		return triton.Attend(c.tritonShape(by, tokens, prefix))
	case keys:
		return mosaic.Keys(c.mosaicShape(tokens, prefix))
	}
	return mosaic.Attend(c.mosaicShape(tokens, prefix))
}

// rowsOf is the first axis of an array of the type.
func rowsOf(kind string) int {
	text, _, _ := strings.Cut(strings.TrimPrefix(kind, "tensor<"), "x")
	n, _ := strconv.Atoi(text) // an array's axes are numbers
	return n
}
