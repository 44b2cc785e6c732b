package score

import (
	"context"
	"slices"
	"sync"
)

// gate lets work through as long as all of it together weighs no more than its size. Who comes first goes
// first. What is heavier than the gate's size goes alone.
type gate struct {
	size int

	mu      sync.Mutex
	inside  int
	waiting []*pass // in the order of their coming
}

// pass is one piece of work that waits.
type pass struct {
	weight int
	open   chan struct{} // closed when it may go, under the gate's mu
}

func newGate(size int) *gate { return &gate{size: size} }

// enter waits until the work may go through, or ctx ends. After nil, leave must be called with the same weight.
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
	case <-p.open: // let through at the very moment
		g.inside -= weight
	default:
		g.waiting = slices.DeleteFunc(g.waiting, func(other *pass) bool { return other == p })
	}
	g.admit()
	return context.Cause(ctx)
}

// leave makes room for others.
func (g *gate) leave(weight int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside -= min(weight, g.size)
	g.admit()
}

// admit lets the first of those who wait through, as far as there is room. g.mu must be held.
func (g *gate) admit() {
	for len(g.waiting) > 0 && g.inside+g.waiting[0].weight <= g.size {
		g.inside += g.waiting[0].weight
		close(g.waiting[0].open)
		g.waiting = g.waiting[1:]
	}
}
