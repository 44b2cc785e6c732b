package tokenizer

import (
	"fmt"
	"strings"
)

// Text is passed to Rust as a C string, which ends at the first NUL. So a text with a
// NUL is escaped, each mark as mark+mark1 and each NUL as mark+mark0, and passed to a
// tokenizer whose first normalizers undo that inside Rust. All that follows, such as
// Unicode normal forms, splitting and merges, sees the original text.
//
// The marks are noncharacters: like NUL, they are neither letters nor spaces. Rust
// looks for added tokens before it normalizes, and finds those beside a mark exactly
// where it would find them beside a NUL.
const (
	mark  = "\ufdd0"
	mark0 = "\ufdd1"
	mark1 = "\ufdd2"
)

// escapeNUL replaces NULs and marks.
func escapeNUL(text string) string {
	return strings.NewReplacer("\x00", mark+mark0, mark, mark+mark1).Replace(text)
}

// unescapeInside puts the inverse of escapeNUL before the normalizer of a
// tokenizer.json. It refuses a file whose added tokens hold a NUL or a mark: an escaped
// text would not have them as they are.
func (f *file) unescapeInside(fields map[string]any) error {
	for _, token := range f.added {
		if strings.ContainsAny(token.Content, "\x00"+mark+mark0+mark1) {
			return fmt.Errorf("tokenizer file %s has an added token %q, which text with a NUL "+
				"cannot be matched with",
				f.path, token.Content)
		}
	}
	// Two replacements in sequence are as good as both at once: after the first, every
	// mark is followed by mark1.
	normalizers := []any{replacement(mark+mark0, "\x00"), replacement(mark+mark1, mark)}
	if own := f.fields["normalizer"]; own != nil && string(own) != "null" {
		normalizers = append(normalizers, own)
	}
	fields["normalizer"] = map[string]any{"type": "Sequence", "normalizers": normalizers}
	return nil
}

// replacement returns a normalizer as tokenizer.json writes it.
func replacement(old, with string) any {
	return map[string]any{"type": "Replace", "pattern": map[string]string{"String": old},
		"content": with}
}
