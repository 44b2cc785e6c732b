package model

import (
	"context"
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph" // graphs read as formulas

	"scored/score"
)

// programs are the executables of an engine. One block program serves all layers: it takes its weights as inputs. So a
// bucket compiles in the time of one layer, and many small buckets cost little.
type programs struct {
	embed map[int]*program    // by tokens
	block map[shape]*program  // by bucket
	last  map[[2]int]*program // by tokens and head rows: final norm of the rows' last tokens
	head  map[headKey]*program
	check map[score.Bucket]*program // see checkBuckets; none without kernels
}

// shape is a bucket without its cost.
type shape struct{ tokens, rows, length, prefix int }

func shapeOf(b score.Bucket) shape { return shape{b.Tokens, b.Rows, b.Length, b.Prefix} }

func (s shape) name() string {
	return fmt.Sprintf("block_t%d_r%d_l%d_p%d", s.tokens, s.rows, s.length, s.prefix)
}

func embedName(tokens int) string { return fmt.Sprintf("embed_t%d", tokens) }

func lastName(tokens, rows int) string { return fmt.Sprintf("last_t%d_r%d", tokens, rows) }

// headKey names a head program: how many rows it takes, and whether it goes over the vocabulary.
type headKey struct {
	rows       int
	vocabulary bool
}

func (k headKey) name() string { return fmt.Sprintf("head_r%d_v%t", k.rows, k.vocabulary) }

// BlockProgram is the name of the program that computes a layer in steps of the bucket.
func (c Config) BlockProgram(b score.Bucket) string { return shapeOf(b).name() }

// BodyRuns is how often a step of the bucket runs each program, by name, but for the heads.
func (c Config) BodyRuns(b score.Bucket) map[string]int {
	return map[string]int{embedName(b.Tokens): 1, shapeOf(b).name(): c.Layers}
}

// StepRuns is BodyRuns with the heads of as many rows as the bucket holds, if they only compare their labels.
func (c Config) StepRuns(b score.Bucket) map[string]int {
	runs := c.BodyRuns(b)
	for left := b.Rows; left > 0; {
		rows := headFor(left)
		runs[lastName(b.Tokens, rows)]++
		runs[headKey{rows, false}.name()]++
		left -= rows
	}
	return runs
}

// headRows are the row counts the heads are compiled for: a step with more rows runs them several times. The vocabulary
// head reads its whole table however few rows it has, and computes every row it has room for: on two cores 8 rows take
// 50 ms, 64 take 170.
func headRows() []int { return []int{8, 32, 64} }

// headRowsFor are those of them that steps of up to most rows run.
func headRowsFor(most int) []int {
	all := headRows()
	for i, rows := range all {
		if rows >= most {
			return all[:i+1]
		}
	}
	return all
}

// headFor is how many rows the head has that runs for so many: the least that holds them, or the largest.
func headFor(rows int) int {
	all := headRowsFor(rows)
	return all[len(all)-1]
}

// labelsPerRow is how many labels a head program has room for, per row on average; more take another run.
const labelsPerRow = 16

// compileAll compiles what the buckets need, until ctx ends, and tells progress of each program.
func (n network) compileAll(ctx context.Context, on device, buckets []score.Bucket, progress func(stage Stage, done, total int64)) (*programs, error) {
	p := &programs{map[int]*program{}, map[shape]*program{}, map[[2]int]*program{}, map[headKey]*program{}, map[score.Bucket]*program{}}
	plan := n.plan(p, buckets)
	for i, build := range plan {
		err := ctx.Err()
		if err == nil {
			err = build(on)
		}
		if err != nil {
			p.close()
			return nil, err
		}
		if progress != nil {
			progress(StageCompile, int64(i+1), int64(len(plan)))
		}
	}
	return p, nil
}

// plan lists the compilations, each program once.
func (n network) plan(p *programs, buckets []score.Bucket) (plan []func(device) error) {
	most, mostOf := 0, map[int]int{} // rows of a step, of one with so many tokens
	for _, b := range buckets {
		most, mostOf[b.Tokens] = max(most, b.Rows), max(mostOf[b.Tokens], b.Rows)
	}
	if n.splicer != nil { // first: a device that does not take them is known at once
		for _, b := range n.checkBuckets(buckets) {
			plan = append(plan, n.orWithout(checkName(b), add(p.check, b, checkName(b), n.checkGraph(b))))
		}
	}
	for _, rows := range headRowsFor(most) {
		for _, vocabulary := range []bool{false, true} {
			key := headKey{rows, vocabulary}
			plan = append(plan, add(p.head, key, key.name(), n.headGraph(key)))
		}
	}
	planned := map[any]bool{}
	once := func(key any) bool {
		first := !planned[key]
		planned[key] = true
		return first
	}
	for _, b := range buckets {
		if s := shapeOf(b); once(s) {
			build := add(p.block, s, s.name(), n.blockGraph(s))
			if n.splicer != nil {
				build = n.orWithout(s.name(), build)
			}
			plan = append(plan, build)
		}
		if once(b.Tokens) {
			plan = append(plan, add(p.embed, b.Tokens, embedName(b.Tokens), n.embedGraph(b.Tokens)))
			for _, rows := range headRowsFor(mostOf[b.Tokens]) {
				plan = append(plan, add(p.last, [2]int{b.Tokens, rows}, lastName(b.Tokens, rows), n.lastGraph(b.Tokens, rows)))
			}
		}
	}
	return plan
}

