package model

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph" // graphs read as formulas
)

// kernelBlockGraph is blockGraph with attention by kernels.
func (n network) kernelBlockGraph(s shape) func(in *parameters) []*Node {
	return func(in *parameters) []*Node {
		x, angles := n.streamParameter(in, s.tokens), in.next(dtypes.Float32, s.tokens, 2*n.HeadDim)
		seen := n.reachParameters(in, s)
		var kept *Node
		if s.prefix > 0 {
			kept = in.take(n.kept(s.prefix))
		}
		w := n.blockParameters(in)
		var prefix *Node
		out := n.block(x, w, func(qkv *Node) (mixed *Node) {
			mixed, prefix = n.attendByKernels(qkv, angles, w, seen, kept)
			return mixed
		})
		if s.prefix == 0 {
			return []*Node{n.stream(out)}
		}
		return []*Node{n.stream(out), prefix}
	}
}

// reachParameters takes what kernels see of a step.
func (n network) reachParameters(in *parameters, s shape) (seen reach) {
	seen.spans = in.next(dtypes.Int32, 3*s.tokens/n.kernelShape(n.by, s.tokens, s.prefix).Blocks().Tokens)
	seen.sight = in.next(dtypes.Int32, 3, s.tokens)
	if s.prefix > 0 {
		seen.gathered = in.next(dtypes.Int32, s.prefix)
	}
	return seen
}

// streamParameter takes the hidden states [T, D] that the program before gave by stream.
func (n network) streamParameter(in *parameters, tokens int) *Node {
	if n.by.kind == mosaicKernels {
		return Transpose(in.next(dtypes.Float32, n.HiddenSize, tokens), 0, 1)
	}
	return in.next(dtypes.Float32, tokens, n.HiddenSize)
}

// stream is the hidden states as they go from one program to the next. Beside kernels a TPU wants a token's numbers one below
// the other, where it adds up their squares without moving them: so [D, T] spares it two copies a layer.
func (n network) stream(x *Node) *Node {
	if n.by.kind == mosaicKernels {
		return Transpose(x, 0, 1)
	}
	return x
}
