package server

import (
	"slices"

	"scored/score"
	"scored/sglang"
	"scored/sglang/python"
)

// unserved is a field that other servers of the same API have, and on which the answer
// depends. It is refused by name, because an answer that ignored it would be wrong
// without notice.
type unserved struct {
	field string
	// harmless reports whether a value changes no answer; nil: each does. Null
	// counts as absent.
	harmless func(v python.Value) bool
	remedy   string
}

// refuse returns an error for the first of the fields that the object has, in the order
// of fields.
func refuse(o *python.Object, fields []unserved) error {
	for _, u := range fields {
		v, _ := o.Get(python.String(u.field))
		if v != nil && (u.harmless == nil || !u.harmless(v)) {
			return score.Errorf(score.Invalid, u.field, "%s is not supported; %s", u.field, u.remedy)
		}
	}
	return nil
}

// integerIn returns a function that reports whether a value is one of the integers.
func integerIn(numbers ...int64) func(python.Value) bool {
	return func(v python.Value) bool {
		n, kind := sglang.ReadInt(v)
		return kind == "" && slices.Contains(numbers, n.Int64())
	}
}

// textIn returns a function that reports whether a value is one of the strings.
func textIn(words ...python.String) func(python.Value) bool {
	return func(v python.Value) bool {
		s, ok := v.(python.String)
		return ok && slices.Contains(words, s)
	}
}

// scoreUnserved are fields of sglang's and vLLM's requests for scores. sglang-jax has
// none of them and ignores them.
func scoreUnserved() []unserved {
	const embeddings = "inputs are text or token ids: leave it out"
	return []unserved{
		{field: "temperature", harmless: integerIn(0, 1),
			remedy: "scores are those of temperature 1: leave it out"},
		{field: "score_extraction_token", remedy: "an item has one score, after its last token: " +
			"leave it out"},
		{field: "embed_override_token_id", remedy: embeddings},
		{field: "query_embed_overrides", remedy: embeddings},
		{field: "item_embed_overrides", remedy: embeddings},
	}
}

// placesUnserved are fields of /v1/score that every other dialect refuses, because it
// answers one number for each item, or has labels of its own.
func placesUnserved() []unserved {
	const elsewhere = "send the request to /v1/score"
	return []unserved{{field: "score_positions", remedy: elsewhere},
		{field: "label_mode", harmless: textIn("token"), remedy: elsewhere}}
}

const (
	cutAtEnd    = "documents are cut at their end alone: leave it out"
	oneTemplate = "the template is that of Qwen3-Reranker: send instruction"
)

// rerankUnserved are fields of vLLM's and TEI's requests to rerank, and of vLLM's to
// score pairs.
func rerankUnserved() []unserved {
	return []unserved{
		{field: "max_tokens_per_query", harmless: integerIn(0), remedy: "send a shorter query"},
		{field: "truncation_side", harmless: textIn("right"), remedy: cutAtEnd},
		{field: "truncation_direction", harmless: textIn("right", "Right"), remedy: cutAtEnd},
		{field: "chat_template", remedy: oneTemplate},
		{field: "normalize", harmless: integerIn(1), remedy: "send use_activation"},
	}
}

// classifyUnserved are fields of vLLM's requests to classify.
func classifyUnserved() []unserved {
	return []unserved{
		{field: "messages", remedy: "send the conversation as one text in input"},
		{field: "truncate_prompt_tokens", harmless: integerIn(-1, 0),
			remedy: "send -1 to have what is too long cut at its end"},
		{field: "truncation_side", harmless: textIn("right"),
			remedy: "texts are cut at their end alone: leave it out"},
		{field: "chat_template", remedy: "send whole texts"},
	}
}

// teiUnserved are fields of TEI's requests.
func teiUnserved() []unserved {
	return []unserved{
		{field: "truncation_direction", harmless: textIn("right", "Right"), remedy: cutAtEnd},
	}
}

// nimUnserved are fields that NIM's own servers refuse, too.
func nimUnserved() []unserved {
	const all = "every passage is ranked: leave it out"
	return []unserved{
		{field: "top_k", remedy: all},
		{field: "top_n", remedy: all},
	}
}