func add[K comparable](to map[K]*program, key K, name string, build func(in *parameters) []*Node) func(device) error {
	return func(on device) (err error) {
		to[key], err = compile(on, name, build)
		return err
	}
}

// orWithout tells by ErrKernels that a program with kernels does not compile, or has been compiled without them.
func (n network) orWithout(name string, build func(device) error) func(device) error {
	return func(on device) error {
		err := build(on)
		if err == nil {
			err = n.splicer.demand(name)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrKernels, err)
		}
		return nil
	}
}

func (p *programs) close() {
	if p == nil {
		return
	}
	closeAll(p.check)
	closeAll(p.head)
	closeAll(p.last)
	closeAll(p.block)
	closeAll(p.embed)
}

func closeAll[K comparable](all map[K]*program) {
	for key, one := range all {
		if one != nil {
			one.close()
		}
		delete(all, key)
	}
}

// keptArrays is how many arrays a block keeps of a prefix.
func (n network) keptArrays() int {
	if n.kernels {
		return 1
	}
	return 2
}

// kept is the shape of one block's keys, or values, of a prefix of n tokens; for kernels, of both.
func (n network) kept(tokens int) shapes.Shape {
	if n.kernels {
		return shapes.Make(n.products, tokens, n.KVHeads*2*n.HeadDim)
	}
	return shapes.Make(n.products, tokens, n.KVHeads*n.HeadDim)
}

func (n network) embedGraph(tokens int) func(in *parameters) []*Node {
	return func(in *parameters) []*Node {
		ids, positions := in.next(dtypes.Int32, tokens), in.next(dtypes.Int32, tokens)
		x, cos, sin := n.embed(ids, positions, in.next(n.stored, n.VocabSize, n.HiddenSize))
		if n.kernels {
			return []*Node{n.stream(x), Concatenate([]*Node{cos, sin}, 1)}
		}
		return []*Node{x, cos, sin}
	}
}

// attendsHeadByHead weighs a step's work: see Options.HeadByHead.
func (n network) attendsHeadByHead(s shape) bool {
	work := 1024*s.tokens + s.rows*s.length*s.length + s.tokens*s.prefix
	return n.headByHeadFrom > 0 && work >= n.headByHeadFrom
}

func (n network) blockGraph(s shape) func(in *parameters) []*Node {
	if n.kernels {
		return n.kernelBlockGraph(s)
	}
	n.headByHead = n.attendsHeadByHead(s)
	return func(in *parameters) []*Node {
		x := n.streamParameter(in, s.tokens)
		cos, sin := in.next(dtypes.Float32, s.tokens, n.HeadDim), in.next(dtypes.Float32, s.tokens, n.HeadDim)
		seen := sight{rows: s.rows, length: s.length, prefix: s.prefix}
		seen.slots, seen.places = in.next(dtypes.Int32, s.rows*s.length), in.next(dtypes.Int32, s.tokens)
		var kept prefixKV
		if s.prefix > 0 {
			seen.own, seen.visible = in.next(dtypes.Int32, s.tokens), in.next(dtypes.Int32, s.tokens)
			seen.gathered = in.next(dtypes.Int32, s.prefix)
			kept.keys, kept.values = in.take(n.kept(s.prefix)), in.take(n.kept(s.prefix))
		}
		w := n.blockParameters(in)
		var prefix prefixKV
		out := n.block(x, w, func(qkv *Node) (mixed *Node) {
			q, k, v := n.heads(qkv, cos, sin, w)
			mixed, prefix = n.attend(q, k, v, seen, kept)
			return mixed
		})
		if s.prefix == 0 {
			return []*Node{out}
		}
		return []*Node{out, prefix.keys, prefix.values}
	}
}

// blockParameters takes a block's weights in the order of blockStacks.
func (n network) blockParameters(in *parameters) blockWeights {
	queries, keys := n.Heads*n.HeadDim, n.KVHeads*n.HeadDim
	w := blockWeights{
		inputNorm: in.next(n.stored, n.HiddenSize),
		qkv:       in.next(n.stored, queries+2*keys, n.HiddenSize),
		output:    in.next(n.stored, n.HiddenSize, queries),
		postNorm:  in.next(n.stored, n.HiddenSize),
		gateUp:    in.next(n.stored, 2*n.IntermediateSize, n.HiddenSize),
		down:      in.next(n.stored, n.HiddenSize, n.IntermediateSize),
	}
	if n.QKVBias {
		w.qkvBias = in.next(n.stored, queries+2*keys)
	}
	if n.QKNorm {
		w.queryNorm, w.keyNorm = in.next(n.stored, n.HeadDim), in.next(n.stored, n.HeadDim)
	}
	return w
}

func (n network) lastGraph(tokens, rows int) func(in *parameters) []*Node {
	return func(in *parameters) []*Node {
		x, last := n.streamParameter(in, tokens), in.next(dtypes.Int32, rows)
		return []*Node{n.last(x, last, in.next(n.stored, n.HiddenSize))}
	}
}

func (n network) headGraph(key headKey) func(in *parameters) []*Node {
	return func(in *parameters) []*Node {
		h, pairs := in.next(dtypes.Float32, key.rows, n.HiddenSize), in.next(dtypes.Int32, key.rows*labelsPerRow, 2)
		table := in.next(n.stored, n.VocabSize, n.HiddenSize)
		if key.vocabulary {
			return []*Node{n.logprobs(h, pairs, table)}
		}
		return []*Node{n.labelLogits(h, pairs, table)}
	}
}
