package score

import (
	"slices"
	"sync"

	"scored/score/plan"
)

// tables know which prefixes the KV cache of each device holds, and form steps from
// jobs. mu must be held while a step is formed or a table changes. A goroutine that
// needs queue.mu, too, locks mu first.
//
// A step is formed with mu alone, so that requests can come and go meanwhile.
type tables struct {
	mu       sync.Mutex
	planners []*plan.Planner // by device; each owns the device's prefix table
}

// found says how much of a new job's prefixes the tables hold.
type found struct {
	kept    []int // by group, then by device: how many tokens of the group's prefix it holds
	missing []int // by group: how many must still be computed; set by backlog.price
}

// lookUp looks for a new job's prefixes in all tables. It locks mu if there are any; the
// caller must hold neither lock.
func (t *tables) lookUp(j *job) found {
	n := len(t.planners)
	room := make([]int, len(j.Groups)*(n+1))
	f := found{missing: room[:len(j.Groups)], kept: room[len(j.Groups):]}
	if !slices.ContainsFunc(j.Groups, func(g *plan.Group) bool { return g.Shared > 0 }) {
		return f
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, g := range j.Groups {
		for d, planner := range t.planners {
			f.kept[i*n+d] = planner.Match(g)
		}
	}
	return f
}

// holder returns the index of the device that holds most of the group's prefix, or d if
// none holds more than d. mu must be held.
func (t *tables) holder(g *plan.Group, d int) int {
	if len(t.planners) < 2 || g == nil || g.Shared == 0 {
		return d
	}
	most := t.planners[d].Match(g)
	for other, planner := range t.planners {
		if n := planner.Match(g); n > most {
			d, most = other, n
		}
	}
	return d
}

// form forms a step of device d from the jobs: see plan.Planner.Next. mu must be held.
//
// If the planner panics, any of the jobs may be at fault. So form tries the first job
// alone. An error means that this panics, too, and that the first job is at fault.
// Otherwise the job at fault comes to stand first sooner or later, because a job that
// leads a step moves behind the others.
func (t *tables) form(d int, jobs []*job) (formed *plan.Formed, err error) {
	all := make([]*plan.Job, len(jobs))
	for i, j := range jobs {
		all[i] = j.Job
	}
	formed, err = t.tryForm(d, all)
	if err != nil && len(all) > 1 {
		formed, err = t.tryForm(d, all[:1])
	}
	return formed, err
}

// tryForm is form without a second try. A panic leaves the prefix table in an unknown
// state, so tryForm empties it. mu must be held.
func (t *tables) tryForm(d int, jobs []*plan.Job) (formed *plan.Formed, err error) {
	err = guard("step cannot be formed", func() error {
		formed = t.planners[d].Next(jobs)
		return nil
	})
	if err != nil {
		t.planners[d].Reset()
	}
	return formed, err
}

// release gives up the prefixes that ended jobs held. mu must be held.
func (t *tables) release(ended []*job) {
	for _, j := range ended {
		t.planners[j.device.index].Release(j.Job)
	}
}

// reset empties all tables and returns how many prefixes there were. mu must be held.
func (t *tables) reset() (dropped int) {
	for _, planner := range t.planners {
		dropped += planner.Reset()
	}
	return dropped
}
