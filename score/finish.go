package score

import "math"

// finish turns the answers into the numbers that the client asked for, in float64. With
// Request.Partial, a row without finite scores fails its item alone. The job must be
// done, without an error.
func (j *job) finish(req *Request, result *Result) (*Result, error) {
	result.Usage = j.usage()
	result.Timing.Wait, result.Timing.Run = j.started.Sub(j.queued), j.ended.Sub(j.started)
	if req.Logprobs {
		result.Logprobs = make([][]float64, len(req.Items))
	}
	if req.Classify {
		result.Logits = make([][]float64, len(req.Items))
	}
	if len(req.Positions) > 0 {
		result.PositionScores, result.PositionLogprobs = make([][][]float64, len(req.Items)),
			make([][][]float64, len(req.Items))
	}
	numbers := rowAllocator{labels: req.labels(), rows: len(req.Items)}
	for i := range j.answers {
		if result.ItemErrors[i] != nil {
			continue
		}
		if err := j.finishItem(req, i, &numbers, result); err != nil {
			if !req.Partial {
				return nil, err
			}
			result.fail(i, err)
		}
	}
	return result, nil
}

// finishItem writes the numbers of item i to the result: all of them, or none and an
// error.
func (j *job) finishItem(req *Request, i int, numbers *rowAllocator, result *Result) *Error {
	answer := j.answers[i]
	last := answer
	if j.columns.paths == nil {
		last = answer[len(answer)-len(j.columns.labels):]
	}
	scores, logprobs, err := j.label(req, i, last, numbers)
	if err != nil {
		return err
	}
	var at, atLogprobs [][]float64
	for _, p := range req.Positions {
		back := req.back(i, len(j.prompts[i]), p)
		scores, logprobs, err := j.label(req, i, j.columns.numbersAt(answer, j.inner[i], back), numbers)
		if err != nil {
			return err
		}
		at, atLogprobs = append(at, scores), append(atLogprobs, logprobs)
	}
	result.Scores[i] = scores
	if req.Logprobs {
		result.Logprobs[i] = logprobs
	}
	if req.Classify {
		result.Logits[i] = logprobs
	}
	if len(req.Positions) > 0 {
		result.PositionScores[i], result.PositionLogprobs[i] = at, atLogprobs
	}
	return nil
}

// label computes one row's numbers, in the order of the request's labels, from an
// answer by distinct label. logprobs is meaningful only where the request asks for it;
// for a classifier it holds the logits. It may be the same slice as scores otherwise.
func (j *job) label(req *Request, item int, answer []float32, numbers *rowAllocator) (scores,
	logprobs []float64, err *Error) {
	logprobs = numbers.row()
	for k := range logprobs {
		logprobs[k] = j.columns.logprob(answer, k, req.Normalize)
	}
	if err := checkFinite(req, item, logprobs); err != nil {
		return nil, nil, err
	}
	scores = logprobs
	if req.Logprobs || req.Classify {
		scores = numbers.row()
	}
	switch {
	case req.Classify:
		j.columns.activation.activate(scores, logprobs)
	case req.Softmax:
		softmax(scores, logprobs)
	default:
		probabilities(scores, logprobs)
	}
	return scores, logprobs, nil
}

// checkFinite refuses NaN and +Inf, which no distribution has. It accepts -Inf, a
// probability of 0, unless it is a classifier's logit.
func checkFinite(req *Request, item int, logprobs []float64) *Error {
	for _, v := range logprobs {
		if math.IsNaN(v) || math.IsInf(v, 1) || req.Classify && math.IsInf(v, -1) {
			field := req.itemField(item)
			return Errorf(NotFinite, field, "%s has no finite score; the model's weights or "+
				"activations overflow", field)
		}
	}
	return nil
}

// rowAllocator allocates rows of numbers, many in one allocation. Rows do not overlap.
type rowAllocator struct {
	labels int       // numbers of a row
	rows   int       // rows of an allocation
	left   []float64 // the part of the last allocation that no row has
}

// row returns the next row, of one number for each label, all 0.
func (a *rowAllocator) row() []float64 {
	if len(a.left) < a.labels {
		a.left = make([]float64, a.rows*a.labels)
	}
	row := a.left[:a.labels:a.labels]
	a.left = a.left[a.labels:]
	return row
}
