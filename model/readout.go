package model

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"scored/score/plan"
)

// outputHead names a program of the output head: how many rows it takes, and whether
// its log-probabilities are normalised over the vocabulary. One that is not computes
// only the labels' logits.
type outputHead struct {
	rows       int
	vocabulary bool
}

func (h outputHead) name() string { return fmt.Sprintf("head_r%d_v%t", h.rows, h.vocabulary) }

// lastRows is how many rows the program of the last norm takes, and the most that an
// output head takes. A step with more rows runs both several times.
const lastRows = 64

// vocabularyRows returns the row counts that the vocabulary head is compiled for. It
// reads its whole table whatever its rows, and computes every row that it has room for:
// on two cores 8 rows take 50 ms, 64 take 170.
func vocabularyRows() []int { return []int{8, 32, lastRows} }

// vocabularyRowsFor returns those of them that steps of up to most rows use.
func vocabularyRowsFor(most int) []int {
	all := vocabularyRows()
	for i, rows := range all {
		if rows >= most {
			return all[:i+1]
		}
	}
	return all
}

// outputHeadFor returns the head for so many rows: the smallest that holds them, or the
// largest. Logits of labels alone take so little time that one size does for all.
func outputHeadFor(rows int, vocabulary bool) outputHead {
	if !vocabulary {
		return outputHead{lastRows, false}
	}
	sizes := vocabularyRowsFor(rows)
	return outputHead{sizes[len(sizes)-1], true}
}

// place is a token of the step behind which labels are read.
type place struct {
	token    int32 // index in the step
	labels   []int32
	relative bool      // the labels are only compared with each other
	to       []float32 // gets a number for each label
}

// placesOf returns all places of a step, with parts of answers, which has a row's
// numbers in each element, as their destinations. Places of a row are in the order of
// its tokens. Relative places come first, so that each kind of head runs as seldom as
// possible.
func placesOf(step *plan.Step, l *layout, classifies bool, answers [][]float32) []place {
	var relative, absolute []place
	for i := range step.Rows {
		row, to := &step.Rows[i], answers[i]
		only := row.Relative || classifies // a classifier's numbers are its logits
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

// readout queues the programs that read labels off a step's hidden states.
type readout struct {
	programs *programs
	weights  *weights
	tokens   int             // of the step's bucket
	hidden   *tensors.Tensor // [T, D], as programs pass it on
	reads    []reading       // what the programs will have computed; the caller frees it
}

// run queues the programs for all places. Rows that only compare their labels take the
// head of labels, the others the vocabulary head, whatever else is in the step: so a
// row's numbers do not depend on its neighbours. If nothing is read, a run of the last
// norm is left to wait for, so that an error of the layers is not lost.
func (r *readout) run(places []place) error {
	for len(places) > 0 {
		now := places[:min(lastRows, len(places))]
		places = places[len(now):]
		if err := r.readPlaces(now); err != nil {
			return err
		}
	}
	if len(r.reads) > 0 {
		return nil
	}
	normed, err := r.last(nil)
	if err == nil {
		r.reads = append(r.reads, reading{from: normed})
	}
	return err
}

// last queues the last norm of the tokens of up to lastRows places: [lastRows, D].
func (r *readout) last(places []place) (normed *tensors.Tensor, err error) {
	last := make([]int32, lastRows)
	for i := range places {
		last[i] = places[i].token
	}
	index := vector(last)
	defer func() { err = errors.Join(err, finalize(index)) }()
	outputs, err := r.programs.last[r.tokens].run(r.hidden, index, r.weights.finalNorm)
	if err != nil {
		return nil, err
	}
	return outputs[0], nil
}

// readPlaces queues the output heads for up to lastRows places.
func (r *readout) readPlaces(places []place) (err error) {
	normed, err := r.last(places)
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
		head := outputHeadFor(min(end-first, r.programs.outputRows), !relative)
		end = min(end, first+head.rows)
		if err := r.readWith(head, normed, places[first:end], first); err != nil {
			return err
		}
		first = end
	}
	return nil
}

// readWith queues one output head for places, the first of which is row first of
// normed. It runs as often as the places' labels need.
func (r *readout) readWith(head outputHead, normed *tensors.Tensor, places []place,
	first int) (err error) {
	at := make([]int32, head.rows)
	var pairs []int32 // of a row of the head, and a label
	var to []*float32
	for row, place := range places {
		at[row] = int32(first + row)
		for k, label := range place.labels {
			pairs, to = append(pairs, int32(row), label), append(to, &place.to[k])
		}
	}
	index := vector(at)
	defer func() { err = errors.Join(err, finalize(index)) }()
	for room := head.rows * plan.LabelsPerRow; len(to) > 0; {
		now := min(room, len(to))
		if err := r.readPairs(head, normed, index, pairs[:2*now], to[:now]); err != nil {
			return err
		}
		pairs, to = pairs[2*now:], to[now:]
	}
	return nil
}

// readPairs queues one run of an output head, for as many pairs as it has room for or
// fewer.
func (r *readout) readPairs(head outputHead, normed, index *tensors.Tensor, pairs []int32,
	to []*float32) (err error) {
	room := head.rows * plan.LabelsPerRow
	flat := make([]int32, 2*room)
	copy(flat, pairs)
	wanted := tensors.FromFlatDataAndDimensions(flat, room, 2)
	defer func() { err = errors.Join(err, finalize(wanted)) }()
	outputs, err := r.programs.output[head].run(normed, index, wanted, r.weights.head)
	if err != nil {
		return err
	}
	r.reads = append(r.reads, reading{outputs[0], to})
	return nil
}
