package model

import (
	"context"
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph" // graphs read as formulas

	"scored/score/plan"
)

// programs are the compiled programs of an engine. One program serves all layers, or all
// groups of layers, because it takes its weights as inputs. So a bucket compiles in the
// time of one layer, and many small buckets cost little.
type programs struct {
	embed  map[int]*program   // by tokens
	layer  map[shape]*program // by bucket
	last   map[int]*program   // by tokens: the last norm, of chosen tokens
	output map[outputHead]*program
	// outputRows is how many rows the largest output head takes. A step may have more
	// places than that.
	outputRows int
	check      map[string]*program // by name: see attention.checks
	blank      *program            // makes a layer's KV cache of zeros; nil without a cache
}

// compileAll compiles the programs that the buckets need, until ctx ends, and calls
// progress after each. After an error it has freed them.
func (n network) compileAll(ctx context.Context, on device, buckets []plan.Bucket,
	progress func(stage Stage, done, total int64)) (*programs, error) {
	p := &programs{embed: map[int]*program{}, layer: map[shape]*program{}, last: map[int]*program{},
		output: map[outputHead]*program{}, check: map[string]*program{}}
	list := n.list(p, buckets)
	for i, build := range list {
		err := ctx.Err()
		if err == nil {
			err = build(on)
		}
		if err != nil {
			p.close()
			return nil, err
		}
		if progress != nil {
			progress(StageCompile, int64(i+1), int64(len(list)))
		}
	}
	return p, nil
}

// list returns functions that compile the programs into p, each program once. Checks
// come first: a device that does not take kernels is known at once.
func (n network) list(p *programs, buckets []plan.Bucket) (list []func(device) error) {
	for _, c := range n.attention.checks(buckets) {
		list = append(list, n.demanding(c.name, kernelCalls, 0, add(p.check, c.name, c.name, c.build)))
	}
	list = append(list, n.listOutputs(p, buckets)...)
	planned := map[any]bool{}
	once := func(key any) bool {
		first := !planned[key]
		planned[key] = true
		return first
	}
	for _, b := range buckets {
		if s := shapeOf(b); once(s) {
			caches := 0
			if s.context > 0 {
				caches = n.runs.Group
			}
			name := s.name(n.runs.Group)
			list = append(list, n.demanding(name, n.runs.Group*n.attention.calls(), caches,
				add(p.layer, s, name, n.layerGraph(s))))
		}
		if once(b.Tokens) {
			list = append(list, add(p.embed, b.Tokens, embedName(b.Tokens), n.embedGraph(b.Tokens)),
				add(p.last, b.Tokens, lastName(b.Tokens), n.lastGraph(b.Tokens)))
		}
	}
	if n.cache.pages > 0 {
		list = append(list, func(on device) (err error) {
			p.blank, err = compile(on, "blank", func(in *parameters) []*Node {
				return []*Node{Zeros(in.g, n.cache.shape())}
			})
			return err
		})
	}
	return list
}

// listOutputs is list of the output heads alone. A classifier needs no vocabulary head.
func (n network) listOutputs(p *programs, buckets []plan.Bucket) (list []func(device) error) {
	most := 0 // rows of a step
	for _, b := range buckets {
		most = max(most, b.Rows)
	}
	p.outputRows = outputHeadFor(most, true).rows
	heads := []outputHead{outputHeadFor(most, false)}
	if n.Classes == nil {
		for _, rows := range vocabularyRowsFor(most) {
			heads = append(heads, outputHeadFor(rows, true))
		}
	}
	for _, head := range heads {
		list = append(list, add(p.output, head, head.name(), n.outputGraph(head)))
	}
	return list
}

// add returns a function that compiles a program and adds it to a map.
func add[K comparable](to map[K]*program, key K, name string,
	build func(in *parameters) []*Node) func(device) error {
	return func(on device) (err error) {
		to[key], err = compile(on, name, build)
		return err
	}
}

// demanding returns build with a check of what the Splicer, if there is one, must have
// written into the program. If the program calls kernels, every error is ErrKernels.
func (n network) demanding(name string, calls, caches int,
	build func(device) error) func(device) error {
	return func(on device) error {
		err := build(on)
		if err == nil && n.splicer != nil {
			err = n.splicer.demand(name, calls, caches)
		}
		if err != nil && calls > 0 {
			return fmt.Errorf("%w: %w", ErrKernels, err)
		}
		return err
	}
}

