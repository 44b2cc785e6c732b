package plan_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"scored/score/plan"
	"scored/score/scoretest"
)

// mixLadders are buckets of many kinds, of few, and such that do not go well together.
func mixLadders() [][]plan.Bucket {
	return [][]plan.Bucket{{
		{Tokens: 16, Rows: 1, Length: 16, Cost: 17}, {Tokens: 64, Rows: 4, Length: 64, Cost: 65},
		{Tokens: 64, Rows: 8, Length: 16, Context: 128, Cost: 70}, {Tokens: 128, Rows: 16, Length: 64, Context: 512, Cost: 150},
		{Tokens: 256, Rows: 16, Length: 64, Context: 512, Cost: 280}, {Tokens: 64, Rows: 4, Length: 64, Context: 1024, Cost: 130, Pair: 1e-3},
	}, {
		{Tokens: 64, Rows: 4, Length: 512, Context: 1024, Cost: 130}, // rows that are longer than a step
	}, {
		{Tokens: 1024, Rows: 8, Length: 1024, Cost: 900}, {Tokens: 64, Rows: 4, Length: 32, Context: 128, Cost: 80}, // short contexts
		{Tokens: 64, Rows: 1, Length: 64, Cost: 60},
	}}
}

// TestMixesOfRequests plays random mixes of requests on caches of all sizes, with steps
// that fail and jobs that end early. Every step keeps the contract, every row gets the
// answer that its prompt alone has, and all work comes to an end.
func TestMixesOfRequests(t *testing.T) {
	for seed := range uint64(15) {
		for _, pages := range []int{8, 9, 12, 40} {
			for n, buckets := range mixLadders() {
				t.Run(fmt.Sprintf("seed %d, %d pages, ladder %d", seed, pages, n), func(t *testing.T) { newMix(t, seed, pages, buckets).play() })
			}
		}
	}
}

// mix is jobs in their order, and the one device they run on.
type mix struct {
	*testing.T
	random  *rand.Rand
	ladder  *plan.Ladder
	planner *plan.Planner
	engine  *scoretest.Fake
	fail    bool
	sound   bool // no step fails
	jobs    []*plan.Job
	begun   map[*plan.Job]bool // a step had some of it: only such jobs are released
	sent    int
}

func newMix(t *testing.T, seed uint64, pages int, buckets []plan.Bucket) *mix {
	l, err := plan.NewLadder(buckets, 1024)
	if err != nil {
		t.Fatal(err)
	}
	m := &mix{T: t, begun: map[*plan.Job]bool{}, random: rand.New(rand.NewPCG(seed, 1)), ladder: l, planner: plan.NewPlanner(l, plan.NewTable(pages, pages*3/4))}
	m.engine = &scoretest.Fake{Shapes: buckets, CacheSize: pages, Fault: func(*plan.Step) error {
		if m.fail {
			return fmt.Errorf("injected")
		}
		return nil
	}}
	return m
}

func (m *mix) play() {
	for steps := 0; m.sent < 40 || len(m.jobs) > 0; steps++ {
		if steps > 3000 {
			m.Fatalf("%d jobs are not done after %d steps", len(m.jobs), steps)
		}
		if m.sent < 40 && (len(m.jobs) == 0 || m.random.IntN(3) == 0) {
			m.jobs = append(m.jobs, m.job())
			m.sent++
		}
		if n := m.random.IntN(40); n < len(m.jobs) {
			m.end(m.jobs[n])
		}
		if len(m.jobs) > 0 {
			m.step()
		}
	}
	if n := m.planner.Held(); n > 0 {
		m.Errorf("%d pages are held for nobody", n)
	}
}

// job is a request of some of a few queries, that begin alike, with a few items.
func (m *mix) job() *plan.Job {
	length := []int{20, 90, 150, 300, 700}[m.random.IntN(5)]
	query := make([]int32, length+m.random.IntN(20))
	like, other := m.random.IntN(len(query)), int32(m.random.IntN(3))
	for i := range query {
		query[i] = int32(i)
		if i >= like {
			query[i] += 10_000 * other
		}
	}
	p := plan.Prompts{Labels: []int32{3, 4}, Salt: []string{"", "", "a"}[m.random.IntN(3)], Reusable: len(query)}
	for range 1 + m.random.IntN(12) {
		prompt := append([]int32{}, query...)
		for k := range 1 + m.random.IntN(60) {
			prompt = append(prompt, int32(m.random.IntN(5)*1000+k))
		}
		p.Tokens = append(p.Tokens, prompt)
	}
	if m.random.IntN(3) == 0 {
		p.Inner = make([][]plan.Read, len(p.Tokens))
		for i, tokens := range p.Tokens {
			p.Inner[i] = m.places(len(tokens))
		}
	}
	return m.ladder.NewJob(p)
}

