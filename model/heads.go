package model

import (
	"errors"

	"github.com/gomlx/gomlx/core/tensors"

	"scored/score/plan"
)

// heads queues the reading of every row's labels off the hidden states [T, D]. Rows that only compare their labels take the
// label head, the others the vocabulary head, whatever else is in the step: so a row's numbers do not depend on its neighbours.
// A step that nothing is read of waits for what the heads would have got.
func (e *Engine) heads(step *plan.Step, l *layout, hidden *tensors.Tensor, p *pending) error {
	var relative, absolute []int
	for i := range step.Rows {
		if step.Rows[i].Relative {
			relative = append(relative, i)
		} else {
			absolute = append(absolute, i)
		}
	}
	// All that only compare come first, so that a run of last serves as few runs of the heads as there can be.
	for rows := append(relative, absolute...); len(rows) > 0; {
		now := rows[:min(lastRows, len(rows))]
		rows = rows[len(now):]
		if err := e.readout(step, l, hidden, now, p); err != nil {
			return err
		}
	}
	if len(p.reads) > 0 {
		return nil
	}
	normed, err := e.last(step, l, hidden, nil)
	if err == nil {
		p.reads = append(p.reads, reading{from: normed})
	}
	return err
}

// last is the final norm of the last tokens of up to lastRows rows: [lastRows, D].
func (e *Engine) last(step *plan.Step, l *layout, hidden *tensors.Tensor, rows []int) (normed *tensors.Tensor, err error) {
	last := make([]int32, lastRows)
	for r, i := range rows {
		last[r] = l.last[i]
	}
	index := vector(last)
	defer func() { err = errors.Join(err, finalize(index)) }()
	outputs, err := e.programs.last[step.Bucket.Tokens].run(hidden, index, e.weights.finalNorm)
	if err != nil {
		return nil, err
	}
	return outputs[0], nil
}

// readout runs the heads over the rows of one run of last.
func (e *Engine) readout(step *plan.Step, l *layout, hidden *tensors.Tensor, rows []int, p *pending) (err error) {
	normed, err := e.last(step, l, hidden, rows)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, finalize(normed)) }()
	for first := 0; first < len(rows); {
		relative := step.Rows[rows[first]].Relative
		end := first
		for end < len(rows) && step.Rows[rows[end]].Relative == relative {
			end++
		}
		key := headOf(end-first, !relative)
		if err := e.head(key, step, normed, rows, first, min(end, first+key.rows), p); err != nil {
			return err
		}
		first = min(end, first+key.rows)
	}
	return nil
}

// head queues one head program over rows first … end-1 of those that normed has, as often as their labels need.
func (e *Engine) head(key headKey, step *plan.Step, normed *tensors.Tensor, rows []int, first, end int, p *pending) (err error) {
	at := make([]int32, key.rows)
	var pairs []int32 // of a row of the head, and a label
	var to []*float32
	for r := range end - first {
		at[r] = int32(first + r)
		i := rows[first+r]
		for k, label := range step.Rows[i].Labels {
			pairs, to = append(pairs, int32(r), label), append(to, &p.answers[i][k])
		}
	}
	index := vector(at)
	defer func() { err = errors.Join(err, finalize(index)) }()
	for room := key.rows * plan.LabelsPerRow; len(to) > 0; {
		now := min(room, len(to))
		if err := e.read(key, normed, index, pairs[:2*now], to[:now], p); err != nil {
			return err
		}
		pairs, to = pairs[2*now:], to[now:]
	}
	return nil
}

// read queues one run of a head program, for so many pairs as it has room for.
func (e *Engine) read(key headKey, normed, index *tensors.Tensor, pairs []int32, to []*float32, p *pending) (err error) {
	room := key.rows * plan.LabelsPerRow
	flat := make([]int32, 2*room)
	copy(flat, pairs)
	wanted := tensors.FromFlatDataAndDimensions(flat, room, 2)
	defer func() { err = errors.Join(err, finalize(wanted)) }()
	outputs, err := e.programs.head[key].run(normed, index, wanted, e.weights.head)
	if err != nil {
		return err
	}
	p.reads = append(p.reads, reading{outputs[0], to})
	return nil
}
