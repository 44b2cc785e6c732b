package score

import (
	"slices"
	"time"

	"scored/score/plan"
)

// flight is a step in flight: formed, and its answers not yet handed out. device.loop
// writes pending and err before it sends the flight to device.settleAll.
type flight struct {
	*plan.Formed
	jobs    []*job // the jobs of Formed.Takes, in the same order
	lead    *job
	number  int64 // of the step, counted over all devices
	use     stepUse
	start   time.Time
	pending Pending
	err     error // returned by Run
	spoiled error // why the answers mean nothing though the step ran; queue.mu must be held
	// again says that the step is to run once more, with nothing else queued: the
	// device had no memory for it, or a prefix that it reads was missing. It is set at
	// most once, with queue.mu held.
	again   bool
	settled chan struct{} // closed when its answers have been handed out
}

// early is how long after a step's begin the next one is formed: three quarters of its
// predicted duration.
func (f *flight) early() time.Duration { return f.Step.Cost() * 3 / 4 }

// span describes the step, which began to run at start and ends now. Requests holds the
// ids of the requests with rows in it, each once.
func (f *flight) span(device int, start time.Time, err error) Span {
	s := Span{Stage: StageStep, Number: f.number, Device: device, Start: start, End: time.Now(),
		Bucket: f.Step.Bucket,
		Rows:   len(f.Step.Rows), Tokens: f.Step.Computed(), Predicted: f.Step.Cost(), Err: err}
	listed := make(map[*job]bool, len(f.jobs)) // a job may have several groups in a step
	for i, take := range f.Takes {
		s.Cached += take.Count*take.Shared - take.New
		if j := f.jobs[i]; take.Count > 0 && !listed[j] {
			listed[j] = true
			s.Requests = append(s.Requests, j.id)
		}
	}
	return s
}

// flights are a device's steps in flight, in the order in which they run. The first one
// runs now, or is about to. queue.mu must be held.
type flights []*flight

// mostFlights is how many steps an engine has at a time: one that runs and one queued
// behind it.
const mostFlights = 2

// again returns the step that the device must run again next. It returns nil if there
// is none, or if other steps must end first.
func (fs flights) again() *flight {
	if len(fs) == 0 || slices.ContainsFunc(fs, func(f *flight) bool { return !f.again }) {
		return nil
	}
	return fs[0]
}

// behind returns the steps queued behind f.
func (fs flights) behind(f *flight) flights { return fs[slices.Index(fs, f)+1:] }

// remove takes a step out that has been settled.
func (fs *flights) remove(f *flight) {
	*fs = slices.DeleteFunc(*fs, func(other *flight) bool { return other == f })
}

// left predicts the time until all these steps are done, by their price. running times
// the first.
func (fs flights) left(running *stopwatch) (left time.Duration) {
	for _, f := range fs {
		left += f.Step.Cost()
	}
	if took, runs := running.running(); runs && len(fs) > 0 {
		left -= min(took, fs[0].Step.Cost())
	}
	return left
}

// reads reports whether step reads slots of the cache that writer was to write.
func reads(step, writer *Step) bool {
	cached := func(p *Prefix) []int32 { return p.Slots[:len(p.Slots)-len(p.New)] }
	return writesAny(writer, step, cached)
}

// overwrites reports whether step writes slots of the cache that other has in its
// prefixes.
func overwrites(step, other *Step) bool {
	return writesAny(step, other, func(p *Prefix) []int32 { return p.Slots })
}

// writesAny reports whether writer writes any of the slots that slots selects from
// other's prefixes.
func writesAny(writer, other *Step, slots func(*Prefix) []int32) bool {
	written := map[int32]bool{}
	for _, p := range writer.Prefixes {
		for _, slot := range p.Slots[len(p.Slots)-len(p.New):] {
			written[slot] = true
		}
	}
	for i := range other.Prefixes {
		for _, slot := range slots(&other.Prefixes[i]) {
			if written[slot] {
				return true
			}
		}
	}
	return false
}

// readsCache reports whether a step reads anything that earlier steps wrote.
func readsCache(step *Step) bool {
	for _, p := range step.Prefixes {
		if len(p.Slots) > len(p.New) {
			return true
		}
	}
	return false
}
