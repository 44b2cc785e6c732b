// Package prompt puts a query and an item into a template, as text: a chat's turns around them, so that nobody writes
// <|im_start|> by hand.
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

// Template is what stands before, between and behind query and item. The zero value is none.
type Template struct {
	name                   string
	before, between, after string
	itemFirst              bool
	trims                  bool // blanks at both ends of query and item together are left out
}

// Bounds of a template's text, and of what of it is repeated with each item.
const (
	mostBytes    = 1 << 20
	mostRepeated = 4 << 10
)

// The turns of a Qwen3 and of a Llama 3 chat.
const (
	qwenTurn, qwenEnd   = "<|im_start|>%s\n", "<|im_end|>\n"
	qwenAnswer          = "<|im_start|>assistant\n"
	qwenNoThinking      = "<think>\n\n</think>\n\n"
	llamaTurn, llamaEnd = "<|start_header_id|>%s<|end_header_id|>\n\n", "<|eot_id|>"
	llamaBegin          = "<|begin_of_text|>"
)

// Names lists the templates that have names.
func Names() []string { return []string{"qwen3", "qwen3-thinking", "llama3"} }

// Open gives the template of a name, with a system prompt unless it is "", or else that of a file.
func Open(nameOrFile, system string) (*Template, error) {
	if slices.Contains(Names(), nameOrFile) {
		return named(nameOrFile, system), nil
	}
	if system != "" {
		return nil, fmt.Errorf("template %s has no place for a system prompt; write it into the file", nameOrFile)
	}
	info, err := os.Stat(nameOrFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("template %q is neither a file nor one of %s", nameOrFile, strings.Join(Names(), ", "))
	}
	if err == nil && info.Size() > mostBytes {
		return nil, fmt.Errorf("template %s has %d bytes; it must have at most %d", nameOrFile, info.Size(), mostBytes)
	}
	data, err := os.ReadFile(nameOrFile)
	if err != nil {
		return nil, fmt.Errorf("template cannot be read: %w", err)
	}
	return Parse(nameOrFile, string(data))
}

// named is a chat of one user's message, the query and the item, whose answer is to begin: what transformers'
// apply_chat_template gives with add_generation_prompt and, for qwen3, with enable_thinking=False. Sources: the chat
// templates in tokenizer_config.json of Qwen3 and of Llama 3.
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

// Parse reads a template: text with {query} and {item} in it, once each. Every other brace is text. A line end at the very
// end is the file's, not the template's, as in Jinja.
func Parse(name, text string) (*Template, error) {
	const query, item = "{query}", "{item}"
	text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	for _, mark := range []string{query, item} {
		if n := strings.Count(text, mark); n != 1 {
			return nil, fmt.Errorf("template %s has %s %d times; it must have {query} and {item} once each", name, mark, n)
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
		return nil, fmt.Errorf("template %s has %d bytes that stand at each item; they must be at most %d", name, repeated, mostRepeated)
	}
	return t, nil
}

// Name is the template's name or file, for errors.
func (t *Template) Name() string { return t.name }

// Sum tells templates apart by all that they render.
func (t *Template) Sum() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %t %t", t.before, t.between, t.after, t.itemFirst, t.trims))
	return hex.EncodeToString(sum[:8])
}

// ItemFirst tells that the item stands before the query.
func (t *Template) ItemFirst() bool { return t.itemFirst }

// Begin is the text before query and item.
func (t *Template) Begin() string { return t.before }

// CutBegin is the template without its first n bytes, which a tokenizer adds by itself.
func (t *Template) CutBegin(n int) *Template {
	cut := *t
	cut.before = t.before[n:]
	return &cut
}

// Render gives the parts of the prompts: prompt i is query + items[i] or, if the item stands first, items[i] + query. So what
// the prompts share is in query. The items are changed in place.
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

// isSpace is what Python's str.strip takes off.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }
