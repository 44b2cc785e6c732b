package model

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph" // the forward pass reads as formulas

	"scored/model/kernel"
	"scored/model/mosaic"
	"scored/model/triton"
	"scored/score"
)

// Attention by kernels, for a TPU or an NVIDIA GPU. The graph says what each kernel computes, as a formula that any backend can run, and
// marks where it begins and ends. A Splicer replaces the formula by a call of the kernel in the program's text, since GoMLX
// knows no custom calls, and says how many it placed. With Options.Formula nobody does, and the formula runs.
//
// A kernel takes packed tokens as they are: a row is a run of tokens, of which each sees those before it. So there are no
// padded rows, and a step may hold any rows that its tokens have room for.

// Kernels says whose kernels attend. The zero value is nobody's.
type Kernels struct {
	kind   kernelsKind
	shared int // bytes of shared memory of a GPU
}

type kernelsKind string

const (
	noKernels     kernelsKind = ""
	mosaicKernels kernelsKind = "mosaic"
	tritonKernels kernelsKind = "triton"
)

// TPUKernels are those of a TPU, in package mosaic.
func TPUKernels() Kernels { return Kernels{kind: mosaicKernels} }

// GPUKernels are those of an NVIDIA GPU, in package triton, whose blocks of threads may use so many bytes of shared memory.
func GPUKernels(sharedMemory int) Kernels { return Kernels{tritonKernels, sharedMemory} }

// Any tells whether there are any.
func (k Kernels) Any() bool { return k.kind != noKernels }

// kernelShape is what the kernels for a step shape tell: whether there are any, and how they cut it up.
type kernelShape interface {
	Check() error
	Blocks() kernel.Blocks
}

// reach says which tokens see which, for kernels: all int32.
type reach struct {
	spans    *Node // which blocks of keys each block of tokens needs: see package kernel
	sight    *Node // [3, T]: the context keys that the token sees, from … to-1, and the first of the step's tokens that it sees
	gathered *Node // [P]: see sight.gathered; nil without a prefix
}

// KernelsFit says why there are no kernels for the model in these buckets; nil if there are.
func (c Config) KernelsFit(k Kernels, buckets []score.Bucket) error {
	for _, b := range buckets {
		if err := c.kernelShape(k, b.Tokens, b.Prefix).Check(); err != nil {
			return err
		}
	}
	return nil
}

func (c Config) kernelShape(k Kernels, tokens, prefix int) kernelShape {
	if k.kind == tritonKernels {
		return c.tritonShape(k, tokens, prefix)
	}
	return c.mosaicShape(tokens, prefix)
}

func (c Config) mosaicShape(tokens, prefix int) mosaic.Shape {
	return mosaic.Shape{Shape: c.attention(tokens, prefix)}
}

func (c Config) tritonShape(k Kernels, tokens, prefix int) triton.Shape {
	return triton.Shape{Shape: c.attention(tokens, prefix), Shared: k.shared}
}

func (c Config) attention(tokens, context int) kernel.Shape {
	return kernel.Shape{Tokens: tokens, Context: context, Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim, Norm: c.QKNorm, Eps: c.RMSEps}
}

// SharedMemory is how many bytes of shared memory a GPU's kernel of attention takes in a bucket; 0 without kernels.
func (c Config) SharedMemory(k Kernels, b score.Bucket) int {
	if k.kind != tritonKernels {
		return 0
	}
	return triton.Attend(c.tritonShape(k, b.Tokens, b.Prefix)).Shared
}

// KernelCycles is how long a step's kernels take on a v6e: see mosaic.Shape.Cycles.
func (c Config) KernelCycles(b score.Bucket) float64 {
	return float64(c.Layers) * c.mosaicShape(b.Tokens, b.Prefix).Cycles()
}

// attendByKernels is heads and attend in one: qkv [T, (H+2K)·E] in the dtype of products, angles [T, 2E] float32, kept
// [P, K·2E], each head's keys and then its values -> mixed values [T, H·E], and the prefix with this step's tokens in it.
func (n network) attendByKernels(qkv, angles *Node, w blockWeights, seen reach, kept *Node) (mixed, prefix *Node) {
	keys := n.kernel(n.readyKeys, qkv, qkv, n.keyWeight(w, qkv.Graph()), angles)
	operands := []*Node{seen.spans, qkv, keys}
	if kept != nil {
		prefix = extend(kept, keys, seen.gathered)
		operands = append(operands, prefix)
	}
	return n.kernel(n.attendPacked, append(operands, seen.sight, n.queryWeight(w, qkv.Graph()), angles)...), prefix
}

// keyWeight and queryWeight are the kernels' weights, [1, E] float32.
func (n network) keyWeight(w blockWeights, g *Graph) *Node {
	return ExpandDims(n.headWeight(w.keyNorm, g, 1), 0)
}

func (n network) queryWeight(w blockWeights, g *Graph) *Node {
	return ExpandDims(n.headWeight(w.queryNorm, g, math.Log2E/math.Sqrt(float64(n.HeadDim))), 0)
}

