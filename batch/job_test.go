package batch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestJobs: shards take every file once, and outputs have names of their own.
func TestJobs(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.jsonl", "a.jsonl.gz", "c/d.csv.zst", "c/e.parquet", "notes.txt", "_SUCCESS"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		write(t, path, []byte("{}\n"))
	}
	want := []string{"a.jsonl.gz > a.jsonl.gz", "b.jsonl > b.jsonl", "c/d.csv.zst > c/d.jsonl.zst", "c/e.parquet > c/e.jsonl"}
	for _, of := range []int{1, 2, 3, 7} {
		var got []string
		for i := range of {
			jobs, err := Jobs(dir, "out", JSONLines{}, Shard{i, of})
			if err != nil {
				t.Fatal(err)
			}
			for _, job := range jobs {
				got = append(got, strings.TrimPrefix(job.In, dir+"/")+" > "+strings.TrimPrefix(job.Out, "out/"))
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%d shards take %q", of, got)
		}
	}
	jobs, err := Jobs(filepath.Join(dir, "*.jsonl*"), "out", JSONLines{}, Shard{0, 1})
	if err != nil || len(jobs) != 2 || jobs[0].Out != "out/a.jsonl.gz" {
		t.Errorf("a pattern gives %v, %v", jobs, err)
	}
	if _, err := Jobs(filepath.Join(dir, "*.gz"), filepath.Join(dir, "out"), JSONLines{}, Shard{0, 1}); err != nil {
		t.Errorf("a folder beside a pattern's files: %v", err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "b.jsonl")
	write(t, filepath.Join(dir, "b.csv"), []byte("item\n"))
	for _, c := range []struct {
		in, out string
		of      int
		want    string
	}{
		{filepath.Join(dir, "none.jsonl"), "out", 1, "input cannot be found"},
		{filepath.Join(dir, "*.none"), "out", 1, "has no files"},
		{dir, file, 1, "must be a folder"},
		{dir, "-", 1, "must be a folder"},
		{dir, "out", 1, "would both be written to out/b.jsonl"},
		{file, "out", 2, "cannot be divided into 2 shards"},
		{file, file, 1, "is the input"},
		{file, dir, 1, "is a folder"},
		{filepath.Join(dir, "*", "e*"), "out", 1, "pattern in a folder's name"},
		{dir, dir, 1, "is the input's folder"},
		{dir, filepath.Join(dir, "c", "new", "out"), 1, "is the input's folder"},
		{dir, link, 1, "is the input's folder"},
		{dir, filepath.Join(link, "out"), 1, "is the input's folder"},
		{filepath.Join(dir, "*.gz"), link, 1, "is the input's folder"},
	} {
		if _, err := Jobs(c.in, c.out, JSONLines{}, Shard{0, c.of}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s to %s: %v, want %q", c.in, c.out, err, c.want)
		}
	}
}
