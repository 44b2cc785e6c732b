package server

import (
	"scored/score"
	"scored/sglang"
	"scored/sglang/python"
)

// The methods of this file read fields that may be a text or token ids, as in vLLM's
// dialects.

// part reads a text, or a list of token ids.
func (f *fieldReader) part(field string, v python.Value) score.Part {
	if s, ok := v.(python.String); ok {
		return score.Part{Text: f.characters(field, s)}
	}
	if _, ok := python.List(v); !ok {
		f.fail(field, "%s must be a text or a list of token ids", field)
	}
	return tokenPart(f.integers(field, v))
}

// items reads a list of at least one text, or of lists of token ids. The first element
// decides which; the Scorer takes no mixture.
func (f *fieldReader) items(field string) []score.Part {
	list, ok := sglang.ListOf(f.Get(field))
	if !ok || len(list) == 0 {
		f.fail(field, "%s must be a list of at least one text, or of lists of token ids", field)
	}
	items := make([]score.Part, len(list))
	for i, item := range list {
		if items[i] = f.part(element(field, i), item); items[i].IsTokens != items[0].IsTokens {
			f.fail(element(field, i), "%s is not of the kind of %s; all must be texts, or all "+
				"token ids", element(field, i), element(field, 0))
		}
		if f.Failed() {
			break
		}
	}
	return items
}

// integers reads a list of integers, which are token ids. The result may share memory
// with v.
func (f *fieldReader) integers(field string, v python.Value) sglang.Integers {
	ints, faults := sglang.ReadInts(v, field)
	if len(faults) > 0 {
		at := faults[0].Path()
		f.fail(at, "%s is no token id. %s", at, faults[0].Text())
	}
	return ints
}

// specials reads add_special_tokens, whose default in vLLM is true. False is refused if
// the tokenizer puts tokens around texts, because the Scorer cannot leave them out.
func (f *fieldReader) specials(words Words) {
	if !f.Bool("add_special_tokens", true) && !f.Failed() && putsSpecials(words) {
		f.fail("add_special_tokens", "add_special_tokens false is not supported by this model's "+
			"tokenizer; send token ids")
	}
}

// putsSpecials reports whether the tokenizer puts tokens around a text, as Llama's does.
// words is nil if there is no tokenizer.
func putsSpecials(words Words) bool {
	if words == nil {
		return false
	}
	ids, err := words.Encode("", false)
	return err != nil || len(ids) > 0
}
