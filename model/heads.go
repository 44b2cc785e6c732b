package model

import (
	"errors"

	"github.com/gomlx/gomlx/core/tensors"

	"scored/score"
)

// pair is one number the head is asked for: a label of a row.
type pair struct {
	row   int // index among the rows of this head run
	label int32
	to    *float32
}

// heads reads every row's labels off the hidden states [T, D]. Rows that only compare their labels take the label head,
// the others the vocabulary head, whatever else is in the step: so a row's numbers do not depend on its neighbours.
func (e *Engine) heads(step *score.Step, in *packed, hidden *tensors.Tensor) ([][]float32, error) {
	answers := make([][]float32, len(step.Rows))
	var relative, absolute []int
	for i, row := range step.Rows {
		answers[i] = make([]float32, len(row.Labels))
		if row.Relative {
			relative = append(relative, i)
		} else {
			absolute = append(absolute, i)
		}
	}
	for _, kind := range []struct {
		rows       []int
		vocabulary bool
	}{{relative, false}, {absolute, true}} {
		for rows := kind.rows; len(rows) > 0; {
			key := headKey{headFor(len(rows)), kind.vocabulary}
			now := rows[:min(key.rows, len(rows))]
			rows = rows[len(now):]
			if err := e.head(key, step, in, hidden, now, answers); err != nil {
				return nil, err
			}
		}
	}
	return answers, nil
}

// head runs one head program over up to key.rows rows, as often as their labels need.
func (e *Engine) head(key headKey, step *score.Step, in *packed, hidden *tensors.Tensor, rows []int, answers [][]float32) (err error) {
	last := make([]int32, key.rows)
	var pairs []pair
	for r, i := range rows {
		last[r] = in.last[i]
		for k, label := range step.Rows[i].Labels {
			pairs = append(pairs, pair{r, label, &answers[i][k]})
		}
	}
	index := tensors.FromFlatDataAndDimensions(last, key.rows)
	defer func() { err = errors.Join(err, finalize(index)) }()
	normed, err := e.programs.last[[2]int{step.Bucket.Tokens, key.rows}].run(hidden, index, e.weights.finalNorm)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, finalize(normed...)) }()
	for len(pairs) > 0 {
		now := pairs[:min(key.rows*labelsPerRow, len(pairs))]
		pairs = pairs[len(now):]
		if err := e.read(key, normed[0], now); err != nil {
			return err
		}
	}
	return nil
}

// read fetches the pairs' numbers in one run.
func (e *Engine) read(key headKey, normed *tensors.Tensor, pairs []pair) (err error) {
	flat := make([]int32, key.rows*labelsPerRow*2)
	for i, p := range pairs {
		flat[2*i], flat[2*i+1] = int32(p.row), p.label
	}
	wanted := tensors.FromFlatDataAndDimensions(flat, key.rows*labelsPerRow, 2)
	defer func() { err = errors.Join(err, finalize(wanted)) }()
	outputs, err := e.programs.head[key].run(normed, wanted, e.weights.head)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, finalize(outputs...)) }()
	return tensors.ConstFlatData(outputs[0], func(values []float32) {
		for i, p := range pairs {
			*p.to = values[i]
		}
	})
}

// await returns when the device has computed the hidden states, and with them all that the step queued before: for
// a step that nothing is read of. A step with labels waits where they are read, as a device runs what is queued in
// its order. It reads what the smallest of the head's programs gives.
func (e *Engine) await(step *score.Step, hidden *tensors.Tensor) (err error) {
	rows := headFor(1)
	index := tensors.FromFlatDataAndDimensions(make([]int32, rows), rows)
	defer func() { err = errors.Join(err, finalize(index)) }()
	normed, err := e.programs.last[[2]int{step.Bucket.Tokens, rows}].run(hidden, index, e.weights.finalNorm)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, finalize(normed...)) }()
	return tensors.ConstFlatData(normed[0], func([]float32) {})
}
