package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Text crosses to Rust and back as a C string, which ends at the first NUL. So a text with a NUL crosses escaped, each
// mark as mark+mark1 and each NUL as mark+mark0, to a tokenizer whose first normalizers undo that, and whose last decoders
// do it, inside Rust. Everything between, such as Unicode normal forms, splitting and merges, sees the text as it was.
//
// The marks are noncharacters: neither letters nor spaces, as NUL, so that added tokens beside them, which Rust looks for
// before it normalizes, are found where they would be beside a NUL.
const (
	mark  = "\ufdd0"
	mark0 = "\ufdd1"
	mark1 = "\ufdd2"
)

func escapeNUL(text string) string {
	return strings.NewReplacer("\x00", mark+mark0, mark, mark+mark1).Replace(text)
}

func unescapeNUL(text string) string {
	return strings.NewReplacer(mark+mark0, "\x00", mark+mark1, mark).Replace(text)
}

// unescapeInside puts the escape's inverse before the normalizer, and the escape after the decoder, of a tokenizer.json.
func (f *file) unescapeInside(fields map[string]any) error {
	for _, token := range f.added {
		if strings.ContainsAny(token.Content, "\x00"+mark+mark0+mark1) {
			return fmt.Errorf("tokenizer file %s has an added token %q, which text with a NUL cannot be matched with",
				f.path, token.Content)
		}
	}
	// One replacement after the other is as good as both at once: what is left after the first has a mark1 after each mark.
	normalizers := []any{replacement(mark+mark0, "\x00"), replacement(mark+mark1, mark)}
	if own := f.fields["normalizer"]; given(own) {
		normalizers = append(normalizers, own)
	}
	fields["normalizer"] = map[string]any{"type": "Sequence", "normalizers": normalizers}
	if own := f.fields["decoder"]; given(own) {
		decoders := []any{own, replacement(mark, mark+mark1), replacement("\x00", mark+mark0)}
		fields["decoder"] = map[string]any{"type": "Sequence", "decoders": decoders}
	}
	return nil
}

// replacement is a normalizer and a decoder as tokenizer.json writes them.
func replacement(old, with string) any {
	return map[string]any{"type": "Replace", "pattern": map[string]string{"String": old}, "content": with}
}

func given(value json.RawMessage) bool { return value != nil && string(value) != "null" }
