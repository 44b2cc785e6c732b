package sglang

import (
	"testing"

	"scored/score"
)

// TestWords: reasons have sglang-jax's sentences. A context of 100 tokens takes prompts
// of less than 94.
func TestWords(t *testing.T) {
	long := func(tokens int, atLeast bool) *score.Error {
		return &score.Error{Reason: score.TooLong{Tokens: tokens, Context: 100, AtLeast: atLeast}}
	}
	for _, c := range []struct {
		err  *score.Error
		want string
	}{
		{&score.Error{Param: "labels", Reason: score.NoLabels{}},
			"labels cannot be empty. At least one token ID is required."},
		{&score.Error{Reason: score.NoToken{ID: "151936"}},
			"Token ID 151936 is out of vocabulary (vocab size: 151643)"},
		{&score.Error{Reason: score.MixedKinds{}},
			"Invalid combination of query/items types for score_request."},
		{long(94, false), "Input length (94 tokens) exceeds the maximum allowed length (94 tokens). " +
			"Use a shorter input or enable --allow-auto-truncate."},
		{long(99, false), "Requested token count exceeds the model's maximum context length of 100 " +
			"tokens. You requested a total of 100 tokens: 99 tokens from the input messages and 1 " +
			"tokens for the completion. Please reduce the number of tokens in the input messages " +
			"or the completion to fit within the limit."},
		{long(100, false),
			"The input (100 tokens) is longer than the model's context length (100 tokens)."},
		{long(100, true),
			"The input (at least 100 tokens) is longer than the model's context length (100 tokens)."},
		{&score.Error{Message: "items[0] is bad"}, "items[0] is bad"},
	} {
		if got := Words(c.err, 151643); got != c.want {
			t.Errorf("%+v is told as %q, want %q", c.err.Reason, got, c.want)
		}
	}
}
