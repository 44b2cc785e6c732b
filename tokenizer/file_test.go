package tokenizer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpen(t *testing.T) {
	dir := "../tests/tokenizer/small"
	for _, path := range []string{dir, dir + "/", filepath.Join(dir, "tokenizer.json")} {
		if tok := open(t, path); tok.Vocab() != 269 || tok.BaseVocab() != 263 {
			t.Errorf("%s: Vocab, BaseVocab = %d, %d; want 269, 263", path, tok.Vocab(), tok.BaseVocab())
		}
	}
}

// Files that are no tokenizer: an error that names the file, and a process that lives.
func TestOpenFaultyFiles(t *testing.T) {
	small := string(read(t, "../tests/tokenizer/small/tokenizer.json"))
	changed := func(old, with string) string {
		if !strings.Contains(small, old) {
			t.Fatalf("the small tokenizer.json has no %q", old)
		}
		return strings.Replace(small, old, with, 1)
	}
	for _, c := range []struct{ name, content, want string }{
		{"empty", "", "it is empty"},
		{"spaces", " \n", "unexpected end of JSON"},
		{"not JSON", "version https://git-lfs.github.com/spec/v1\n", "invalid character"},
		{"binary", "\x00\x01\xff\xfe", "invalid character"},
		{"cut", small[:len(small)/2], "unexpected end of JSON"},
		{"cut at the end", strings.TrimRight(small, "\n}"), "unexpected end of JSON"},
		{"two values", small + "{}", "after top-level value"},
		{"array", "[1, 2]", "cannot unmarshal array"},
		{"string", `"tokenizer"`, "cannot unmarshal string"},
		{"null", "null", "model"},
		{"a model's config.json", `{"architectures": ["Qwen3ForCausalLM"], "vocab_size": 151936}`, "model"},
		{"model of another kind", `{"model": "qwen3"}`, "model"},
		{"no vocabulary", `{"model": {"type": "BPE", "merges": []}}`, "model.vocab has no tokens"},
		{"vocabulary as a list", `{"model": {"type": "Unigram", "vocab": [["a", -1.5]]}}`, "model"},
		{"ids that are no numbers", `{"model": {"type": "BPE", "vocab": {"a": "0"}}}`, "model"},
		{"added tokens of another kind", changed(`"added_tokens": [`, `"added_tokens": "none", "rest": [`), "added_tokens"},
		{"no merges", `{"model": {"type": "BPE", "vocab": {"a": 0}}}`, "does not load"},
		{"unknown model", `{"model": {"type": "A\u0000B", "vocab": {"a": 0}}}`, "does not load"},
		{"unknown version", changed(`"version": "1.0"`, `"version": "9\u0000"`), "does not load"},
		{"unknown normalizer", changed(`"normalizer": null`, `"normalizer": {"type": "N\u0000"}`), "does not load"},
		{"merge of unknown tokens", changed(`"h",`, `"h\u0000",`), "does not load"},
		{"negative id", changed(`"id": 263`, `"id": -263`), "added_tokens"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "tokenizer.json")
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{path, filepath.Dir(path)} {
				faulty(t, name, path, c.want)
			}
		})
	}
}

func TestOpenMissing(t *testing.T) {
	dir := t.TempDir()
	const remedy = "does not exist; name a model folder or a tokenizer.json"
	faulty(t, dir, filepath.Join(dir, "tokenizer.json"), remedy)
	faulty(t, filepath.Join(dir, "none"), filepath.Join(dir, "none"), remedy)
	faulty(t, filepath.Join(dir, "none.json"), filepath.Join(dir, "none.json"), remedy)
	faulty(t, os.DevNull, os.DevNull, "is not a regular file")

	huge := filepath.Join(dir, "model.safetensors")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, maxFile+1); err != nil { // sparse
		t.Fatal(err)
	}
	faulty(t, huge, huge, "more than the 256 MiB")
}

// Like transformers, which sees a NUL in a token as any character, encode text beside
// such a token only if it is exact.
func TestAddedTokenWithNUL(t *testing.T) {
	dir := t.TempDir()
	small := string(read(t, "../tests/tokenizer/small/tokenizer.json"))
	changed := strings.Replace(small, `"content": "<left>"`, `"content": "<le\u0000ft>"`, 1)
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	tok := open(t, dir)
	if _, err := tok.Encode("hello", false); err != nil {
		t.Errorf("text without NUL: %v", err)
	}
	if ids, err := tok.Encode("\x00", false); err == nil || !strings.Contains(err.Error(), `"<le\x00ft>"`) {
		t.Errorf("text with NUL: %v, %v; want an error that quotes the added token", ids, err)
	}
}

// faulty opens path and wants an error that names file and says want.
func faulty(t *testing.T, path, file, want string) {
	t.Helper()
	tok, err := Open(path)
	if err == nil {
		t.Errorf("Open(%s) succeeded; want an error", path)
		if err := tok.Close(); err != nil {
			t.Error(err)
		}
		return
	}
	if message := err.Error(); !strings.HasPrefix(message, "tokenizer file "+file+" ") || !strings.Contains(message, want) {
		t.Errorf("Open(%s): %v\nwant an error that names %s and says %q", path, err, file, want)
	}
}
