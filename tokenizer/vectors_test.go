package tokenizer

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"scored/tests/vectors"
)

// vector is a text and its ids as Hugging Face tokenizers gave them;
// tests/tokenizer/generate.py tells how it is written.
type vector struct {
	Category string
	Text     string
	Parts    []part
	IDs      json.RawMessage
	Plain    json.RawMessage
}

type part struct {
	text  string
	times int
}

func (p *part) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&p.text, &p.times})
}

// corpus is a vector file, and the tokenizer.json that it was made with.
type corpus struct {
	name, tokenizer string
	vectors         []vector
}

func TestVectors(t *testing.T) {
	for _, c := range []corpus{qwen3Corpus(t), smallCorpus(t)} {
		t.Run(c.name, func(t *testing.T) {
			tok := open(t, c.tokenizer)
			for _, v := range c.vectors {
				for _, plain := range []bool{false, true} {
					if err := v.check(tok, plain); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

// Eight callers at once, the first of whom make the tokenizer load its other modes
// while the rest encode.
func TestVectorsConcurrently(t *testing.T) {
	const callers = 8
	for _, c := range []corpus{qwen3Corpus(t), smallCorpus(t)} {
		t.Run(c.name, func(t *testing.T) {
			tok := open(t, c.tokenizer)
			start := make(chan struct{})
			var group sync.WaitGroup
			for caller := range callers {
				group.Go(func() {
					plain := caller%2 == 1
					<-start
					if caller%4 >= 2 {
						if _, err := tok.Encode("\x00", plain); err != nil {
							t.Error(err)
						}
					}
					// A quarter of the vectors, so that each is encoded in both modes.
					for i := range (len(c.vectors) + 3) / 4 {
						v := c.vectors[(i+caller*len(c.vectors)/callers)%len(c.vectors)]
						if err := v.check(tok, plain); err != nil {
							t.Errorf("caller %d: %v", caller, err)
							return
						}
					}
				})
			}
			close(start)
			group.Wait()
		})
	}
}

// The corpus is worth its name only while it has what it was asked for.
func TestCorpusIsComplete(t *testing.T) {
	c := qwen3Corpus(t)
	plain, longest := 0, 0
	for _, v := range c.vectors {
		if v.Plain != nil {
			plain++
		}
		longest = max(longest, len(v.text()))
	}
	if len(c.vectors) < 2000 || plain < 200 || longest < 100_000 {
		t.Errorf("%d vectors, %d of them other ids when plain, the longest of %d bytes; want 2000, 200, 100000",
			len(c.vectors), plain, longest)
	}
}

func (v vector) text() string {
	if v.Parts == nil {
		return v.Text
	}
	var text strings.Builder
	for _, p := range v.Parts {
		text.WriteString(strings.Repeat(p.text, p.times))
	}
	return text.String()
}

func (v vector) check(tok *Tokenizer, plain bool) error {
	text, want := v.text(), v.IDs
	if plain && v.Plain != nil {
		want = v.Plain
	}
	shown := text
	if len(shown) > 200 {
		shown = shown[:200]
	}
	ids, err := tok.Encode(text, plain)
	if err != nil {
		return fmt.Errorf("%s: Encode(%q, %t) of %d bytes: %w", v.Category, shown, plain, len(text), err)
	}
	if got := written(ids); got != string(want) {
		return fmt.Errorf("%s: Encode(%q, %t) of %d bytes\n got %s\nwant %s", v.Category, shown, plain, len(text), got, want)
	}
	return nil
}

// written is ids as the vector file has them: long lists as their length and hash.
func written(ids []int32) string {
	if len(ids) <= 1000 {
		return strings.ReplaceAll(fmt.Sprint(ids), " ", ",")
	}
	hash := sha256.New()
	if err := binary.Write(hash, binary.LittleEndian, ids); err != nil {
		return err.Error()
	}
	return fmt.Sprintf(`{"count":%d,"sha256":"%x"}`, len(ids), hash.Sum(nil))
}

func qwen3Corpus(t testing.TB) corpus {
	return readCorpus(t, "qwen3", "../tests/tokenizer/qwen3.jsonl.gz", qwen3(t))
}

func smallCorpus(t testing.TB) corpus {
	return readCorpus(t, "small", "../tests/tokenizer/small/vectors.jsonl", "../tests/tokenizer/small")
}

func readCorpus(t testing.TB, name, path, tokenizer string) corpus {
	t.Helper()
	lines := json.NewDecoder(bytes.NewReader(vectors.Read(t, path)))
	var header struct {
		SHA256 string `json:"tokenizer_sha256"`
	}
	if err := lines.Decode(&header); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	file := filepath.Join(tokenizer, "tokenizer.json")
	if sum := sha256.Sum256(read(t, file)); hex.EncodeToString(sum[:]) != header.SHA256 {
		t.Fatalf("%s has sha256 %x, but %s was made with %s; run make setup, or generate.py", file, sum, path, header.SHA256)
	}
	c := corpus{name: name, tokenizer: tokenizer}
	for lines.More() {
		var v vector
		if err := lines.Decode(&v); err != nil {
			t.Fatalf("%s: vector %d: %v", path, len(c.vectors), err)
		}
		c.vectors = append(c.vectors, v)
	}
	return c
}

// qwen3 is the folder of Qwen3's tokenizer.json.
func qwen3(t testing.TB) string {
	t.Helper()
	dir := qwen3Folder()
	if _, err := os.Stat(filepath.Join(dir, "tokenizer.json")); err != nil {
		t.Fatalf("Qwen3's tokenizer is missing: %v; run make setup, or name its folder in SCORED_TEST_TOKENIZER", err)
	}
	return dir
}

func qwen3Folder() string {
	return cmp.Or(os.Getenv("SCORED_TEST_TOKENIZER"), "../.cache/tokenizer/qwen3")
}

// large opens Qwen3's tokenizer once for all tests, as its file takes two seconds.
var large = sync.OnceValues(func() (*Tokenizer, error) { return Open(qwen3Folder()) })

// open opens a tokenizer. It is closed when the test ends, but for Qwen3's, which other
// tests use.
func open(t testing.TB, path string) *Tokenizer {
	t.Helper()
	if path == qwen3Folder() {
		tok, err := large()
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	tok, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tok.Close(); err != nil {
			t.Error(err)
		}
	})
	return tok
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
