package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/daulet/tokenizers"
)

// maxFile in bytes is far above every known tokenizer.json (Gemma's has 34 MB), so that
// a path to weights is refused before it is read.
const maxFile = 256 << 20

// file is a tokenizer.json: its pipeline, which Rust loads, and what Rust's interface
// does not provide. It does not change once it is read.
type file struct {
	path string
	pipeline

	tokens map[int]string // by id
	base   int            // how many tokens are the model's own, not added
	size   int            // largest id + 1

	lead  int     // see Tokenizer.Lead
	cuts  *cutter // nil: texts cannot be cut
	reach *reach  // nil: no bound is known
}

// Find returns the path of a tokenizer.json: path itself, or the file in the folder
// path. It does not read the file.
func Find(path string) (string, error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		path = filepath.Join(path, "tokenizer.json")
		info, err = os.Stat(path)
	}
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("tokenizer file %s does not exist; name a model folder or a "+
			"tokenizer.json", path)
	}
	if err != nil {
		return "", fmt.Errorf("tokenizer file cannot be read: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("tokenizer file %s is not a regular file; name a model folder or a "+
			"tokenizer.json", path)
	}
	if info.Size() > maxFile {
		return "", fmt.Errorf("tokenizer file %s has more than the %d MiB that a tokenizer.json "+
			"may have; name a model folder or a tokenizer.json", path, maxFile>>20)
	}
	return path, nil
}

// readFile reads and checks a tokenizer.json.
func readFile(path string) (*file, error) {
	path, err := Find(path)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer file cannot be read: %w", err)
	}
	f := &file{path: path}
	if err := f.parse(raw); err != nil {
		return nil, fmt.Errorf("tokenizer file %s is not a Hugging Face tokenizer.json: %w", path, err)
	}
	return f, nil
}

// parse reads the parts that this package needs; Rust checks the rest. Errors have no
// path, which readFile adds.
func (f *file) parse(raw []byte) error {
	if len(raw) == 0 {
		return errors.New("it is empty")
	}
	if err := json.Unmarshal(raw, &f.fields); err != nil {
		return err
	}
	var model struct {
		Type  json.RawMessage  `json:"type"`
		Vocab map[string]int32 `json:"vocab"`
	}
	if err := json.Unmarshal(f.fields["model"], &model); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	if len(model.Vocab) == 0 {
		return errors.New("model.vocab has no tokens")
	}
	if model.Type != nil && json.Unmarshal(model.Type, &f.model) != nil {
		f.model = unreadable
	}
	if added := f.fields["added_tokens"]; added != nil {
		if err := json.Unmarshal(added, &f.added); err != nil {
			return fmt.Errorf("added_tokens: %w", err)
		}
	}
	f.base = len(model.Vocab)
	f.tokens = make(map[int]string, f.base+len(f.added))
	for token, id := range model.Vocab {
		f.tokens[int(id)] = token
	}
	for _, token := range f.added {
		f.tokens[int(token.ID)] = token.Content
	}
	for id := range f.tokens {
		f.size = max(f.size, id+1)
	}
	f.lead, _ = f.around()
	f.cuts = newCutter(&f.pipeline)
	f.reach = newReach(&f.pipeline, model.Vocab)
	return nil
}

// load loads the file in Rust, in a mode. The caller must close the result. Like
// transformers, load ignores truncation and padding in the file.
func (f *file) load(mode int) (*tokenizers.Tokenizer, error) {
	fields := map[string]any{}
	for name, value := range f.fields {
		fields[name] = value
	}
	fields["truncation"], fields["padding"] = nil, nil
	if name := f.withNUL(); name != "" {
		return nil, fmt.Errorf("tokenizer file %s does not load: %s holds a NUL character", f.path, name)
	}
	if mode&escapedNUL != 0 {
		if err := f.unescapeInside(fields); err != nil {
			return nil, err
		}
	}
	data, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("tokenizer file %s: %w", f.path, err)
	}
	var options []tokenizers.TokenizerOption
	if mode&plainSpecials != 0 {
		options = append(options, tokenizers.WithEncodeSpecialTokens())
	}
	rust, err := tokenizers.FromBytes(data, options...)
	if err != nil {
		return nil, fmt.Errorf("tokenizer file %s does not load: %w", f.path, err)
	}
	return rust, nil
}

// withNUL returns the name of a part of the file that holds a NUL outside of its
// tokens; "" if there is none. Rust's binding quotes what it refuses in a C string, and
// ends the process if that has a NUL.
func (f *file) withNUL() string {
	parts := map[string]json.RawMessage{}
	if err := json.Unmarshal(f.fields["model"], &parts); err != nil {
		return "" // parse has read it as an object
	}
	delete(parts, "vocab")
	for name, value := range f.fields {
		if name != "added_tokens" && name != "model" {
			parts[name] = value
		}
	}
	for name, value := range parts {
		if bytes.Contains(bytes.ReplaceAll(value, []byte(`\\`), nil), []byte(`\u0000`)) {
			return name
		}
	}
	return ""
}
