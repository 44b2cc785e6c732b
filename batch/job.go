package batch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Job is one input and its output.
type Job struct {
	In, Out string // "-" is stdin or stdout
	size    int64  // bytes of the input; 0 if not known
}

// finished reports whether the output is complete: it has its name, and no run is at
// writing it anew. Output to stdout never is.
func (j Job) finished() bool {
	if j.Out == "-" {
		return false
	}
	_, err := os.Stat(j.Out)
	_, part := os.Stat(j.Out + ".part")
	return err == nil && errors.Is(part, fs.ErrNotExist)
}

// Shard is one of Of equal parts of the work, counted from 0.
type Shard struct{ Index, Of int }

// UsageError is an error of an input, an output and Options that contradict each other:
// no run with them can work. Other errors may be gone another time.
type UsageError struct{ text string }

// Error implements error.
func (e *UsageError) Error() string { return e.text }

// usageErrorf returns a UsageError.
func usageErrorf(format string, values ...any) error {
	return &UsageError{fmt.Sprintf(format, values...)}
}

// Jobs finds the input files and names their outputs. in is a file, "-" for stdin, a
// folder, whose files are found recursively, or a pattern of file names as in
// filepath.Match.
//
// For a folder or a pattern, out must be a folder. Each output there has its input's
// name with the format's extension. A shard has the files Index, Index+Of, ... in the
// order of their names.
func Jobs(in, out string, format Format, shard Shard) ([]Job, error) {
	root, names, err := findFiles(in)
	if err != nil {
		return nil, err
	}
	if names == nil {
		if shard.Of > 1 {
			return nil, usageErrorf("input %s is one file, which cannot be divided into %d shards; "+
				"name a folder or a pattern such as 'in/*.jsonl'", in, shard.Of)
		}
		job := Job{In: in, Out: out, size: sizeOf(in)}
		return []Job{job}, checkOutput(job, format)
	}
	if info, err := os.Stat(out); out == "-" || err == nil && !info.IsDir() {
		return nil, usageErrorf("output %s must be a folder, as the input is more than one file", out)
	}
	if within(out, root, strings.ContainsAny(in, "*?[")) {
		return nil, usageErrorf("output %s is the input's folder, or lies in it; name another, or "+
			"what is written would be read", out)
	}
	// Names of all shards are compared, not only of this one: shards share the folder.
	outputs := map[string]string{} // the input of each output
	var jobs []Job
	for i, name := range names {
		job := Job{In: filepath.Join(root, name), Out: filepath.Join(out, outputName(name, format))}
		if other, taken := outputs[job.Out]; taken {
			return nil, fmt.Errorf("inputs %s and %s would both be written to %s; rename one",
				other, job.In, job.Out)
		}
		if outputs[job.Out] = job.In; i%shard.Of == shard.Index {
			job.size = sizeOf(job.In)
			jobs = append(jobs, job)
		}
	}
	return jobs, nil
}

// within reports whether a folder is root or lies in it; with itself, only whether it
// is root: a pattern finds nothing in folders below. It follows symbolic links. The
// folder need not exist, as outputs are made when they are written.
func within(folder, root string, itself bool) bool {
	top, err := os.Stat(root)
	if err != nil {
		return false
	}
	if real, err := filepath.EvalSymlinks(folder); err == nil {
		folder = real
	}
	if folder, err = filepath.Abs(folder); err != nil {
		return false
	}
	for {
		if info, err := os.Stat(folder); err == nil && os.SameFile(info, top) {
			return true
		}
		above := filepath.Dir(folder)
		if itself || above == folder {
			return false
		}
		folder = above
	}
}

