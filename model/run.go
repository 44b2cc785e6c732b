package model

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"scored/score/plan"
)

// Run queues the step on the device: embedding, layers, readouts. On a device that does
// not queue, it computes the step. It must not be called from several goroutines at a
// time; Wait of earlier steps may be called meanwhile. The step may be changed once Run
// has returned.
//
// Errors of Run and Wait wrap plan.ErrMemory, plan.ErrCache and plan.ErrLost if those
// apply. After an error, the slots that the step wrote hold nothing.
func (e *Engine) Run(step *plan.Step) (plan.Pending, error) {
	p, err := e.queue(step)
	if err != nil {
		return nil, e.withMeaning(err)
	}
	return p, nil
}

// queue is Run without the errors of package plan.
func (e *Engine) queue(step *plan.Step) (p *pending, err error) {
	if err := step.Check(e.Pages()); err != nil {
		return nil, err
	}
	p = &pending{engine: e, answers: make([][]float32, len(step.Rows)), fills: noCache}
	for i := range step.Rows {
		p.answers[i] = make([]float32, step.Rows[i].Numbers())
	}
	if step.Bucket.Context > 0 {
		if p.fills, err = e.cache.ready(e.programs.blank); err != nil {
			return nil, err
		}
	}
	l := e.net.cache.lay(step)
	hidden, err := e.layers(step.Bucket, l, p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, finalize(hidden)) }()
	r := readout{programs: e.programs, weights: e.weights, tokens: step.Bucket.Tokens, hidden: hidden}
	err = r.run(placesOf(step, l, e.net.Classes != nil, p.answers))
	if p.reads = r.reads; err != nil {
		return nil, errors.Join(err, p.free())
	}
	return p, nil
}

// layers runs the embedding and every layer. It returns the hidden states, which the
// caller finalizes.
func (e *Engine) layers(
	bucket plan.Bucket, l *layout, p *pending,
) (hidden *tensors.Tensor, err error) {
	s := shapeOf(bucket)
	program := e.programs.layer[s]
	if program == nil {
		return nil, fmt.Errorf("bucket %+v is not one of the engine's", bucket)
	}
	ids, positions := vector(l.ids), vector(l.positions)
	defer func() { err = errors.Join(err, finalize(ids, positions)) }()
	embedded, err := e.programs.embed[bucket.Tokens].run(ids, positions, e.weights.table)
	if err != nil {
		return nil, err
	}
	hidden = embedded[0]
	inputs := slices.Concat(embedded[1:], e.net.stepInputs(l, s))
	defer func() { err = errors.Join(err, finalize(inputs...)) }()
	for i := 0; i < len(e.weights.layers); i += e.net.runs.Group {
		weights := slices.Concat(e.weights.layers[i : i+e.net.runs.Group]...)
		arguments := slices.Concat([]*tensors.Tensor{hidden}, inputs, weights)
		var next *tensors.Tensor
		if s.context == 0 {
			next, err = e.alone(program, arguments)
		} else {
			next, err = e.onCache(program, i, arguments, p)
		}
		if err = errors.Join(err, finalize(hidden)); err != nil {
			return nil, errors.Join(fmt.Errorf("layer %d: %w", i, err), finalize(next))
		}
		hidden = next
	}
	return hidden, nil
}

// stepInputs returns the inputs of a layer's program that depend on the step alone, in
// the order of layerGraph.
func (n network) stepInputs(l *layout, s shape) []*tensors.Tensor {
	inputs := append([]*tensors.Tensor{l.ranges()}, n.attention.pack(l, s)...)
	if s.context > 0 {
		inputs = append(inputs, n.cache.pack(l)...)
	}
	return inputs
}

// alone runs layers of a step that has no context.
func (e *Engine) alone(
	program *program, arguments []*tensors.Tensor,
) (hidden *tensors.Tensor, err error) {
	outputs, err := program.run(arguments...)
	if err != nil {
		return nil, err
	}
	return outputs[0], nil
}

// onCache runs the group of layers from layer i on, on their part of the cache. If that
// fails, the cache is lost.
func (e *Engine) onCache(program *program, i int, arguments []*tensors.Tensor,
	p *pending) (hidden *tensors.Tensor, err error) {
	caches := e.cache.layers[i : i+e.net.runs.Group]
	outputs, err := program.update(caches, arguments)
	clear(caches)
	if err != nil {
		return nil, p.lose(err)
	}
	copy(caches, outputs)
	return outputs[len(caches)], nil
}

// pending is a step that has been queued. It implements plan.Pending.
type pending struct {
	engine  *Engine
	answers [][]float32
	reads   []reading
	fills   int // which fill of the cache the step is on: see kvCache; or noCache
}

const noCache = -1

// reading is an array on the device whose numbers go to places in answers, in order. If
// there are no places, it is only waited for.
type reading struct {
	from *tensors.Tensor
	to   []*float32
}

// Wait implements plan.Pending. A device works in the order of its queue, so once the
// arrays that are read are computed, it has nothing left to do for the step.
func (p *pending) Wait() ([][]float32, error) {
	var failed error
	for _, r := range p.reads {
		err := tensors.ConstFlatData(r.from, func(values []float32) {
			for i, to := range r.to {
				*to = values[i]
			}
		})
		failed = errors.Join(failed, err)
	}
	if failed != nil {
		// The fault may be a layer's, and then its part of the cache is lost, too.
		failed = p.lose(failed)
	}
	if err := errors.Join(failed, p.free()); err != nil {
		return nil, p.engine.withMeaning(err)
	}
	return p.answers, nil
}

// lose marks the step's cache as lost. It joins plan.ErrCache to the error for the first
// step that reports this cache.
func (p *pending) lose(err error) error {
	if p.fills != noCache && p.engine.cache.lose(p.fills) {
		return errors.Join(plan.ErrCache, err)
	}
	return err
}

// free frees what the step has on the device.
func (p *pending) free() error {
	var errs []error
	for _, r := range p.reads {
		errs = append(errs, finalize(r.from))
	}
	p.reads = nil
	return errors.Join(errs...)
}
