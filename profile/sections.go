package profile

import (
	"fmt"
	"slices"
	"strings"
)

// section is a part of a report: a table with a title. Its fields are exported for the
// template of the HTML page.
type section struct {
	Title string
	Head  []string // nil: the first column names the values
	Rows  [][]string
}

// topOps is how many ops are listed.
const topOps = 12

// sections returns the parts of the report for which the trace has data, with the given
// number of slowest requests.
func (s *summary) sections(slowest int) []section {
	all := []section{
		{Title: "trace of " + orDefault(s.host, "an unknown host"), Rows: s.overview()},
		{Title: "time per executable", Head: workHead("executable", "of busy"),
			Rows: s.workRows(s.executables(), len(s.executables()), s.busyTime)},
		{Title: "time per step shape, by the host's clock", Head: workHead("shape", "of length"),
			Rows: s.workRows(s.shapes(), len(s.shapes()), s.length())},
		{Title: "time per kind of op", Head: workHead("kind", "of busy"), Rows: s.kindRows()},
		{Title: "time per op", Head: workHead("op", "of busy"),
			Rows: s.workRows(s.ops, topOps, s.busyTime)},
		{Title: s.idleTitle(), Head: []string{"while", "time", "share", "longest", "gaps"},
			Rows: s.gapRows()},
		{Title: "slowest requests", Head: s.requestHead(), Rows: s.requestRows(slowest)},
	}
	return slices.DeleteFunc(all, func(sec section) bool { return len(sec.Rows) == 0 })
}

// overview lists the figures of the trace as a whole.
func (s *summary) overview() [][]string {
	rows := [][]string{
		{"device", s.deviceName()},
		{"length", duration(s.window.length())},
		{"steps", fmt.Sprint(s.steps)},
		{"requests", fmt.Sprint(len(s.requests))},
	}
	for _, f := range s.figures() {
		rows = append(rows, []string{f.name, f.show(f.value)})
	}
	if s.truncated {
		rows = append(rows, []string{"truncated",
			"yes: it lacks what came after its limits were reached"})
	}
	for _, warning := range s.warnings {
		rows = append(rows, []string{"warning", warning})
	}
	return rows
}

// deviceName returns the device's name and, if there are several, their number.
func (s *summary) deviceName() string {
	name := orDefault(s.device, "unknown")
	if s.devices > 1 {
		return fmt.Sprintf("%d of %s", s.devices, name)
	}
	return name
}

// figure is a number that can be compared between traces.
type figure struct {
	name  string
	value float64
	show  func(float64) string
}

// figures returns the figures for which the trace has data. compare finds the same
// figure of another trace by its name.
func (s *summary) figures() []figure {
	busy := s.busyTime
	list := []figure{{"device busy", ratio(busy, s.length()), percent}}
	if s.steps > 0 {
		list = append(list, figure{"time per step", busy / float64(s.steps), duration})
	}
	if s.tokens > 0 {
		list = append(list,
			figure{"padding, of tokens computed",
				ratio(float64(s.padding), float64(s.padding+s.tokens)), percent},
			figure{"cached, of prompt tokens", ratio(float64(s.cached), float64(s.cached+s.tokens)),
				percent},
			figure{"tokens computed per busy second", ratio(float64(s.tokens), busy/1e9), count})
	}
	list = append(list, s.speed(busy)...)
	if n := len(s.requests); n > 0 {
		list = append(list,
			figure{"median request", s.requests[n/2].span.length(), duration},
			figure{"slowest request", s.requests[0].span.length(), duration})
	}
	return list
}

// speed returns the device's rate while it was busy, and which part that is of its
// roofline, if the cost of its work is known. The roofline is the sum over all work of
// the shortest time that peak and bandwidth allow.
func (s *summary) speed(busy float64) []figure {
	flops, bound := 0.0, 0.0
	for _, w := range s.costed() {
		least, _ := s.roof.bound(w.flops, w.bytes)
		flops, bound = flops+w.flops, bound+least
	}
	var list []figure
	if flops > 0 && busy > 0 {
		list = append(list, figure{"achieved while busy", flops / busy / 1e3,
			func(v float64) string { return teraflops(v) + " TFLOP/s" }})
		if bound > 0 {
			list = append(list, figure{"of the device's roofline", bound / busy, percent})
		}
	}
	return list
}

// length returns the time in which the devices could have been busy: the trace's length
// times their number.
func (s *summary) length() float64 { return s.window.length() * float64(s.devices) }

// workHead returns the head of a table of workRows. what is the kind of work, and share
// the whole that shares are of.
func workHead(what, share string) []string {
	return []string{what, "runs", "total", share, "mean", "longest", "TFLOP/s", "roofline"}
}