// findFiles returns the names of an input's files relative to root, sorted: every shard
// must see the same order. names is nil if the input is a single file. A file whose name
// is a pattern, such as a[1].jsonl, is that file.
func findFiles(in string) (root string, names []string, err error) {
	if in == "-" {
		return "", nil, nil
	}
	info, err := os.Stat(in)
	switch {
	case err == nil && !info.IsDir():
		return "", nil, nil
	case err == nil:
		root, names = in, []string{}
		err = filepath.WalkDir(in, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && isInput(path) {
				names = append(names, strings.TrimPrefix(path[len(in):], string(filepath.Separator)))
			}
			return err
		})
	case strings.ContainsAny(in, "*?["):
		root = filepath.Dir(in)
		var found []string
		found, err = filepath.Glob(in)
		for _, path := range found {
			if strings.ContainsAny(root, "*?[") {
				return "", nil, usageErrorf("input %s has a pattern in a folder's name; name the "+
					"folder itself, or a pattern of files", in)
			}
			if info, err := os.Stat(path); err == nil && !info.IsDir() && isInput(path) {
				names = append(names, filepath.Base(path))
			}
		}
	default:
		return "", nil, fmt.Errorf("input cannot be found: %w", err)
	}
	if err != nil {
		return "", nil, fmt.Errorf("input %s cannot be listed: %w", in, err)
	}
	if len(names) == 0 {
		return "", nil, fmt.Errorf("input %s has no files that end in .jsonl, .csv or .parquet "+
			"(or .gz, .zst behind it)", in)
	}
	slices.Sort(names)
	return root, names, nil
}

// isInput reports whether a file has a known format. Others in a folder are passed over,
// such as a README.
func isInput(path string) bool {
	format, _ := extension(path)
	return isLines(format) || isTable(format)
}

// isLines reports whether a format is JSON lines.
func isLines(format string) bool {
	return slices.Contains([]string{".jsonl", ".ndjson", ".json"}, format)
}

// isTable reports whether a format is a table.
func isTable(format string) bool {
	return slices.Contains([]string{".csv", ".tsv", ".parquet"}, format)
}

// outputName returns an input's name with the format's extension. The compression stays
// the same, but for Parquet, which has its own.
func outputName(name string, format Format) string {
	kind, packing := extension(name)
	if kind == ".parquet" {
		packing = ""
	}
	end := len(name)
	if packing != "" {
		end = strings.LastIndexByte(name, '.')
	}
	return strings.TrimSuffix(name[:end], filepath.Ext(name[:end])) + format.extension() + packing
}

// checkOutput refuses an output that is the input, or a folder.
func checkOutput(job Job, format Format) error {
	if job.Out == "-" {
		return nil
	}
	info, err := os.Stat(job.Out)
	if err != nil {
		return nil
	}
	if info.IsDir() {
		return usageErrorf("output %s is a folder; name a file, such as %s", job.Out,
			filepath.Join(job.Out, outputName(filepath.Base(job.In), format)))
	}
	if in, err := os.Stat(job.In); err == nil && os.SameFile(in, info) {
		return usageErrorf("output %s is the input; name another file", job.Out)
	}
	return nil
}

// sizeOf returns the size of a regular file; 0 for others.
func sizeOf(path string) int64 {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		return info.Size()
	}
	return 0
}

// Check opens the first input and closes it again, so that a missing column or a
// truncated file is reported before a model is loaded.
func Check(o Options, jobs []Job) error {
	if len(jobs) == 0 || jobs[0].In == "-" || o.Resume && jobs[0].finished() {
		return nil
	}
	r, err := openReader(jobs[0].In, o)
	if err == nil {
		err = r.close()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", jobs[0].In, err)
	}
	return nil
}

// openReader opens an input by its name. stdin and unknown extensions are JSON lines,
// unless columns are named.
func openReader(path string, o Options) (reader, error) {
	format, packing := extension(path)
	if isTable(format) && o.Table.Item == "" {
		return nil, usageErrorf("input is a table; name its columns with --item-column and " +
			"--query-column")
	}
	if format == ".parquet" {
		if packing != "" {
			return nil, errors.New("input is a packed Parquet file, which cannot be read in " +
				"pieces; unpack it")
		}
		return openParquet(path, o)
	}
	if isTable(format) || !isLines(format) && o.Table.Item != "" {
		return openCSV(path, format == ".tsv", o)
	}
	s, err := openSource(path, os.Stdin)
	if err != nil {
		return nil, err
	}
	return newLineReader(s, o), nil
}