// places are some inside a prompt: now and then many.
func (m *mix) places(tokens int) (inner []plan.Read) {
	step := []int{1, 7, 60, 300}[m.random.IntN(4)]
	for back := m.random.IntN(tokens); back > 0; back -= 1 + m.random.IntN(step) {
		inner = append(inner, plan.Read{Back: back, Labels: []int32{5}})
	}
	return inner
}

// end takes a job out, and lets go of what it holds.
func (m *mix) end(job *plan.Job) {
	if m.begun[job] {
		m.planner.Release(job)
	}
	m.remove(job)
}

func (m *mix) remove(job *plan.Job) {
	for i, j := range m.jobs {
		if j == job {
			m.jobs = append(m.jobs[:i:i], m.jobs[i+1:]...)
			return
		}
	}
}

// step runs the next step and checks its answers.
func (m *mix) step() {
	m.fail = m.random.IntN(15) == 0 && !m.sound
	f := m.planner.Next(m.jobs)
	if err := m.planner.CheckTable(); err != nil {
		m.Fatal(err)
	}
	jobs := m.jobs
	if f.Step.Computed() == 0 {
		m.Fatal("a step computes nothing")
	}
	for _, take := range f.Takes {
		take.Group.Next += take.Count
		m.begun[jobs[take.Job]] = true
	}
	pending, err := m.engine.Run(f.Step)
	if err != nil {
		m.Fatal(err)
	}
	answers, err := pending.Wait()
	if err != nil {
		m.planner.Forget(f.ID)
		for _, take := range f.Takes {
			m.end(jobs[take.Job])
		}
		return
	}
	for i := range f.Step.Rows {
		row := &f.Step.Rows[i]
		wrong := func(number int, tokens []int32, label int32) {
			if want := scoretest.Logprob(tokens, label); answers[i][number] != want {
				m.Fatalf("row %d scores %v, want %v: its prefix is not where it reads it", i, answers[i][number], want)
			}
		}
		for k, inner := range row.Inner {
			wrong(k, row.Tokens[:len(row.Tokens)-inner.Back], 5)
		}
		wrong(row.Numbers()-1, row.Tokens, row.Labels[len(row.Labels)-1])
	}
	lead := jobs[f.Lead]
	for _, j := range jobs {
		if j.Pending() == nil {
			m.end(j)
		}
	}
	if lead.Pending() != nil {
		m.remove(lead)
		m.jobs = append(m.jobs, lead)
	}
}

// TestLargeJobGetsItsTurn: a job that needs nearly all of the cache is done, though jobs
// that hold some of it between their steps never cease to come.
func TestLargeJobGetsItsTurn(t *testing.T) {
	for seed := range uint64(6) {
		m := newMix(t, seed, 8, mixLadders()[0])
		m.sound = true
		large := m.alike(0, 900, 2)
		for steps := 0; large.Pending() != nil; steps++ {
			if steps > 500 {
				t.Fatalf("seed %d: it has not had its turn in %d steps", seed, steps)
			}
			for len(m.jobs) < 12 {
				m.jobs = append(m.jobs, m.alike(int32(1000*(1+m.sent)), 200, 10+m.random.IntN(50)))
				m.sent++
			}
			if steps == 1 {
				m.jobs = append(m.jobs, large)
			}
			m.step()
		}
	}
}

// alike is a job of items of 20 tokens after a query of tokens from first on.
func (m *mix) alike(first int32, query, items int) *plan.Job {
	p := plan.Prompts{Labels: []int32{3, 4}}
	for i := range items {
		prompt := make([]int32, query+20)
		for k := range prompt {
			prompt[k] = first + int32(k)
		}
		prompt[query] = int32(i)
		p.Tokens = append(p.Tokens, prompt)
	}
	return m.ladder.NewJob(p)
}
