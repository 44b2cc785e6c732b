package server

import (
	"maps"
	"slices"

	"scored/score"
	"scored/sglang"
)

// success returns the body of a scored request, with keys in this order. sglang-jax's
// four keys come first; further keys follow only if the client asked for them, so that
// the answer to a request of sglang-jax is its answer, byte for byte. The row of an item
// that failed is null, and so is a logarithm of 0, which JSON cannot hold. words gives an
// error's message.
func success(b *body, result *score.Result, words func(*score.Error) string) string {
	var answer sglang.Object
	add := func(key string, value any) {
		answer = append(answer, sglang.Member{Key: key, Value: value})
	}
	add("scores", result.Scores)
	add("model", string(b.model))
	if u := result.Usage; b.extras.usage {
		add("usage", sglang.Object{{Key: "prompt_tokens", Value: u.PromptTokens},
			{Key: "completion_tokens", Value: 0},
			{Key: "total_tokens", Value: u.PromptTokens}, {Key: "cached_tokens", Value: u.CachedTokens}})
	} else {
		add("usage", nil)
	}
	add("object", "scoring")
	if b.extras.logprobs {
		add("logprobs", result.Logprobs)
	}
	if len(b.extras.positions) > 0 {
		add("position_scores", result.PositionScores)
		if b.extras.logprobs {
			add("position_logprobs", result.PositionLogprobs)
		}
	}
	// Labels that came as texts are sent back as ids, so that a client knows the
	// tokens that were scored.
	if b.labels.sequences.field == "labels" {
		add("label_tokens", b.labels.sequences.tokens)
	} else if b.labels.hasTexts {
		ids := make([]int64, len(b.labels.ids))
		for i, label := range b.labels.ids {
			ids[i] = label.ID
		}
		add("label_token_ids", ids)
	}
	if b.extras.truncate {
		add("truncated", result.Truncated)
	}
	if b.extras.partial {
		add("errors", failures(result.ItemErrors, words))
	}
	return sglang.JSON(answer)
}

// failures lists the items that failed by themselves, in order, each as the envelope of a
// request that had failed for it.
func failures(items map[int]*score.Error,
	words func(*score.Error) string) (all []sglang.Object) {
	for _, item := range slices.Sorted(maps.Keys(items)) {
		failure := items[item]
		status, kind := statuses(failure.Kind)
		all = append(all, sglang.Object{{Key: "index", Value: item},
			{Key: "message", Value: words(failure)}, {Key: "type", Value: kind},
			{Key: "code", Value: status}})
	}
	return all
}
