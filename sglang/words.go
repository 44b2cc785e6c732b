package sglang

import (
	"fmt"

	"scored/score"
)

// Sentences of sglang-jax for a request whose fields can be read and that cannot be
// scored. Clients match on them, word for word, so even their mistakes stay.
const (
	LabelsMissing = "label_token_ids must be provided"
	ItemsEmpty    = "items cannot be empty. At least one item is required."
	KindsMixed    = "Invalid combination of query/items types for score_request."
)

// Words returns sglang-jax's sentence for an error with a reason, and else the error's
// message. vocab is the vocabulary size without added tokens, which the sentence about a
// label shows.
func Words(e *score.Error, vocab int) string {
	switch why := e.Reason.(type) {
	case score.NoLabels:
		return e.Param + " cannot be empty. At least one token ID is required."
	case score.NoToken:
		return fmt.Sprintf("Token ID %s is out of vocabulary (vocab size: %d)", why.ID, vocab)
	case score.MixedKinds:
		return KindsMixed
	case score.TooLong:
		return tooLong(why)
	}
	return e.Message
}

// tooLong has a sentence for each of the bounds that sglang-jax checks one after the
// other: the context, the context less the token that it would generate, and
// score.MaxInput.
func tooLong(why score.TooLong) string {
	n, context := why.Tokens, why.Context
	switch {
	case why.AtLeast:
		return fmt.Sprintf("The input (at least %d tokens) is longer than the model's context "+
			"length (%d tokens).", n, context)
	case n >= context:
		return fmt.Sprintf("The input (%d tokens) is longer than the model's context length "+
			"(%d tokens).", n, context)
	case n+1 >= context:
		return fmt.Sprintf("Requested token count exceeds the model's maximum context length of %d "+
			"tokens. You requested a total of %d tokens: %d tokens from the input messages and 1 "+
			"tokens for the completion. Please reduce the number of tokens in the input messages or "+
			"the completion to fit within the limit.", context, n+1, n)
	}
	return fmt.Sprintf("Input length (%d tokens) exceeds the maximum allowed length (%d tokens). "+
		"Use a shorter input or enable --allow-auto-truncate.", n, score.MaxInput(context))
}
