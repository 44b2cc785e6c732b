package model

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"scored/score/plan"
)

// headKey names a head program: how many rows it takes, and whether it goes over the
// vocabulary.
type headKey struct {
	rows       int
	vocabulary bool
}

func (k headKey) name() string { return fmt.Sprintf("head_r%d_v%t", k.rows, k.vocabulary) }

// headRows are the row counts the heads are compiled for: a step with more rows runs
// them several times. The vocabulary head reads its whole table however few rows it
// has, and computes every row it has room for: on two cores 8 rows take 50 ms, 64 take
// 170.
func headRows() []int { return []int{8, 32, lastRows} }

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

// lastRows is how many rows a run of last takes, the most that a head reads.
const lastRows = 64

// headOf is the head that reads so many rows. Labels alone take little time for each
// row that the program has room for: one for the most does for all.
func headOf(rows int, vocabulary bool) headKey {
	if vocabulary {
		return headKey{headFor(rows), true}
	}
	return headKey{lastRows, false}
}

// headFor is how many rows the head has that runs for so many: the least that holds
// them, or the largest.
func headFor(rows int) int {
	all := headRowsFor(rows)
	return all[len(all)-1]
}

// place is where labels are read: one of the step's tokens, and where the labels'
// numbers go.
type place struct {
	token    int32
	labels   []int32
	relative bool
	to       []float32
}

// places are all that the step reads, those of a row from the first to the last. All
// that only compare come first, so that a run of last serves as few runs of the heads
// as there can be.
func (p *pending) places(step *plan.Step, l *layout) []place {
	var relative, absolute []place
	for i := range step.Rows {
		row, to := &step.Rows[i], p.answers[i]
		only := row.Relative || p.engine.net.Classes != nil // a classifier's numbers are its logits
		read := func(back int, labels []int32) {
			at := place{l.last[i] - int32(back), labels, only, to[:len(labels)]}
			to = to[len(labels):]
			if only {
				relative = append(relative, at)
			} else {
				absolute = append(absolute, at)
			}
		}
		for _, inner := range row.Inner {
			read(inner.Back, inner.Labels)
		}
		read(0, row.Labels)
	}
	return slices.Concat(relative, absolute)
}

// heads queues the reading of every row's labels off the hidden states [T, D]. Rows
// that only compare their labels take the label head, the others the vocabulary head,
// whatever else is in the step: so a row's numbers do not depend on its neighbours. A
// step that nothing is read of waits for what the heads would have got.
func (e *Engine) heads(step *plan.Step, l *layout, hidden *tensors.Tensor, p *pending) error {
	for places := p.places(step, l); len(places) > 0; {
		now := places[:min(lastRows, len(places))]
		places = places[len(now):]
		if err := e.readout(step, hidden, now, p); err != nil {
			return err
		}
	}
	if len(p.reads) > 0 {
		return nil
	}
	normed, err := e.last(step, hidden, nil)
	if err == nil {
		p.reads = append(p.reads, reading{from: normed})
	}
	return err
}

// last is the final norm of the tokens of up to lastRows places: [lastRows, D].
func (e *Engine) last(step *plan.Step, hidden *tensors.Tensor,
	places []place) (normed *tensors.Tensor, err error) {
	last := make([]int32, lastRows)
	for i := range places {
		last[i] = places[i].token
	}
	index := vector(last)
	defer func() { err = errors.Join(err, finalize(index)) }()
	outputs, err := e.programs.last[step.Bucket.Tokens].run(hidden, index, e.weights.finalNorm)
	if err != nil {
		return nil, err
	}
	return outputs[0], nil
}

// readout runs the heads over the places of one run of last.
func (e *Engine) readout(step *plan.Step, hidden *tensors.Tensor, places []place,
	p *pending) (err error) {
	normed, err := e.last(step, hidden, places)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, finalize(normed)) }()
	for first := 0; first < len(places); {
		relative := places[first].relative
		end := first
		for end < len(places) && places[end].relative == relative {
			end++
		}
		key := headOf(min(end-first, e.programs.headRows), !relative)
		end = min(end, first+key.rows)
		if err := e.head(key, normed, places[first:end], first, p); err != nil {
			return err
		}
		first = end
	}
	return nil
}

// head queues one head program over places, the first of which normed has at first, as
// often as their labels need.
func (e *Engine) head(key headKey, normed *tensors.Tensor, places []place, first int,
	p *pending) (err error) {
	at := make([]int32, key.rows)
	var pairs []int32 // of a row of the head, and a label
	var to []*float32
	for r, place := range places {
		at[r] = int32(first + r)
		for k, label := range place.labels {
			pairs, to = append(pairs, int32(r), label), append(to, &place.to[k])
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
func (e *Engine) read(key headKey, normed, index *tensors.Tensor, pairs []int32, to []*float32,
	p *pending) (err error) {
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
