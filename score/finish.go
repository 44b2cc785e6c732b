package score

import "math"

// finish turns log-probabilities into the numbers the client asked for, in float64.
func (s *Scorer) finish(req *Request, j *job, result *Result) (*Result, error) {
	result.Usage = Usage{PromptTokens: j.tokens, CachedTokens: j.cached}
	result.Timing.Wait, result.Timing.Run = j.started.Sub(j.queued), j.ended.Sub(j.started)
	if req.Logprobs {
		result.Logprobs = make([][]float64, len(req.Items))
	}
	var logprobs []float64 // one row's, and the next one's unless it is kept
	for i, answer := range j.answers {
		if result.ItemErrors[i] != nil {
			continue
		}
		if logprobs = logprobs[:0]; req.Logprobs || logprobs == nil {
			logprobs = make([]float64, 0, len(answer))
		}
		for _, v := range answer {
			logprobs = append(logprobs, float64(v))
		}
		if err := checkFinite(i, logprobs); err != nil {
			if !req.Partial {
				return nil, err
			}
			result.fail(i, err)
			continue
		}
		if req.Logprobs {
			result.Logprobs[i] = logprobs
		}
		if req.Softmax {
			result.Scores[i] = softmax(logprobs)
		} else {
			result.Scores[i] = probabilities(logprobs)
		}
	}
	return result, nil
}

// checkFinite lets -Inf pass, a probability of 0, and refuses what no distribution holds.
func checkFinite(item int, logprobs []float64) *Error {
	for _, v := range logprobs {
		if math.IsNaN(v) || math.IsInf(v, 1) {
			field := itemField(item)
			return Errorf(NotFinite, field, "%s has no finite score; the model's weights or activations overflow", field)
		}
	}
	return nil
}

func probabilities(logprobs []float64) []float64 {
	scores := make([]float64, len(logprobs))
	for i, v := range logprobs {
		scores[i] = Probability(v)
	}
	return scores
}

// Probability is exp, clamped to 1: rounding may put the log of a certain label just above 0.
func Probability(logprob float64) float64 { return min(math.Exp(logprob), 1) }

// softmax over the labels: exp(v - max) / sum. The same values give the same scores whatever constant is added to all.
// If every label has probability 0 they share the row equally.
func softmax(logprobs []float64) []float64 {
	top := math.Inf(-1)
	for _, v := range logprobs {
		top = max(top, v)
	}
	scores := make([]float64, len(logprobs))
	sum := 0.0
	for i, v := range logprobs {
		scores[i] = 1
		if v != top {
			scores[i] = math.Exp(v - top)
		}
		sum += scores[i]
	}
	for i := range scores {
		scores[i] /= sum
	}
	return scores
}
