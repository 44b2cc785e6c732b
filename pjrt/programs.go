package pjrt

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// programs are the loaded executables of one plugin, and the counts of all that has
// passed through it. Every method may be called from any goroutine: GoMLX compiles and
// runs on several at once, and each call of the plugin ends in one of these methods.
type programs struct {
	// mu must be held for the fields below. No plugin is called with it held.
	mu     sync.Mutex
	counts Stats // all but Buffers and Executables
	loaded map[executable]*Program
	order  int64 // of the executable loaded last
}

func newPrograms() *programs { return &programs{loaded: map[executable]*Program{}} }

// add takes in a loaded executable, and counts how it came to be.
func (p *programs) add(id executable, program Program) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.order++
	program.order = p.order
	p.loaded[id] = &program
	p.counts.CompileTime += program.Compile
	if !program.Cached {
		p.counts.Compiles++
	}
}

// remove takes out an executable that is about to be destroyed. It returns false if
// there is none of that id.
func (p *programs) remove(id executable) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, known := p.loaded[id]
	delete(p.loaded, id)
	return known
}

// executed counts one execution and returns how many outputs it has on each device. It
// returns 0 for an executable that is not known: its outputs are not counted then.
func (p *programs) executed(id executable, took time.Duration, failed bool) (outputs int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if program := p.loaded[id]; program != nil {
		outputs = program.outputs
		program.Executions++
		program.Execution += took
	}
	p.counts.Executions++
	p.counts.ExecutionTime += took
	if failed {
		p.counts.FailedExecutions++
	}
	return outputs
}

// cacheAnswered counts a question to the compile cache.
func (p *programs) cacheAnswered(hit bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if hit {
		p.counts.CacheHits++
	} else {
		p.counts.CacheMisses++
	}
}

// cacheFailed counts an error of the compile cache.
func (p *programs) cacheFailed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts.CacheErrors++
}

// stats returns the counts so far, without Buffers, which C counts.
func (p *programs) stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	stats := p.counts
	stats.Executables = int64(len(p.loaded))
	return stats
}

// list returns copies of the executables in the order of their loading.
func (p *programs) list() []Program {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]Program, 0, len(p.loaded))
	for _, program := range p.loaded {
		list = append(list, *program)
	}
	slices.SortFunc(list, func(a, b Program) int { return cmp.Compare(a.order, b.order) })
	return list
}
