package profile

import (
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"scored/target"
)

// ReportOptions configure a report.
type ReportOptions struct {
	Against string // folder of another trace to compare with; "" means none
	Device  string // device for the roofline, e.g. "v6e" or "h100"; "" means the trace's own
	Slowest int    // how many requests to list; 0 means 5
	HTML    bool   // write a page instead of text
}

// AgainstError is an error of the trace that ReportOptions.Against names.
type AgainstError struct{ Err error }

// Error implements error.
func (e AgainstError) Error() string { return e.Err.Error() }

// Unwrap returns the fault.
func (e AgainstError) Unwrap() error { return e.Err }

// Report writes a summary of the newest trace below dir: how busy the device was and
// with what, the cost of padding, why the device was idle, how near it came to its
// roofline, and the slowest requests. dir may also be a trace's own folder or an
// .xplane.pb. Any profiler that writes XLA's format may have made the trace. Parts for
// which the trace has no data are left out. A fault of the trace to compare with is an
// AgainstError.
func Report(dir string, w io.Writer, opts ReportOptions) error {
	opts.Slowest = orDefault(opts.Slowest, 5)
	traces, err := load(dir, opts.Device)
	if err != nil {
		return err
	}
	var sections []section
	for _, s := range traces {
		sections = append(sections, s.sections(opts.Slowest)...)
	}
	if opts.Against != "" {
		others, err := load(opts.Against, opts.Device)
		if err != nil {
			return AgainstError{err}
		}
		sections = append([]section{compare(others[0], traces[0])}, sections...)
	}
	if opts.HTML {
		return writeHTML(w, sections)
	}
	return writeText(w, sections)
}

// load summarizes the newest trace below path, one summary for each host. device names
// the device whose peak the roofline is taken from; "" means the one in the trace.
func load(path, device string) ([]*summary, error) {
	files, err := newestTrace(path)
	if err != nil {
		return nil, err
	}
	var summaries []*summary
	for _, file := range files {
		space, err := readSpace(file)
		if err != nil {
			return nil, err
		}
		s := summarize(space)
		s.host = orDefault(s.host, strings.TrimSuffix(filepath.Base(file), traceSuffix))
		known, ok := findRoof(orDefault(device, s.device))
		if device != "" && !ok {
			return nil, fmt.Errorf("device %q is not known: use one of %s", device,
				strings.Join(target.MeasuredNames(), ", "))
		}
		if device != "" {
			s.device, s.roof = device, known
		}
		s.roof = orDefault(s.roof, known) // the trace's own figures have priority
		summaries = append(summaries, s)
	}
	return summaries, nil
}

const traceSuffix = ".xplane.pb"

// newestTrace lists the files of the newest trace below path, one for each host. A
// trace's folder is named by its time, in a form whose order is that of time, so the
// greatest name is the newest. path may also be a trace's folder or one file.
func newestTrace(path string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasSuffix(file, traceSuffix) {
			files = append(files, file)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("folder %s has no trace: it should hold a file named *%s", path,
			traceSuffix)
	}
	stampOf := func(file string) string { return filepath.Base(filepath.Dir(file)) }
	newest := slices.MaxFunc(files, func(a, b string) int {
		return strings.Compare(stampOf(a), stampOf(b))
	})
	return slices.DeleteFunc(files, func(file string) bool {
		return filepath.Dir(file) != filepath.Dir(newest)
	}), nil
}
