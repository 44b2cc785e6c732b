package model

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"sync"

	"scored/model/checkpoint"
)

// Splicer writes into the programs of an engine what GoMLX cannot express: calls of
// kernels, and that the KV cache stays in place. It counts what it has written into
// each program, so that an engine can check it. Its methods may be called from any
// goroutine.
type Splicer struct {
	config checkpoint.Config

	mu      sync.Mutex
	kernels LayerKernels       // of the engine that was made last
	seen    map[string]spliced // by the program's name
}

// spliced counts what has been written into a program.
type spliced struct {
	calls  int // of kernels
	caches int // that stay in place
}

// NewSplicer makes a Splicer for engines of the model, which must all have the same
// Options.Kernels.
func NewSplicer(c checkpoint.Config) *Splicer {
	return &Splicer{config: c, seen: map[string]spliced{}}
}

// use sets the kernels that later programs call.
func (s *Splicer) use(k Kernels) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kernels = k.Of(s.config)
}

// Rewrite returns a program with kernels called and KV caches kept in place. The
// plugin must pass every program through it on the way to the compiler, and nothing may
// change the text afterwards.
func (s *Splicer) Rewrite(program []byte) []byte {
	s.mu.Lock()
	kernels := s.kernels
	s.mu.Unlock()
	var put spliced
	program, put.calls = kernels.call(program)
	program, put.caches = keepCaches(program)
	if m := moduleName.FindSubmatch(program); m != nil {
		s.mu.Lock()
		s.seen[string(m[1])] = put
		s.mu.Unlock()
	}
	return program
}

// demand returns an error unless the program went through Rewrite and got what it must
// have. Without its kernels the formula would run in their place; without its cache in
// place, each layer of each step would copy the cache. Answers would be right, and many
// times slower.
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
			"LayerKernels.call knows it", program, put.calls, calls)
	case put.caches != caches:
		return fmt.Errorf("program %s keeps %d caches in their place, not %d: its text is not as "+
			"keepCaches knows it", program, put.caches, caches)
	}
	return nil
}

var moduleName = regexp.MustCompile(`^module @([\w.-]+)`)

// What keepCaches looks for in a program's text: its parameters and results, a KV cache
// that the parameters begin with, and the type that the results begin with.
var (
	mainFunction   = regexp.MustCompile(`func\.func @main\(([^\n]*)\) -> \(([^\n]*)\)`)
	cacheParameter = regexp.MustCompile(`^(?:, )?%` + cacheName + `\d*: (tensor<[^>]+>)`)
	firstResult    = regexp.MustCompile(`^(?:, )?(tensor<[^>]*>)`)
)

// keepCaches tells the compiler that a program's first results take the memory of its
// first parameters, as far as those are KV caches of the same shapes. The engine donates
// them with each run. caches is how many there are. The attribute is that of XLA's
// importer of StableHLO.
func keepCaches(program []byte) (rewritten []byte, caches int) {
	m := mainFunction.FindSubmatchIndex(program)
	if m == nil {
		return program, 0
	}
	out := bytes.NewBuffer(slices.Clone(program[:m[2]]))
	parameters, results := program[m[2]:m[3]], program[m[4]:m[5]]
	for {
		cache, result := cacheParameter.FindSubmatch(parameters), firstResult.FindSubmatch(results)
		if cache == nil || result == nil || !bytes.Equal(cache[1], result[1]) {
			break
		}
		fmt.Fprintf(out, "%s {tf.aliasing_output = %d : i32}", cache[0], caches)
		parameters, results = parameters[len(cache[0]):], results[len(result[0]):]
		caches++
	}
	out.Write(parameters)
	out.Write(program[m[3]:])
	return out.Bytes(), caches
}
