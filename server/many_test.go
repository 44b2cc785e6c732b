package server

import (
	"errors"
	"testing"

	"scored/score"
)

// TestWithPrefix: the error of a part names its field from the body's beginning, once in
// param and once in the message. What is not the part's fault stays as it is.
func TestWithPrefix(t *testing.T) {
	for name, c := range map[string]struct {
		err            error
		param, message string
	}{
		"a field":    {score.Errorf(score.Invalid, "texts[0]", "texts[0] is wrong; texts[0]!"), "instances[1].texts[0]", "instances[1].texts[0] is wrong; texts[0]!"},
		"not named":  {score.Errorf(score.TooLarge, "items", "too much"), "instances[1].items", "instances[1]: too much"},
		"no field":   {score.Errorf(score.Invalid, "", "it is of no known shape"), "instances[1]", "instances[1]: it is of no known shape"},
		"overloaded": {score.Errorf(score.Overloaded, "", "queue is full"), "", "queue is full"},
	} {
		var got *score.Error
		if err := withPrefix("instances[1].", c.err); !errors.As(err, &got) || got.Param != c.param || got.Message != c.message {
			t.Errorf("%s: %+v, want field %q and %q", name, err, c.param, c.message)
		}
	}
	empty := &apiError{status: 400, kind: teiEmpty, message: "[{'python': 1}]", plainly: "texts cannot be empty", param: "texts"}
	var got *apiError
	if err := withPrefix("instances[1].", empty); !errors.As(err, &got) || got.param != "instances[1].texts" || got.said() != "instances[1].texts cannot be empty" || got.kind != teiEmpty {
		t.Errorf("an answer of its own: %+v", err)
	}
	if empty.param != "texts" {
		t.Errorf("the error itself has changed: %+v", empty)
	}
	if other := errors.New("disk"); withPrefix("instances[1].", other) != other {
		t.Error("another error has changed")
	}
}
