// Package scoretest helps to test a Scorer and engines. Run checks the contract of an
// Engine: every engine should pass it. Fake is an engine without a device that knows
// what its KV cache holds, for tests of the code that gives it steps. The package must
// not know of models or devices.
package scoretest

import (
	"fmt"
	"hash/fnv"
	"slices"
	"sync"

	"scored/score/plan"
)

// Fake is an engine without a device. A row's answers depend only on its tokens and the
// labels, if the slots that it reads hold its prefix; otherwise they are wrong by 1000.
// So a test that knows a prompt knows its answer, see Logprob, and sees every mistake of
// the code that plans steps. A step that breaks a rule of the contract fails.
//
// The fields must be set before the first step. Fake is safe for concurrent use.
type Fake struct {
	Shapes    []plan.Bucket
	CacheSize int                         // pages; 0: as many as the largest context needs
	Fault     func(step *plan.Step) error // its error fails the step when it runs; nil: none fails
	Refuse    func(step *plan.Step) error // its error makes Run fail; nil: none fails
	Began     chan struct{}               // receives a value for every Run, if set
	Free      chan struct{}               // a step waits for a value from it before it runs, if set

	mu sync.Mutex
	// By slot: the hash of the prefix that ends there, see chain. A slot that was written
	// for another prefix has another hash, even if the last token is the same.
	holds map[int32]uint64
	steps []plan.Step
}

// Buckets returns a copy of Shapes.
func (e *Fake) Buckets() []plan.Bucket { return slices.Clone(e.Shapes) }

// Pages returns CacheSize, or as many pages as the largest context needs.
func (e *Fake) Pages() int {
	if e.CacheSize > 0 {
		return e.CacheSize
	}
	most := 0
	for _, b := range e.Shapes {
		most = max(most, b.Context)
	}
	return plan.PagesFor(most)
}

// Steps returns the steps given to Run so far.
func (e *Fake) Steps() []plan.Step {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.steps)
}

// Run checks the step. The step runs when Wait is called on the result.
func (e *Fake) Run(step *plan.Step) (plan.Pending, error) {
	if e.Began != nil {
		e.Began <- struct{}{}
	}
	e.mu.Lock()
	e.steps = append(e.steps, *step)
	e.mu.Unlock()
	if e.Refuse != nil {
		if err := e.Refuse(step); err != nil {
			return nil, err
		}
	}
	if !slices.Contains(e.Shapes, step.Bucket) {
		return nil, fmt.Errorf("bucket %+v is not one of the engine's", step.Bucket)
	}
	if step.Computed() == 0 {
		return nil, fmt.Errorf("step of bucket %+v computes nothing", step.Bucket)
	}
	if err := step.Check(e.Pages()); err != nil {
		return nil, err
	}
	return &pending{e, step}, nil
}

// pending is a step that has been checked and waits for its Wait.
type pending struct {
	engine *Fake
	step   *plan.Step
}

// Wait runs the step: it writes its prefixes to the cache and returns the answers of
// its rows.
func (p *pending) Wait() ([][]float32, error) {
	e := p.engine
	if e.Free != nil {
		<-e.Free
	}
	var err error
	if e.Fault != nil {
		err = e.Fault(p.step)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.holds == nil {
		e.holds = map[int32]uint64{}
	}
	for i := range p.step.Prefixes {
		e.write(&p.step.Prefixes[i], err != nil)
	}
	if err != nil {
		return nil, err
	}
	answers := make([][]float32, len(p.step.Rows))
	for i := range p.step.Rows {
		answers[i] = e.answer(p.step, &p.step.Rows[i])
	}
	return answers, nil
}

// write records the new tokens of a prefix in its last slots. After a failed step these
// slots hold nothing.
func (e *Fake) write(p *plan.Prefix, failed bool) {
	kept := len(p.Slots) - len(p.New)
	before := uint64(start)
	if kept > 0 {
		before = e.holds[p.Slots[kept-1]]
	}
	for i, id := range p.New {
		before = chain(before, id)
		e.holds[p.Slots[kept+i]] = before
		if failed {
			delete(e.holds, p.Slots[kept+i])
		}
	}
}

// answer returns the row's numbers. They are wrong if the slots that the row reads do
// not hold its prefix.
func (e *Fake) answer(step *plan.Step, row *plan.Row) (numbers []float32) {
	stands := uint64(start)
	right := true
	for i, id := range row.Tokens[:row.Shared] {
		stands = chain(stands, id)
		right = right && e.holds[step.Prefixes[row.Prefix].Slots[i]] == stands
	}
	read := func(tokens, labels []int32) {
		for _, label := range labels {
			number := Logprob(tokens, label)
			if !right {
				number -= 1000
			}
			numbers = append(numbers, number)
		}
	}
	for _, inner := range row.Inner {
		read(row.Tokens[:len(row.Tokens)-inner.Back], inner.Labels)
	}
	read(row.Tokens, row.Labels)
	return numbers
}

const start = 14695981039346656037 // offset basis of FNV-1a; chain has its prime

// chain returns the hash of a prefix: of the tokens before, and of the token id that
// ends it.
func chain(before uint64, id int32) uint64 {
	return (before ^ uint64(uint32(id)+1)) * 1099511628211
}

// Logprob returns the log-probability that Fake gives a label after a prompt: a number
// below 0 that depends on every token. Those of a vocabulary do not add up to 1.
func Logprob(prompt []int32, label int32) float32 {
	h := fnv.New32a()
	for _, id := range append(slices.Clone(prompt), label) {
		h.Write([]byte{byte(id), byte(id >> 8), byte(id >> 16)})
	}
	return -float32(h.Sum32()%100000)/10000 - 0.001
}