// kernel puts the formula between two barriers, which change nothing and which nothing else here uses. The first takes the
// operands. The second takes the result and, to be known from a first one, what the first gives for the first operand.
func (n network) kernel(formula func(in []*Node) *Node, operands ...*Node) *Node {
	if !n.marked {
		return formula(operands)
	}
	in := OptimizationBarriers(operands...)
	return OptimizationBarriers(formula(in), in[0])[0]
}

// readyKeys is the formula of the kernel Keys.
func (n network) readyKeys(in []*Node) *Node {
	qkv, weight, angles := in[0], in[2], in[3]
	tokens := qkv.Shape().Dim(0)
	keys := n.turnHeads(n.cut(qkv, n.Heads, n.KVHeads), weight, angles)
	values := float32s(Reshape(n.cut(qkv, n.Heads+n.KVHeads, n.KVHeads), tokens, n.KVHeads, n.HeadDim))
	keys = Add(keys, ReduceAndKeep(Sub(values, values), ReduceSum, -1)) // see contain
	values = Where(IsFinite(values), values, ZerosLike(values))
	return Reshape(ConvertDType(Concatenate([]*Node{keys, values}, -1), n.products), tokens, n.KVHeads*2*n.HeadDim)
}

// turnHeads norms and turns heads: x [T, h·E], weight [1, E], angles [T, 2E] -> [T, h, E] float32.
func (n network) turnHeads(x, weight, angles *Node) *Node {
	x = Reshape(x, x.Shape().Dim(0), -1, n.HeadDim)
	half := func(from int) *Node { return ExpandDims(SliceAxis(angles, 1, AxisRange(from, from+n.HeadDim)), 1) }
	return n.turn(x, ExpandDims(weight, 1), half(0), half(n.HeadDim))
}

// attendPacked is the formula of the kernel Attend: every token against every key, most of them masked.
func (n network) attendPacked(in []*Node) *Node {
	qkv, keys, sight, weight, angles := in[1], in[2], in[len(in)-3], in[len(in)-2], in[len(in)-1]
	g, tokens, context := qkv.Graph(), qkv.Shape().Dim(0), 0
	if len(in) > 6 {
		context = in[3].Shape().Dim(0)
		keys = Concatenate([]*Node{in[3], keys}, 0)
	}
	size, groups := context+tokens, n.Heads/n.KVHeads
	queries := ConvertDType(n.turnHeads(n.cut(qkv, 0, n.Heads), weight, angles), n.products)
	queries = Reshape(TransposeAllDims(queries, 1, 0, 2), n.KVHeads, groups*tokens, n.HeadDim)
	both := float32s(TransposeAllDims(Reshape(keys, size, n.KVHeads, 2*n.HeadDim), 1, 0, 2)) // [K, C+T, 2E]

	row := func(i int) *Node {
		return BroadcastToDims(Reshape(Slice(sight, AxisElem(i)), 1, tokens, 1), groups, tokens, size)
	}
	key, token := iota(g, 2, groups, tokens, size), iota(g, 1, groups, tokens, size)
	own := AddScalar(key, -context)
	sees := LogicalOr(LogicalAnd(GreaterOrEqual(key, row(0)), LessThan(key, row(1))), LogicalAnd(GreaterOrEqual(own, row(2)), LessOrEqual(own, token)))
	// Softmax of powers of two; weights enter the product with the values as they would in bfloat16.
	scores := dotGeneral(float32s(queries), []int{2}, []int{0}, SliceAxis(both, 2, AxisRange(0, n.HeadDim)), []int{2}, []int{0})
	sees = BroadcastToDims(Reshape(sees, 1, groups*tokens, size), scores.Shape().Dimensions...)
	scores = Where(sees, scores, scalarLike(scores, unseen))
	weights := Exp(MulScalar(Sub(scores, ReduceAndKeep(scores, ReduceMax, -1)), math.Ln2))
	rounded := float32s(ConvertDType(weights, n.products))
	mixed := dotGeneral(rounded, []int{2}, []int{0}, SliceAxis(both, 2, AxisRange(n.HeadDim)), []int{1}, []int{0})
	mixed = Div(mixed, ReduceAndKeep(weights, ReduceSum, -1))
	mixed = TransposeAllDims(Reshape(mixed, n.Heads, tokens, n.HeadDim), 1, 0, 2)
	return ConvertDType(Reshape(mixed, tokens, n.Heads*n.HeadDim), n.products)
}

// withKernels is the network with these kernels for these buckets.
func (n network) withKernels(by Kernels, buckets []score.Bucket) (network, error) {
	if !by.Any() {
		by = TPUKernels() // whose formula is asked for
	}
	if err := n.KernelsFit(by, buckets); err != nil {
		return n, fmt.Errorf("kernels do not fit: %w; leave Options.Kernels out", err)
	}
	n.kernels, n.marked, n.by = true, true, by
	return n, nil
}
