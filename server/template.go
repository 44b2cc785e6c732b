package server

import (
	"strings"

	"scored/prompt"
	"scored/score"
)

// fitTemplate adapts a template to the model's tokenizer; either may be nil. Where the
// tokenizer puts a token before every text, as Llama's does, the template's own copy of
// that token is removed; otherwise there would be two.
func fitTemplate(t *prompt.Template, words Words) *prompt.Template {
	if t == nil || words == nil {
		return t
	}
	first := t.Begin()
	first = first[:strings.IndexByte(first, '>')+1]
	around, err := words.Encode("", false)
	if first == "" || err != nil || len(around) == 0 {
		return t
	}
	// If the tokenizer adds the token, the text of first becomes that token twice.
	if ids, err := words.Encode(first, false); err == nil && len(ids) == 2 &&
		ids[0] == around[0] && ids[1] == around[0] {
		return t.CutBegin(len(first))
	}
	return t
}

// render puts a request's texts into the server's template; t may be nil. The text
// before the items stays in the query, so the rows share it. It refuses token ids, and
// fields that would change the template's own text.
func render(t *prompt.Template, req *score.Request) error {
	if t == nil || len(req.Items) == 0 {
		return nil
	}
	const name = "server's template"
	switch {
	case req.Query.IsTokens:
		return score.Errorf(score.Invalid, "query",
			"query is token ids, which the %s cannot take; send a text, or ask a server without "+
				"--template", name)
	case req.ItemFirst:
		return score.Errorf(score.Invalid, "item_first",
			"item_first is true, but the %s says which comes first; leave it out", name)
	case req.Truncate:
		return score.Errorf(score.Invalid, "truncate",
			"truncate would cut off the end of the %s; send shorter texts", name)
	case req.PlainSpecials:
		return score.Errorf(score.Invalid, "split_special_tokens",
			"split_special_tokens would take the %s's special tokens for text; leave it out", name)
	}
	// The query is a text, but items are checked against its kind only by the Scorer.
	items := make([]string, len(req.Items))
	for i, item := range req.Items {
		if item.IsTokens {
			return score.Errorf(score.Invalid, element("items", i),
				"items[%d] is token ids, which the %s cannot take; send a text, or ask a server "+
					"without --template", i, name)
		}
		items[i] = item.Text
	}
	req.Query.Text = t.Render(req.Query.Text, items)
	req.ItemFirst = t.ItemFirst()
	for i := range req.Items {
		req.Items[i].Text = items[i]
	}
	return nil
}
