package tokenizer

import "encoding/json"

// pipeline is what a tokenizer.json does with a text. In this order, it finds added
// tokens, normalizes what is between them, splits that into pieces, makes tokens of
// each piece with its model, and puts tokens around the whole.
//
// Rust runs it. Go reads it to find out what holds for every text: where texts may be
// cut, and how few tokens they can have. Each such reader knows a few kinds of
// pipelines and claims nothing about the others.
type pipeline struct {
	fields map[string]json.RawMessage // of the file, by name
	model  string                     // the type of its model, e.g. "BPE"
	added  []addedToken
}

// addedToken is a token that is looked for in a text before it is split.
type addedToken struct {
	ID          uint32 `json:"id"`
	Content     string `json:"content"`
	Strips      bool   `json:"lstrip"`
	StripsRight bool   `json:"rstrip"`
	SingleWord  bool   `json:"single_word"`
}

// unreadable is the type of a part in an unknown form.
const unreadable = "?"

// typeOf returns the type of a part of the file, such as "NFC" of its normalizer; "" if
// the file has no such part. The model's type is in p.model, because the model is large
// and is read once.
func (p *pipeline) typeOf(part string) string {
	var typed struct{ Type string }
	if raw := p.fields[part]; raw != nil && json.Unmarshal(raw, &typed) != nil {
		return unreadable
	}
	return typed.Type
}

// composesOnly reports whether nothing but NFC changes a text before it is split.
func (p *pipeline) composesOnly() bool {
	normalizer := p.typeOf("normalizer")
	return normalizer == "" || normalizer == "NFC"
}

// digitsInPiece returns how many digits a piece may have, if Cut knows this kind of
// file; else 0. Cut knows files with the pieces of Qwen or Llama 3, only NFC before
// them, byte-level merges, and added tokens that strip nothing around them. The
// post-processor is not considered here.
func (p *pipeline) digitsInPiece() int {
	var pieces struct {
		Pretokenizers []struct {
			Type     string
			Pattern  struct{ Regex string }
			Behavior string
			Invert   bool
			Prefix   bool `json:"add_prefix_space"`
			UseRegex bool `json:"use_regex"`
		}
	}
	if raw := p.fields["pre_tokenizer"]; raw != nil && json.Unmarshal(raw, &pieces) != nil {
		return 0
	}
	if !p.composesOnly() || p.model != "BPE" || len(pieces.Pretokenizers) != 2 {
		return 0
	}
	split, bytes := pieces.Pretokenizers[0], pieces.Pretokenizers[1]
	if split.Type != "Split" || split.Behavior != "Isolated" || split.Invert ||
		bytes.Type != "ByteLevel" || bytes.Prefix || bytes.UseRegex {
		return 0
	}
	for _, token := range p.added {
		if token.Strips || token.StripsRight || token.SingleWord {
			return 0
		}
	}
	return map[string]int{qwenPattern: 1, llamaPattern: 3}[split.Pattern.Regex]
}
