package batch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake answers from the body alone, after a moment, and remembers the order of the
// queries. After stopAt answers it ends.
type fake struct {
	mu      sync.Mutex
	asked   []string // queries
	bodies  map[string]int
	stopAt  int
	status  func(r *Request) int
	slowest time.Duration
}

func (f *fake) Score(ctx context.Context, r *Request) (*Answer, error) {
	f.mu.Lock()
	if f.bodies == nil {
		f.bodies = map[string]int{}
	}
	f.bodies[string(r.Body)]++
	var body struct{ Query string }
	_ = json.Unmarshal(r.Body, &body)
	f.asked = append(f.asked, body.Query)
	over := f.stopAt > 0 && len(f.asked) > f.stopAt
	f.mu.Unlock()
	if over {
		return nil, fmt.Errorf("%w: the test has it so", ErrStop)
	}
	if f.slowest > 0 {
		time.Sleep(rand.N(f.slowest))
	}
	if f.status != nil && f.status(r) != 200 {
		return &Answer{Status: f.status(r), RequestID: r.ID, Param: "items[0]", Body: []byte(`{"object":"error","message":"items[0] is wrong"}`)}, nil
	}
	h := fnv.New64a()
	_, _ = h.Write(r.Body)
	return &Answer{Status: 200, RequestID: r.ID, Body: fmt.Appendf(nil, `{"scores":[[%d]]}`, h.Sum64())}, nil
}

func options() Options {
	return Options{Endpoint: "/v1/score", Format: JSONLines{}, Concurrency: 8, Items: 64, Window: 16, WindowBytes: 1 << 20, LineBytes: 1 << 20, Run: "test"}
}

// corpus is a file of lines in random order of their queries.
func corpus(t *testing.T, name string, lines, queries int) (path string, text []byte) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, uint64(lines)))
	var b bytes.Buffer
	for i := range lines {
		fmt.Fprintf(&b, `{"custom_id":"c%d","method":"POST","url":"/v1/score","body":{"query":"q%d","items":["item %d {}"]}}`+"\n", i, random.IntN(queries), i)
	}
	path = filepath.Join(t.TempDir(), name)
	write(t, path, b.Bytes())
	return path, b.Bytes()
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// score runs one file and returns what became of it.
func score(t *testing.T, o Options, s Scorer, in, out string) (Summary, error) {
	t.Helper()
	return Run(t.Context(), o, s, []Job{{In: in, Out: out}})
}

// must is score that has to end well.
func must(t *testing.T, o Options, s Scorer, in, out string) Summary {
	t.Helper()
	sum, err := score(t, o, s, in, out)
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range []string{".part", ".journal", ".journal.new"} {
		if _, err := os.Stat(out + left); err == nil {
			t.Errorf("%s is left", out+left)
		}
	}
	return sum
}

type outLine struct {
	ID       string
	CustomID string `json:"custom_id"`
	Response *struct {
		StatusCode int    `json:"status_code"`
		RequestID  string `json:"request_id"`
		Body       json.RawMessage
	}
	Error *errorOf
}

func outLines(t *testing.T, data []byte) (all []outLine) {
	t.Helper()
	for d := json.NewDecoder(bytes.NewReader(data)); ; {
		var line outLine
		err := d.Decode(&line)
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, line)
	}
}

// TestOrder: answers come in the order of the lines, whatever the order in which they
// were scored, and each query's lines of a window are sent together.
func TestOrder(t *testing.T) {
	in, _ := corpus(t, "in.jsonl", 500, 7)
	out := filepath.Join(t.TempDir(), "new", "out.jsonl")
	o := options()
	o.Window, o.Concurrency = 100, 1 // one at a time, so that the order in which they are sent is seen
	one := &fake{}
	if sum := must(t, o, one, in, out); sum.Lines != 500 || sum.Failed != 0 {
		t.Errorf("summary %+v", sum)
	}
	for w := range 5 {
		asked := slices.Clone(one.asked[100*w : 100*w+100])
		if len(slices.Compact(slices.Clone(asked))) != 7 {
			t.Errorf("window %d asks queries in the order %q", w, asked)
		}
	}
	want := read(t, out)
	for i, line := range outLines(t, want) {
		if line.CustomID != fmt.Sprintf("c%d", i) || line.ID != fmt.Sprintf("batch_req_%d", i+1) || line.Response.RequestID != line.ID ||
			line.Response.StatusCode != 200 || line.Error != nil {
			t.Fatalf("line %d is %+v", i, line)
		}
	}
	for _, concurrency := range []int{2, 9, 300} {
		o.Concurrency, o.Window = concurrency, 13
		must(t, o, &fake{slowest: time.Millisecond}, in, out)
		if !bytes.Equal(read(t, out), want) {
			t.Errorf("output with concurrency %d is another", concurrency)
		}
	}
}

// TestResume: a run that ends anywhere goes on and gives, byte for byte, what a run at
// one go gives, and no body that was in the journal is sent again.
func TestResume(t *testing.T) {
	for _, ending := range []string{"", ".gz", ".zst"} {
		in, _ := corpus(t, "in.jsonl", 300, 5)
		o := options()
		whole := filepath.Join(t.TempDir(), "whole.jsonl"+ending)
		must(t, o, &fake{}, in, whole)
		out := filepath.Join(t.TempDir(), "out.jsonl"+ending)
		o.Resume = true
		total := 0
		for step := 0; ; step++ {
			some := &fake{stopAt: 37, slowest: time.Millisecond}
			_, err := score(t, o, some, in, out)
			total += min(len(some.asked), some.stopAt)
			if err == nil {
				break
			}
			if !errors.Is(err, ErrStop) {
				t.Fatal(err)
			}
			// What a process that is killed leaves: a last line cut short, and output behind the
			// last commit.
			journal := read(t, out+".journal")
			if step%2 == 1 {
				write(t, out+".journal", append(journal, `{"n":299,"sum":"12`...))
				write(t, out+".part", append(read(t, out+".part"), "half a li"...))
			}
		}
		if total > 300+9*8 {
			t.Errorf("%d bodies were answered for 300 lines", total)
		}
		if !bytes.Equal(read(t, out), read(t, whole)) {
			t.Errorf("output %s of many runs is not that of one", ending)
		}
		again := &fake{}
		if sum := must(t, o, again, in, out); sum.Skipped != 1 || len(again.asked) != 0 {
			t.Errorf("a run that is done: %+v, %d bodies sent", sum, len(again.asked))
		}
	}
}

// TestResumeRefuses: what goes on must be the same work.
func TestResumeRefuses(t *testing.T) {
	in, text := corpus(t, "in.jsonl", 100, 5)
	for _, c := range []struct {
		name   string
		change func(o *Options)
		input  []byte
		want   string
	}{
		{"no --resume", func(o *Options) { o.Resume = false }, text, "left of a run that did not end"},
		{"other model", func(o *Options) { o.Run = "another" }, text, "of a run with other flags"},
		{"other line", nil, bytes.Replace(text, []byte("item 3 "), []byte("item x "), 1), "input has changed"},
		{"other line in the journal", nil, bytes.Replace(text, []byte("item 50 "), []byte("item x "), 1), "line 51 is another"},
		{"fewer lines", nil, text[:2000], "input has changed"},
	} {
		write(t, in, text)
		o := options()
		o.Concurrency = 1
		out := filepath.Join(t.TempDir(), "out.jsonl")
		if _, err := score(t, o, &fake{stopAt: 62}, in, out); !errors.Is(err, ErrStop) {
			t.Fatal(err)
		}
		o.Resume = true
		if c.change != nil {
			c.change(&o)
		}
		write(t, in, c.input)
		if _, err := score(t, o, &fake{}, in, out); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		write(t, in, text)
		o.Resume, o.Run = true, "test"
		must(t, o, &fake{}, in, out)
		if lines := outLines(t, read(t, out)); len(lines) != 100 {
			t.Errorf("%s: %d lines in the end", c.name, len(lines))
		}
	}
}

// TestLines: a broken line is an answer that names file, line and field, and the others
// are scored.
func TestLines(t *testing.T) {
	in := filepath.Join(t.TempDir(), "in.jsonl")
	good := `{"query":"q","items":["a"]}`
	wrapped := func(fields string) string {
		return `{"custom_id":"x","method":"POST","url":"/v1/score","body":` + good + fields + "}"
	}
	cases := []struct{ line, param, want string }{
		{good, "", ""},
		{wrapped(""), "", ""},
		{wrapped("") + "\r", "", ""},
		{`{"custom_id":"x","url":"/v1/rerank","body":{}}`, "", ""},
		{`{"query":`, "", "line is no JSON object: unexpected end of JSON input"},
		{`[1]`, "", "line is no JSON object: it is of the type array"},
		{`null`, "", "line is null"},
		{`{"custom_id":"x"}`, "body", "field body is missing"},
		{`{"url":"/v1/score","body":{}}`, "custom_id", "field custom_id is missing"},
		{`{"custom_id":7,"url":"/v1/score","body":{}}`, "custom_id", "field custom_id must be a text"},
		{`{"custom_id":"x","body":{}}`, "url", "field url is missing"},
		{wrapped(`,"url":"http://elsewhere/v1/score"`), "url", "field url is"},
		{wrapped(`,"url":"/flush_cache"`), "url", `field url is "/flush_cache", by which nothing is scored; it may be /v1/score, /v1/rerank`},
		{wrapped(`,"method":"GET"`), "method", `field method is "GET"; it must be POST`},
		{`{"query":"` + strings.Repeat("x", 3000) + `"}`, "", "line is longer than 2000 bytes"},
		{`{"query":"refuse"}`, "items[0]", "items[0] is wrong"},
		{"last line without an end", "", "line is no JSON object"},
	}
	var text strings.Builder
	text.WriteString(byteOrderMark + "\n  \n")
	for i, c := range cases {
		text.WriteString(c.line)
		if i < len(cases)-1 {
			text.WriteString("\n")
		}
	}
	write(t, in, []byte(text.String()))
	o := options()
	o.LineBytes, o.Paths = 2000, []string{"/v1/score", "/v1/rerank"}
	out := filepath.Join(t.TempDir(), "out.jsonl")
	server := &fake{status: func(r *Request) int {
		if bytes.Contains(r.Body, []byte("refuse")) {
			return 400
		}
		return 200
	}}
	sum := must(t, o, server, in, out)
	lines := outLines(t, read(t, out))
	if len(lines) != len(cases) || sum.Failed != 13 {
		t.Fatalf("%d lines for %d, %+v", len(lines), len(cases), sum)
	}
	for i, c := range cases {
		line := lines[i]
		if c.want == "" {
			if line.Error != nil || line.Response.StatusCode != 200 {
				t.Errorf("%s: %+v", c.line, line)
			}
			continue
		}
		if line.Error == nil || !strings.Contains(line.Error.Message, fmt.Sprintf("%s:%d: %s", in, i+3, c.want)) || line.Error.Line != int64(i+3) || line.Error.Param != c.param {
			t.Errorf("%.80s: %+v, want %q of field %q", c.line, line.Error, c.want, c.param)
		}
	}
	if n, err := countFailed(out, o.Format); n != 13 || err != nil {
		t.Errorf("%d lines without scores are counted, %v", n, err)
	}
}

// TestPacked: what is packed reads the same, and what is cut short says so and can be
// gone on with.
func TestPacked(t *testing.T) {
	in, text := corpus(t, "in.jsonl", 400, 3)
	o := options()
	plain := filepath.Join(t.TempDir(), "out.jsonl")
	must(t, o, &fake{}, in, plain)
	for _, ending := range []string{".gz", ".zst"} {
		packed := filepath.Join(t.TempDir(), "in.jsonl"+ending)
		data := pack(t, ending, text)
		write(t, packed, data[:len(data)/2])
		out := filepath.Join(t.TempDir(), "out.jsonl")
		if _, err := score(t, o, &fake{}, packed, out); err == nil || !strings.Contains(err.Error(), "cut short or damaged") || !strings.Contains(err.Error(), packed) {
			t.Errorf("half a file: %v", err)
		}
		write(t, packed, data)
		o.Resume = true
		must(t, o, &fake{}, packed, out)
		if !bytes.Equal(read(t, out), read(t, plain)) {
			t.Errorf("output of %s is another", packed)
		}
	}
}

func pack(t *testing.T, ending string, text []byte) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "packed"+ending)
	o := &output{path: path, part: create(t, path)}
	o.buffer = newBuffer(o.part)
	if err := o.begin(options()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(o.write(text), o.flushPart()); err != nil {
		t.Fatal(err)
	}
	return read(t, path)
}

func create(t *testing.T, path string) *os.File {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() }) // what has been read needs no closing
	return file
}

// TestNothing: an input without lines has an output without lines, packed or not.
func TestNothing(t *testing.T) {
	for _, ending := range []string{"", ".gz", ".zst"} {
		in := filepath.Join(t.TempDir(), "in.jsonl")
		write(t, in, []byte("\n\n"))
		out := filepath.Join(t.TempDir(), "out.jsonl"+ending)
		must(t, options(), &fake{}, in, out)
		s, err := openSource(out, nil)
		if err != nil {
			t.Fatal(err)
		}
		if data, err := io.ReadAll(s); err != nil || len(data) > 0 || (ending != "") != (len(read(t, out)) > 0) {
			t.Errorf("output%s holds %q, %v", ending, data, err)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}
}

// TestFolder: a run over several files adds up, and what is done is left alone, with its
// lines without scores counted.
func TestFolder(t *testing.T) {
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	for i := range 3 {
		write(t, filepath.Join(dir, fmt.Sprintf("%d.jsonl", i)), []byte("{\"query\":\"a\"}\nbroken\n{\"query\":\"b\"}\n"))
	}
	jobs, err := Jobs(dir, out, JSONLines{}, Shard{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	o := options()
	var told []Counts
	o.Tell, o.TellEvery = func(c Counts) { told = append(told, c) }, time.Hour
	o.Resume = true
	if sum, err := Run(t.Context(), o, &fake{}, jobs[:2]); err != nil || sum.Lines != 6 || sum.Failed != 2 || sum.Last.Items != 4 {
		t.Errorf("%+v, %v", sum, err)
	}
	sum, err := Run(t.Context(), o, &fake{}, jobs)
	if err != nil || sum.Lines != 3 || sum.Failed != 3 || sum.Skipped != 2 || sum.Last.Share != 1 || len(told) != 5 {
		t.Errorf("%+v, %v, told %d times", sum, err, len(told))
	}
}
