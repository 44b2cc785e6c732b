package score

import "math"

// Classes are the classes of a classifier. Its engine answers a row with one logit for
// each class, in place of log-probabilities of tokens. The labels of its rows are indexes
// of classes.
type Classes struct {
	Names      []string // by index; none: the model is no classifier
	Activation Activation
}

// Activation is the function that turns a row's logits into scores.
type Activation string

// The activations.
const (
	Softmax Activation = "softmax" // classes share 1
	Sigmoid Activation = "sigmoid" // each class has a probability of its own
	Logits  Activation = "none"    // scores are the logits
)

// labelled replaces the labels of a Classify request by the model's classes, in a copy.
// It refuses a request for classes of a language model, and for tokens of a classifier.
func (l *limits) labelled(req *Request) (*Request, error) {
	classes := len(l.classes.Names)
	switch {
	case classes == 0 && req.Classify:
		return nil, Errorf(Invalid, "", "the model is no classifier: it has probabilities of "+
			"tokens and no classes; use /v1/score")
	case classes > 0 && !req.Classify:
		return nil, Errorf(Invalid, "", "the model is a classifier: it has classes and no "+
			"probabilities of tokens; use /classify or, if it has one class, /v1/rerank")
	case classes == 0:
		return req, nil
	}
	own := *req
	own.Labels, own.Logprobs, own.Softmax, own.Positions, own.Sequences = make([]Label, classes),
		false, true, nil, nil
	for i := range own.Labels {
		own.Labels[i].ID = int64(i)
	}
	return &own, nil
}

// activate writes the activation of logits to scores, which must be as long.
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