// workRows lists the first limit entries of the work. Shares are of whole, which is in
// nanoseconds. Rate and roofline stay empty where the cost is not known.
func (s *summary) workRows(list []*work, limit int, whole float64) [][]string {
	var rows [][]string
	for _, w := range list[:min(limit, len(list))] {
		row := []string{w.name, fmt.Sprint(w.runs), duration(w.time), percent(ratio(w.time, whole)),
			duration(w.time / float64(w.runs)), duration(w.longest), "", ""}
		if w.flops > 0 && w.time > 0 {
			row[6] = teraflops(w.flops / w.time / 1e3)
		}
		if bound, memory := s.roof.bound(w.flops, w.bytes); bound > 0 && w.time > 0 {
			row[7] = percent(bound/w.time) + " of arithmetic"
			if memory {
				row[7] = percent(bound/w.time) + " of memory"
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// idleTitle is the title of the gaps. With several devices, a gap is time when none was
// busy.
func (s *summary) idleTitle() string {
	if s.devices > 1 {
		return "all devices idle"
	}
	return "device idle"
}

// kindRows lists the kinds of ops. It returns nil if the tracer names no kinds.
func (s *summary) kindRows() [][]string {
	if len(s.kinds) == 0 || len(s.kinds) == 1 && s.kinds[0].name == "" {
		return nil
	}
	rows := s.workRows(s.kinds, len(s.kinds), s.busyTime)
	for _, row := range rows {
		row[0] = orDefault(row[0], "(none)")
	}
	return rows
}

// gapRows lists the causes of idle time, with shares of the whole window.
func (s *summary) gapRows() [][]string {
	var rows [][]string
	for _, g := range s.gaps() {
		rows = append(rows, []string{g.cause, duration(g.time),
			percent(ratio(g.time, s.window.length())), duration(g.longest), fmt.Sprint(g.count)})
	}
	return rows
}

// requestHead returns the head of requestRows: a column for each stage.
func (s *summary) requestHead() []string {
	head := []string{"request", "total"}
	for _, stage := range requestStages {
		head = append(head, string(stage))
	}
	return head
}

// requestRows lists the slowest requests with the time of each stage.
func (s *summary) requestRows(limit int) [][]string {
	var rows [][]string
	for _, r := range s.requests[:min(max(limit, 0), len(s.requests))] {
		row := []string{r.id, duration(r.span.length())}
		for _, stage := range requestStages {
			row = append(row, duration(r.stages[string(stage)]))
		}
		rows = append(rows, row)
	}
	return rows
}

// compare lists the figures of two traces side by side. Figures that only the trace
// before has are left out.
func compare(before, after *summary) section {
	sec := section{Title: "comparison", Head: []string{"", "against", "this trace", "change"}}
	old := map[string]figure{}
	for _, f := range before.figures() {
		old[f.name] = f
	}
	for _, f := range after.figures() {
		row := []string{f.name, "", f.show(f.value), ""}
		if was, ok := old[f.name]; ok {
			row[1] = was.show(was.value)
			if was.value != 0 {
				row[3] = fmt.Sprintf("%+.1f %%", 100*(f.value/was.value-1))
			}
		}
		sec.Rows = append(sec.Rows, row)
	}
	return sec
}

// ratio returns part/whole; 0 if whole is not positive.
func ratio(part, whole float64) float64 {
	if whole <= 0 {
		return 0
	}
	return part / whole
}

// percent formats a share, where 1 is the whole.
func percent(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }

// count formats a number without a unit.
func count(v float64) string { return fmt.Sprintf("%.0f", v) }

// teraflops formats a rate in TFLOP/s. A CPU's is a small fraction of 1.
func teraflops(v float64) string {
	if v < 1 {
		return fmt.Sprintf("%.4f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// duration formats nanoseconds with three or four digits.
func duration(ns float64) string {
	switch {
	case ns == 0:
		return "0"
	case ns < 1e3:
		return fmt.Sprintf("%.0f ns", ns)
	case ns < 1e6:
		return fmt.Sprintf("%.1f us", ns/1e3)
	case ns < 1e9:
		return fmt.Sprintf("%.2f ms", ns/1e6)
	default:
		return fmt.Sprintf("%.2f s", ns/1e9)
	}
}

// oneLine replaces control characters and shortens a name to 72 characters. Names come
// from clients and compilers, and could break a table.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	const longest = 72
	if runes := []rune(s); len(runes) > longest {
		return string(runes[:longest-3]) + "..."
	}
	return s
}
