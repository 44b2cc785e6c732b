package model

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph" // graphs read as formulas
)

// loop runs next on a state while more holds of it, and gives the last state. A loop's
// body sees nothing but its state, so whatever it needs is in there, constants
// included: one made inside would be the graph's one of that value ever after, and of
// no use outside.
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
