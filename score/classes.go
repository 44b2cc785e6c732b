package score

import "math"

// Classes are what a classifier tells rows apart into. Its engine gives a logit for each instead of the next token's
// probabilities; labels of its rows are indexes of classes.
type Classes struct {
	Names      []string // by index; none: the model is no classifier
	Activation Activation
}

// Activation is what makes scores of a row's logits.
type Activation string

// The activations.
const (
	Softmax Activation = "softmax" // classes share 1
	Sigmoid Activation = "sigmoid" // each class has a probability of its own
	Logits  Activation = "none"    // scores are the logits
)

// Classes are the model's, if it is a classifier.
func (s *Scorer) Classes() Classes { return s.cfg.Classes }

// labelled gives a request with the model's classes as labels if it asks for them, and refuses what the model is not made for.
func (s *Scorer) labelled(req *Request) (*Request, error) {
	classes := len(s.cfg.Classes.Names)
	switch {
	case classes == 0 && req.Classify:
		return nil, Errorf(Invalid, "", "the model is no classifier: it has probabilities of tokens and no classes; use /v1/score")
	case classes > 0 && !req.Classify:
		return nil, Errorf(Invalid, "", "the model is a classifier: it has classes and no probabilities of tokens; use /classify or, if it has one class, /v1/rerank")
	case classes == 0:
		return req, nil
	}
	own := *req
	own.Labels, own.Logprobs, own.Softmax, own.Positions, own.Sequences = make([]Label, classes), false, true, nil, nil
	for i := range own.Labels {
		own.Labels[i].ID = int64(i)
	}
	return &own, nil
}

// activate writes the scores of logits.
func (a Activation) activate(scores, logits []float64) {
	switch a {
	case Softmax:
		softmax(scores, logits)
	case Sigmoid:
		for i, x := range logits {
			scores[i] = sigmoid(x)
		}
	default:
		copy(scores, logits)
	}
}

// sigmoid is 1 / (1 + exp(-x)), without overflow.
func sigmoid(x float64) float64 {
	if x < 0 {
		e := math.Exp(x)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-x))
}
