package profile

import (
	"cmp"
	"slices"
	"strings"

	"scored/profile/internal/xplane"
)

// Lines in XLA's planes that show executables and ops.
const (
	modulesLine = "XLA Modules"
	opsLine     = "XLA Ops"
)

// repeatedLines show events of other lines again, or overlap them. They would count the
// same time twice. A GPU's plane has a line for each stream beside them.
var repeatedLines = []string{stepsLine, "Framework Name Scope", "Framework Ops", "Source code",
	"Launch Stats", "Async XLA Ops"}

// Stats of a GPU's kernels that name the executable and op they belong to.
const (
	statModule = "hlo_module"
	statOp     = "hlo_op"
)

// op is an event of a device's own tracer: an operation of a TPU, or a kernel or a copy
// of a GPU.
type op struct {
	plane  *xplane.XPlane
	event  *xplane.XEvent
	at     interval
	own    float64 // in ns, see ownTimes: the sum over all ops is the busy time
	nested bool    // it runs other ops, as a loop does
}

// addTracerPlane reads a plane in XLA's layout. A TPU's has a line of executables and one
// of ops; a GPU's has a line of kernels for each stream.
func (r *summarizer) addTracerPlane(plane *xplane.XPlane) {
	s := r.summary
	stats := plane.GetStats()
	if name := stringStat(plane, stats, statDevice); name != "" {
		s.device = name
	}
	s.roof = orDefault(s.roof, roof{
		flops: 1e12 * numberStat(plane, stats, "peak_teraflops_per_second"),
		bytes: 1e9 * numberStat(plane, stats, "peak_hbm_bw_gigabytes_per_second"),
	})
	has := func(name string) bool {
		return slices.ContainsFunc(plane.GetLines(),
			func(l *xplane.XLine) bool { return l.GetName() == name && len(l.GetEvents()) > 0 })
	}
	hasModules, hasOps, counted := has(modulesLine), has(opsLine), s.steps > 0
	var runs, all []op
	for _, line := range plane.GetLines() {
		switch name := line.GetName(); {
		case name == stepsLine && !counted:
			s.steps = max(s.steps, len(line.GetEvents()))
		case name == modulesLine:
			runs = append(runs, readOps(plane, line, r.clock)...)
		case name == opsLine || !hasOps && !slices.Contains(repeatedLines, name):
			all = append(all, readOps(plane, line, r.clock)...)
		}
	}
	shareTime(runs)
	shareTime(all)
	for _, o := range runs {
		r.modules.add(eventName(plane, o.event), plane, o.event, o.own)
	}
	if !hasModules {
		addModules(all, r.modules)
		runs = all
	}
	addOps(all, r.ops, r.kinds)
	executions := make([]interval, len(runs))
	for i, o := range runs {
		executions[i] = o.at
	}
	r.addDevice(executions)
}

// readOps reads the ops of a line, and finds those that run others. Only ops of one line
// can be nested: those of other streams run beside each other.
func readOps(plane *xplane.XPlane, line *xplane.XLine, clock clock) []op {
	list := make([]op, len(line.GetEvents()))
	for i, event := range line.GetEvents() {
		list[i] = op{plane: plane, event: event, at: clock.interval(line, event)}
	}
	shareTime(list)
	for i := range list {
		list[i].nested = list[i].own < list[i].at.length()
	}
	return list
}

// shareTime sets each op's own time among the ops of the list.
func shareTime(list []op) {
	times := make([]interval, len(list))
	for i, o := range list {
		times[i] = o.at
	}
	for i, own := range ownTimes(times) {
		list[i].own = own
	}
}

// addOps adds up ops by name and by kind. An op that runs others, such as a loop, counts
// with its own time; its cost is left out, because it is the sum of the others' costs.
func addOps(list []op, ops, kinds tally) {
	for _, o := range list {
		kind := o.text(statKind)
		if o.nested {
			ops.addTime(o.name(), o.own)
			kinds.addTime(kind, o.own)
			continue
		}
		ops.add(o.name(), o.plane, o.event, o.own)
		kinds.add(kind, o.plane, o.event, o.own)
	}
}

// addModules adds up executables by their kernels, for tracers that have no line of
// executables, as on a GPU. A run of an executable begins whenever the kernel comes
// that began its first run in the trace. Events that name no executable, such as
// copies, are left out.
func addModules(list []op, modules tally) {
	type run struct {
		first string
		time  float64
	}
	sorted := slices.Clone(list)
	slices.SortStableFunc(sorted, func(a, b op) int { return cmp.Compare(a.at.start, b.at.start) })
	open := map[string]*run{}
	for _, o := range sorted {
		module := o.text(statModule)
		if module == "" {
			continue
		}
		kernel := o.text(statOp) + " " + eventName(o.plane, o.event)
		r := open[module]
		if r == nil {
			r = &run{first: kernel}
			open[module] = r
		} else if r.first == kernel {
			modules.addTime(module, r.time)
			r.time = 0
		}
		r.time += o.own
	}
	for module, r := range open {
		modules.addTime(module, r.time)
	}
}

// name returns an op's name without the definition that XLA appends: "%fusion.1 =
// bf16[...] fusion(...)".
func (o op) name() string {
	name, _, _ := strings.Cut(eventName(o.plane, o.event), " = ")
	return strings.TrimPrefix(name, "%")
}

// text returns a stat of the op, or of its kind if the op has none.
func (o op) text(stat string) string {
	meta := o.plane.GetEventMetadata()[o.event.GetMetadataId()].GetStats()
	return cmp.Or(stringStat(o.plane, o.event.GetStats(), stat), stringStat(o.plane, meta, stat))
}
