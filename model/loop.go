package model

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph" // graphs read as formulas
)

// loop replaces a state by next(state) while more(state) is true, and returns the last
// state. more returns a boolean scalar. A loop's body can use nothing but its state, so
// whatever it needs must be in there, constants included: GoMLX keeps one constant of
// each value for a graph, and one that was made inside could not be used outside.
func loop(state []*Node, more func(s []*Node) *Node, next func(s []*Node) []*Node) []*Node {
	g := state[0].Graph()
	closure := func(body func(s []*Node) []*Node) *Function {
		return NewClosure(g, func(g *Graph) []*Node {
			s := make([]*Node, len(state))
			for i, x := range state {
				s[i] = Parameter(g, fmt.Sprintf("state%d", i), x.Shape())
			}
			return body(s)
		})
	}
	again := closure(func(s []*Node) []*Node { return []*Node{more(s)} })
	return While(again, closure(next), state...)
}
