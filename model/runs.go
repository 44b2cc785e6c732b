package model

import (
	"fmt"

	"scored/score/plan"
)

// Runs knows which programs a step runs, by name, and how often. One program computes
// Group layers.
type Runs struct {
	Group  int
	layers int // of the model
}

// RunsOf returns the runs of a model with so many layers. Group is the largest divisor
// of layers up to wanted, or 1.
func RunsOf(layers, wanted int) Runs {
	for n := min(wanted, layers); n > 1; n-- {
		if layers%n == 0 {
			return Runs{Group: n, layers: layers}
		}
	}
	return Runs{Group: 1, layers: layers}
}

// Layer returns the name of the program that computes a group of layers in steps of the
// bucket.
func (r Runs) Layer(b plan.Bucket) string { return shapeOf(b).name(r.Group) }

// Body returns how often a step of the bucket runs each program, without the output
// heads.
func (r Runs) Body(b plan.Bucket) map[string]int {
	return map[string]int{embedName(b.Tokens): 1, r.Layer(b): r.layers / r.Group}
}

// Step is Body with the heads of as many rows as the bucket holds, if all rows only
// compare their labels.
func (r Runs) Step(b plan.Bucket) map[string]int {
	runs := r.Body(b)
	for left := b.Rows; left > 0; left -= lastRows {
		runs[lastName(b.Tokens)]++
		runs[outputHead{lastRows, false}.name()]++
	}
	return runs
}

// shape is the part of a bucket that a layer's program depends on. How many rows a step
// has does not matter to it.
type shape struct{ tokens, length, context int }

func shapeOf(b plan.Bucket) shape { return shape{b.Tokens, b.Length, b.Context} }

// fresh returns how many new tokens of prefixes a step can have: all of them are in its
// context.
func (s shape) fresh() int { return min(s.tokens, s.context) }

// name returns the name of the program of a group of layers.
func (s shape) name(group int) string {
	what := "layer"
	if group > 1 {
		what = fmt.Sprintf("layers%d", group)
	}
	return fmt.Sprintf("%s_t%d_l%d_c%d", what, s.tokens, s.length, s.context)
}

func embedName(tokens int) string { return fmt.Sprintf("embed_t%d", tokens) }

func lastName(tokens int) string { return fmt.Sprintf("last_t%d", tokens) }
