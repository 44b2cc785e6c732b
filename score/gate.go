package score

import (
	"context"
	"slices"
	"sync"
)

// gate bounds the total weight of the work that runs at once to size. Work enters in
// the order in which it comes. Work that is heavier than size enters alone.
type gate struct {
	size int

	mu      sync.Mutex
	inside  int     // total weight of the work that has entered
	waiting []*pass // in the order in which they came
}

// pass is one piece of work that waits to enter.
type pass struct {
	weight int
	open   chan struct{} // closed with gate.mu held when the work may enter
}

func newGate(size int) *gate { return &gate{size: size} }

// enter waits until work of this weight may enter, or ctx ends. After nil, the caller
// must call leave once with the same weight. Otherwise it returns the cause of ctx.
func (g *gate) enter(ctx context.Context, weight int) error {
	weight = min(weight, g.size)
	g.mu.Lock()
	if len(g.waiting) == 0 && g.inside+weight <= g.size {
		g.inside += weight
		g.mu.Unlock()
		return nil
	}
	p := &pass{weight: weight, open: make(chan struct{})}
	g.waiting = append(g.waiting, p)
	g.mu.Unlock()
	select {
	case <-p.open:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-p.open: // it was admitted just as ctx ended
		g.inside -= weight
	default:
		g.waiting = slices.DeleteFunc(g.waiting, func(other *pass) bool { return other == p })
	}
	g.admit()
	return context.Cause(ctx)
}

// leave ends work of this weight and admits waiting work.
func (g *gate) leave(weight int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside -= min(weight, g.size)
	g.admit()
}

// admit lets waiting work enter in order, as far as there is room. g.mu must be
// held.
func (g *gate) admit() {
	for len(g.waiting) > 0 && g.inside+g.waiting[0].weight <= g.size {
		g.inside += g.waiting[0].weight
		close(g.waiting[0].open)
		g.waiting = g.waiting[1:]
	}
}
