package scoretest

import "scored/score/plan"

// ManyPages is enough pages for a prompt of a million tokens. It is for engines that
// never look at their cache.
const ManyPages = 1 << 20 / plan.PageTokens

// Done returns a Pending whose step has run already, with these answers.
func Done(answers [][]float32) plan.Pending { return done(answers) }

type done [][]float32

func (d done) Wait() ([][]float32, error) { return d, nil }
