// Package prompt puts a query and an item into a template, as text. It writes the
// markers of a chat, such as <|im_start|>, so that clients need not.
package prompt

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Template is the text before, between and behind query and item. The zero value adds
// nothing. A Template does not change and is safe for concurrent use.
type Template struct {
	name                   string
	before, between, after string
	itemFirst              bool
	trims                  bool // remove blanks at both ends of query and item taken together
}

// Bounds in bytes: of a template's text, and of the part of it that is repeated with
// each item.
const (
	mostBytes    = 1 << 20
	mostRepeated = 4 << 10
)

// Markers of the messages of a Qwen3 and of a Llama 3 chat. In a format, %s is the
// role.
const (
	qwenTurn, qwenEnd   = "<|im_start|>%s\n", "<|im_end|>\n"
	qwenAnswer          = "<|im_start|>assistant\n"
	qwenNoThinking      = "<think>\n\n</think>\n\n"
	llamaTurn, llamaEnd = "<|start_header_id|>%s<|end_header_id|>\n\n", "<|eot_id|>"
	llamaBegin          = "<|begin_of_text|>"
)

// Names lists the built-in templates.
func Names() []string { return []string{"qwen3", "qwen3-thinking", "llama3"} }

// Open returns the built-in template of this name, with a system prompt unless system
// is "". Any other name names a file, which Parse reads; then system must be "".
func Open(nameOrFile, system string) (*Template, error) {
	if slices.Contains(Names(), nameOrFile) {
		return named(nameOrFile, system), nil
	}
	if system != "" {
		return nil, fmt.Errorf("template %s has no place for a system prompt; write it into the "+
			"file", nameOrFile)
	}
	info, err := os.Stat(nameOrFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("template %q is neither a file nor one of %s", nameOrFile,
			strings.Join(Names(), ", "))
	}
	if err == nil && info.Size() > mostBytes {
		return nil, fmt.Errorf("template %s has %d bytes; it must have at most %d", nameOrFile,
			info.Size(), mostBytes)
	}
	data, err := os.ReadFile(nameOrFile)
	if err != nil {
		return nil, fmt.Errorf("template cannot be read: %w", err)
	}
	return Parse(nameOrFile, string(data))
}

// named returns a chat with one message of the user, which holds query and item, ready
// for the assistant's answer. It renders as apply_chat_template of transformers does
// with add_generation_prompt and, for qwen3, with enable_thinking=False. Sources: the
// chat templates in tokenizer_config.json of Qwen3 and of Llama 3.
func named(name, system string) *Template {
	t := &Template{name: name}
	turn, end := qwenTurn, qwenEnd
	switch name {
	case "llama3":
		turn, end, t.trims, t.before = llamaTurn, llamaEnd, true, llamaBegin
		system = strings.TrimFunc(system, isSpace)
		t.after = end + fmt.Sprintf(turn, "assistant")
	case "qwen3":
		t.after = end + qwenAnswer + qwenNoThinking
	default:
		t.after = end + qwenAnswer
	}
	if system != "" {
		t.before += fmt.Sprintf(turn, "system") + system + end
	}
	t.before += fmt.Sprintf(turn, "user")
	return t
}

// Parse reads a template: UTF-8 text that has {query} and {item} once each. All other
// braces are text. One line end at the very end belongs to the file, not to the
// template, as in Jinja. name is for errors.
func Parse(name, text string) (*Template, error) {
	const query, item = "{query}", "{item}"
	text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	for _, mark := range []string{query, item} {
		if n := strings.Count(text, mark); n != 1 {
			return nil, fmt.Errorf("template %s has %s %d times; it must have {query} and {item} "+
				"once each", name, mark, n)
		}
	}
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("template %s is not UTF-8", name)
	}
	t := &Template{name: name}
	first, second := query, item
	if t.itemFirst = strings.Index(text, item) < strings.Index(text, query); t.itemFirst {
		first, second = item, query
	}
	var rest string
	t.before, rest, _ = strings.Cut(text, first)
	t.between, t.after, _ = strings.Cut(rest, second)
	repeated := len(t.after)
	if t.itemFirst {
		repeated = len(t.before) + len(t.between)
	}
	if repeated > mostRepeated {
		return nil, fmt.Errorf("template %s has %d bytes that stand at each item; they must be at "+
			"most %d", name, repeated, mostRepeated)
	}
	return t, nil
}

// Name returns the template's name or file, for errors.
func (t *Template) Name() string { return t.name }

// Sum returns a hash of all that the template renders. Templates that render alike have
// the same Sum.
func (t *Template) Sum() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %t %t", t.before, t.between, t.after,
		t.itemFirst, t.trims))
	return hex.EncodeToString(sum[:8])
}

// ItemFirst reports whether the item stands before the query.
func (t *Template) ItemFirst() bool { return t.itemFirst }

// Begin returns the text before query and item.
func (t *Template) Begin() string { return t.before }

// CutBegin returns a copy without the first n bytes of Begin, which a tokenizer adds by
// itself.
func (t *Template) CutBegin(n int) *Template {
	cut := *t
	cut.before = t.before[n:]
	return &cut
}

// Render puts query and items into the template. Prompt i is the returned text +
// items[i] or, with ItemFirst, items[i] + the returned text. So the text that all
// prompts share is returned once. Render changes items in place.
func (t *Template) Render(query string, items []string) string {
	if t.itemFirst {
		for i, item := range items {
			items[i] = t.before + item + t.between
		}
		return query + t.after
	}
	ending := ""
	if t.trims {
		query = strings.TrimLeftFunc(query, isSpace)
		kept := strings.TrimRightFunc(query, isSpace)
		query, ending = kept, query[len(kept):]
	}
	for i, item := range items {
		if t.trims {
			item = strings.TrimRightFunc(ending+item, isSpace)
			if query == "" {
				item = strings.TrimLeftFunc(item, isSpace)
			}
		}
		items[i] = item + t.after
	}
	return t.before + query + t.between
}

// isSpace reports whether Python's str.strip removes r.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }
