package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"scored/app"
	"scored/batch"
	"scored/score"
)

// TestBatchFlags: flags may stand before, between and behind the names, and what is
// wrong is one sentence with status 2.
func TestBatchFlags(t *testing.T) {
	env := func(name string) (string, bool) {
		value, ok := map[string]string{"JOB_COMPLETION_INDEX": "2", "SCORED_WINDOW": "99"}[name]
		return value, ok
	}
	b, err := parseBatch(strings.Fields("--url http://h:1 in/ --shard 3 out/ --labels [\"a,b\",\"c\"] --output-format csv --resume --id-column n"), env, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := b.options
	if b.in != "in/" || b.out != "out/" || b.shard != (batch.Shard{Index: 2, Of: 3}) || !o.Resume || o.Window != 99 || o.Table.ID != "n" ||
		o.Concurrency != linesInHandRemote || fmt.Sprintf("%T", o.Format) != "batch.CSV" || fmt.Sprint(o.Table.Fields["labels"]) != "[a,b c]" || o.LineBytes != 64<<20 {
		t.Errorf("%+v", b)
	}
	for line, want := range map[string]string{
		"in --url http://h:1":                                          "takes an input and an output, not 1 names",
		"in out x --url http://h:1":                                    "not 3 names",
		"in out":                                                       "flag --model-path is missing",
		"in out --url h:1":                                             "flag --url is",
		"in out --url http://h:1 --model-path m":                       "exclude each other",
		"in out --url http://h:1 --template qwen3":                     "start the server with --template",
		"in out --url http://h:1 --shard 3/3":                          `gives part "3" of 3; parts are 0 to 2`,
		"in out --url http://h:1 --shard 2":                            `JOB_COMPLETION_INDEX gives part "2" of 2`,
		"in out --url http://h:1 --shard x":                            "it must be I/N",
		"in out --url http://h:1 --window 0":                           "must be above 0",
		"in out --url http://h:1 --concurrency -1":                     "flag --concurrency must be 0 or more",
		"in out --url http://h:1 --labels a --label-token-ids 1":       "exclude each other",
		"in out --url http://h:1 --label-token-ids a":                  `holds "a"`,
		"in out --url http://h:1 --labels [a":                          "must be a JSON list",
		"in out.csv --url http://h:1":                                  "has a column for each label",
		"in out.parquet --url http://h:1":                              "read and not written; name it .jsonl or .csv",
		"in out.tsv.gz --url http://h:1":                               "read and not written",
		"in out --url http://h:1 --output-format xml":                  "must be jsonl or csv",
		"in - --url http://h:1 --resume":                               "needs an output that is a file",
		"in out --url http://h:1 --endpoint v1":                        "must be a path",
		"in out --nope":                                                "flag --nope is unknown; scored batch -h lists them",
		"in out --model-path m --template nope":                        "is neither a file nor one of",
		"in out --model-path m --template qwen3 --allow-auto-truncate": "exclude each other",
	} {
		var wrong app.UsageError
		if _, err := parseBatch(strings.Fields(line), env, nil); !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

// TestBatchStatus: the exit status tells whether all lines have scores.
func TestBatchStatus(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in.jsonl")
	if err := os.WriteFile(in, []byte("broken\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "table.csv"), []byte("text\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	env := func(string) (string, bool) { return "", false }
	for _, c := range []struct {
		args   string
		status int
		want   string
	}{
		{in + " " + filepath.Join(dir, "out.jsonl") + " --url http://127.0.0.1:1", exitUnscored, "lines without scores: 1; the output tells why"},
		{in + " " + filepath.Join(dir, "out.jsonl") + " --url http://127.0.0.1:1 --resume", exitUnscored, "1 of 1 files were done before"},
		{filepath.Join(dir, "none") + " out --url http://127.0.0.1:1", 1, "input cannot be found"},
		{dir + " " + filepath.Join(t.TempDir(), "o") + " --url http://127.0.0.1:1 --shard 5/9", 0, "part 5 of 9 has no files"},
		{filepath.Join(dir, "table.csv") + " " + filepath.Join(dir, "o.csv") + " --url http://127.0.0.1:1 --item-column item --labels a", 1, `table.csv: column "item" is missing; there are text`},
		{"in", 2, "takes an input and an output"},
		{in + " " + in + " --url http://127.0.0.1:1", 2, "is the input; name another file"},
		{in + " " + dir + " --url http://127.0.0.1:1", 2, "is a folder; name a file"},
		{in + " out --url http://127.0.0.1:1 --shard 0/2", 2, "is one file, which cannot be divided into 2 shards"},
		{dir + " " + dir + " --url http://127.0.0.1:1", 2, "is the input's folder, or lies in it"},
		{dir + " - --url http://127.0.0.1:1", 2, "must be a folder"},
		{filepath.Join(dir, "table.csv") + " out --url http://127.0.0.1:1", 2, "input is a table; name its columns with --item-column"},
		{filepath.Join(dir, "*.none") + " out --url http://127.0.0.1:1", 1, "has no files that end in"},
	} {
		var said bytes.Buffer
		if status := run(context.Background(), append([]string{"batch"}, strings.Fields(c.args)...), env, &said, &said); status != c.status || !strings.Contains(said.String(), c.want) {
			t.Errorf("%s ends with %d and %q, want %d and %q", c.args, status, said.String(), c.status, c.want)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "o.csv*")); err != nil || len(left) > 0 {
		t.Errorf("a missing column leaves %v, %v", left, err)
	}
}

// TestBatchLog: the first line of the log shows the flags that batch has, and not those
// of a server.
func TestBatchLog(t *testing.T) {
	var stderr bytes.Buffer
	args := []string{"batch", "-", "-", "--model-path", shapeOnly(t), "--offline", "--window", "7", "--api-key", "hush"}
	if status := run(t.Context(), args, environment(), &stderr, &stderr); status != 1 {
		t.Errorf("status %d: %s", status, &stderr)
	}
	first, _, _ := strings.Cut(stderr.String(), "\n")
	for part, want := range map[string]bool{"msg=starting ": true, " window=7 ": true, " dtype=auto ": true, " api_key=(set) ": true,
		" host=": false, " port=": false, "enable_metrics": false, "hush": false} {
		if strings.Contains(first, part) != want {
			t.Errorf("first line has %q: %t, want %t: %s", part, !want, want, first)
		}
	}
}

// TestBatchBounds: flags of the engine bound a batch's steps as they do a server's.
func TestBatchBounds(t *testing.T) {
	for flags, most := range map[string]int{"": 16384, " --chunked-prefill-size 64": 64} {
		b, err := parseBatch(strings.Fields("in out --model-path m --context-length 64"+flags), environment(), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		options, _, err := b.engineOptions(tinyShape(t))
		if err != nil {
			t.Fatal(err)
		}
		largest := slices.MaxFunc(options.Buckets, func(a, b score.Bucket) int { return cmp.Compare(a.Tokens, b.Tokens) })
		if largest.Tokens > most || largest.Tokens < min(most, 64) {
			t.Errorf("batch%s has steps up to %s", flags, bucketText(largest))
		}
	}
}

// TestBatchDisplay: the line tells rates, padding and the time left.
func TestBatchDisplay(t *testing.T) {
	var out bytes.Buffer
	tokens := &tally{}
	tokens.computed.Store(900)
	tokens.padding.Store(100)
	d := newDisplay(&out, false, 2, tokens)
	d.tell(batch.Counts{Lines: 50, Items: 100, Failed: 1, Share: 0.25, Took: 10 * time.Second})
	d.tell(batch.Counts{Lines: 50, Items: 100, Share: -1, Took: 10 * time.Second, Done: true})
	want := "file 1 of 2, 50 lines (1 without scores), 10.0 items/s, 90 tokens/s computed, padding 10 %, 25.0 % done, 30s left\n" +
		"file 2 of 2, 50 lines, 10.0 items/s, 90 tokens/s computed, padding 10 %\n"
	if out.String() != want {
		t.Errorf("%s, want %s", out.String(), want)
	}
}