// close frees the programs. p may be nil, or half compiled.
func (p *programs) close() {
	if p == nil {
		return
	}
	closeAll(p.check)
	closeAll(p.output)
	closeAll(p.last)
	closeAll(p.layer)
	closeAll(p.embed)
	if p.blank != nil {
		p.blank.close()
		p.blank = nil
	}
}

func closeAll[K comparable](all map[K]*program) {
	for key, one := range all {
		if one != nil {
			one.close()
		}
		delete(all, key)
	}
}

// embedGraph takes token ids and positions [T], and the embedding. It returns hidden
// states and the angles of RoPE.
func (n network) embedGraph(tokens int) func(in *parameters) []*Node {
	return func(in *parameters) []*Node {
		ids, positions := in.next(dtypes.Int32, tokens), in.next(dtypes.Int32, tokens)
		x, angles := n.embed(ids, positions, in.next(n.stored, n.VocabSize, n.HiddenSize))
		return []*Node{n.stream(x), angles}
	}
}

// layerGraph takes the KV cache of each layer of a group, if the shape has a context;
// the outputs of embedGraph; the arrays that stepInputs makes of a step; and the layers'
// weights. It returns the caches and the hidden states.
func (n network) layerGraph(s shape) func(in *parameters) []*Node {
	return func(in *parameters) []*Node {
		var at cacheInputs
		var outputs []*Node // the caches, each replaced when its layer has written to it
		if s.context > 0 {
			for i := range n.runs.Group {
				outputs = append(outputs, in.named(cacheNameOf(i), n.cache.shape()))
			}
		}
		x, angles := n.streamParameter(in, s.tokens), in.next(dtypes.Float32, s.tokens, 2*n.HeadDim)
		v := viewParameters(in, n.attention, s)
		if s.context > 0 {
			at = n.cache.inputs(in, s)
		}
		for i := range n.runs.Group {
			var keep func(fresh *Node) contextKeys
			if s.context > 0 {
				at.cache = outputs[i]
				keep = func(fresh *Node) (context contextKeys) {
					outputs[i], context = n.cache.update(at, fresh)
					return context
				}
			}
			w := n.layerParameters(in)
			x = n.transform(x, w, func(qkv *Node) *Node {
				return n.attention.attend(qkv, angles, w, v, keep)
			})
		}
		return append(outputs, n.stream(x))
	}
}

// viewParameters declares the inputs of a view of the shape.
func viewParameters(in *parameters, a attention, s shape) view {
	return view{ranges: in.next(dtypes.Int32, 3, s.tokens), length: s.length, more: a.inputs(in, s)}
}

// streamParameter declares the hidden states that the program before returned by stream,
// as [T, D].
func (n network) streamParameter(in *parameters, tokens int) *Node {
	if n.attention.transposed() {
		return Transpose(in.next(dtypes.Float32, n.HiddenSize, tokens), 0, 1)
	}
	return in.next(dtypes.Float32, tokens, n.HiddenSize)
}

// stream returns the hidden states [T, D] as programs pass them on, which is [D, T] if
// attention wants it so.
func (n network) stream(x *Node) *Node {
	if n.attention.transposed() {
		return Transpose(x, 0, 1)
	}
	return x
}

// lastGraph takes hidden states, the indexes of up to lastRows tokens, and the weight of
// the last norm. It returns their hidden states after the norm, [lastRows, D].
func (n network) lastGraph(tokens int) func(in *parameters) []*Node {
	return func(in *parameters) []*Node {
		x, last := n.streamParameter(in, tokens), in.next(dtypes.Int32, lastRows)
		return []*Node{n.last(x, last, in.next(dtypes.Float32, n.HiddenSize))}
	}
}

// outputGraph takes the output of lastGraph; which of its rows the head takes; pairs of
// one of those and a label, [Q, 2]; and the head's table. It returns a number for each
// pair, [Q].
func (n network) outputGraph(head outputHead) func(in *parameters) []*Node {
	return func(in *parameters) []*Node {
		h, rows := in.next(dtypes.Float32, lastRows, n.HiddenSize), in.next(dtypes.Int32, head.rows)
		pairs := in.next(dtypes.Int32, head.rows*plan.LabelsPerRow, 2)
		table := in.next(n.stored, n.Head().Shape...)
		h = Gather(h, ExpandDims(rows, -1))
		if head.vocabulary {
			return []*Node{n.logprobs(h, pairs, table)}
		}
		return []*Node{n.labelLogits(h, pairs, table)}
	}
}
