package model

import (
	"errors"
	"maps"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"scored/score/plan"
)

// readCounter is a backend that counts reads from its device. execute and read, unless
// nil, decide which executions and reads fail. Buffers are read by their own methods, so
// all that come from the backend are wrapped, and unwrapped when they go back to it.
type readCounter struct {
	compute.Backend
	reads   int
	execute func(program string) error // nil: nothing fails
	read    func() error
}

func (c *readCounter) failed(program string) error {
	if c.execute == nil {
		return nil
	}
	return c.execute(program)
}

func (c *readCounter) readOf(read func() error) error {
	c.reads++
	if c.read != nil {
		if err := c.read(); err != nil {
			return err
		}
	}
	return read()
}

type (
	countedBuffer struct {
		compute.Buffer
		counter *readCounter
	}
	countedBuilder struct {
		compute.Builder
		counter *readCounter
		name    string
	}
	countedExecutable struct {
		compute.Executable
		counter *readCounter
		name    string
	}
)

func (c *readCounter) wrap(buffer compute.Buffer) compute.Buffer { return countedBuffer{buffer, c} }

func (c *readCounter) BufferFromFlatData(device compute.DeviceNum, flat any, shape shapes.Shape) (compute.Buffer, error) {
	buffer, err := c.Backend.BufferFromFlatData(device, flat, shape)
	return c.wrap(buffer), err
}

func (c *readCounter) NewSharedBuffer(device compute.DeviceNum, shape shapes.Shape) (compute.Buffer, any, error) {
	buffer, flat, err := c.Backend.NewSharedBuffer(device, shape)
	return c.wrap(buffer), flat, err
}

func (c *readCounter) Builder(name string) compute.Builder {
	return countedBuilder{c.Backend.Builder(name), c, name}
}

func (b countedBuilder) Compile() (compute.Executable, error) {
	executable, err := b.Builder.Compile()
	return countedExecutable{executable, b.counter, b.name}, err
}

func (e countedExecutable) Execute(inputs []compute.Buffer, donate []bool, device compute.DeviceNum) ([]compute.Buffer, error) {
	if err := e.counter.failed(e.name); err != nil {
		return nil, err
	}
	inner := make([]compute.Buffer, len(inputs))
	for i, buffer := range inputs {
		inner[i] = buffer.(countedBuffer).Buffer
	}
	outputs, err := e.Executable.Execute(inner, donate, device)
	for i, buffer := range outputs {
		outputs[i] = e.counter.wrap(buffer)
	}
	return outputs, err
}

func (b countedBuffer) Backend() compute.Backend { return b.counter }

func (b countedBuffer) ToFlatData(flat any) error {
	return b.counter.readOf(func() error { return b.Buffer.ToFlatData(flat) })
}

func (b countedBuffer) Data() (flat any, err error) {
	err = b.counter.readOf(func() error {
		flat, err = b.Buffer.Data()
		return err
	})
	return flat, err
}

// TestWaitIsForTheDevice: every step reads an array that it computed last, even without
// a row or a label: on a device that queues executions, only reading waits for them.
func TestWaitIsForTheDevice(t *testing.T) {
	backend := &readCounter{Backend: pureGo(t)}
	e := newTestEngine(t, backend, smallConfig(), tinyBuckets())
	for name, step := range map[string]*plan.Step{
		"a part of a prefix": {Bucket: tinyBuckets()[2], Prefixes: []plan.Prefix{{Slots: slots(0, 20), New: testTokens(1, 20)}}},
		"a row":              {Bucket: tinyBuckets()[0], Rows: []plan.Row{{Tokens: testTokens(1, 3), Labels: []int32{1}}}},
		"a row of no label":  {Bucket: tinyBuckets()[0], Rows: []plan.Row{{Tokens: testTokens(1, 3)}}},
	} {
		backend.reads = 0
		run(t, e, step)
		if backend.reads == 0 {
			t.Errorf("%s: nothing is read, so nothing waits for the device", name)
		}
	}
}

// TestFailedStepLosesTheCache: if a layer fails, when it is queued or when numbers are
// read, the cache is lost. One step reports it for all steps on that cache, and the next
// step works on a new one. If an output head fails, the cache is not lost, and nothing
// is left on the device.
func TestFailedStepLosesTheCache(t *testing.T) {
	backend := &readCounter{Backend: pureGo(t)}
	e := newTestEngine(t, backend, smallConfig(), tinyBuckets())
	query := testTokens(1, 20)
	step := func() *plan.Step {
		return &plan.Step{Bucket: tinyBuckets()[2], Prefixes: []plan.Prefix{{Slots: slots(7, 20), New: query}}, Rows: rowsOn(0, 20, prompts(query, 2))}
	}
	alone := &plan.Step{Bucket: tinyBuckets()[0], Rows: rowsOn(0, 0, prompts(query, 1))}
	want := run(t, e, step())
	fault := errors.New("a fault")
	layer := shapeOf(tinyBuckets()[2]).name(1)

	for _, c := range []struct {
		name  string
		at    string // the program that fails
		step  *plan.Step
		fresh bool // the cache is lost
	}{{"layer", layer, step(), true}, {"heads", outputHead{8, true}.name(), step(), false}, {"embedding", embedName(64), step(), false}, {"a layer without context", shapeOf(tinyBuckets()[0]).name(1), alone, false}} {
		backend.execute = func(program string) error {
			if program == c.at {
				return fault
			}
			return nil
		}
		if _, err := answersOf(e, c.step); !errors.Is(err, fault) || errors.Is(err, plan.ErrCache) != c.fresh {
			t.Errorf("%s fails: error %v, want the cache lost: %t", c.name, err, c.fresh)
		}
		backend.execute = nil
		closeTo(t, "after a failure of "+c.name, run(t, e, step()), want)
	}

	first, err := e.Run(step())
	if err != nil {
		t.Fatal(err)
	}
	second, err := e.Run(step()) // queued before anybody knows
	if err != nil {
		t.Fatal(err)
	}
	backend.read = func() error { return fault }
	if _, err := first.Wait(); !errors.Is(err, fault) || !errors.Is(err, plan.ErrCache) {
		t.Errorf("nothing can be read: %v, want a lost cache", err)
	}
	backend.read = nil
	third, err := e.Run(step()) // on a fresh cache
	if err != nil {
		t.Fatal(err)
	}
	backend.read = func() error { return fault }
	if _, err := second.Wait(); !errors.Is(err, fault) || errors.Is(err, plan.ErrCache) {
		t.Errorf("nothing can be read of a step on the cache that is known to be lost: %v", err)
	}
	backend.read = nil
	got, err := third.Wait()
	if err != nil {
		t.Fatal(err)
	}
	closeTo(t, "on a fresh cache", got, want)
	kept := step()
	kept.Prefixes[0].New = nil
	closeTo(t, "kept in it", run(t, e, kept), want)
}

// TestErrorsHaveTheirMeaning: errors of Run and Wait wrap those of package plan, for a
// device that is lost or has no memory left.
func TestErrorsHaveTheirMeaning(t *testing.T) {
	backend := &readCounter{Backend: pureGo(t)}
	full, gone := errors.New("full"), errors.New("gone")
	e := optionsEngine(t, backend, smallConfig(), Options{DType: dtypes.Float32, Buckets: tinyBuckets(),
		OutOfMemory: func(err error) bool { return errors.Is(err, full) }, Lost: func(err error) bool { return errors.Is(err, gone) }})
	step := &plan.Step{Bucket: tinyBuckets()[0], Rows: rowsOn(0, 0, prompts(testTokens(1, 3), 1))}
	for _, c := range []struct{ fault, want error }{{full, plan.ErrMemory}, {gone, plan.ErrLost}} {
		backend.execute = func(string) error { return c.fault }
		if _, err := answersOf(e, step); !errors.Is(err, c.want) {
			t.Errorf("error of Run is %v, want %v", err, c.want)
		}
		backend.execute = nil
		p, err := e.Run(step)
		if err != nil {
			t.Fatal(err)
		}
		backend.read = func() error { return c.fault }
		if _, err := p.Wait(); !errors.Is(err, c.want) {
			t.Errorf("error of Wait is %v, want %v", err, c.want)
		}
		backend.read = nil
	}
}

// TestPages: there are as many pages as the bytes allow, at least enough for the largest
// context, and none if no bucket has a context.
func TestPages(t *testing.T) {
	n := decoder{Config: smallConfig(), products: dtypes.Float32}
	page := int64(n.Layers) * int64(plan.PageTokens*n.KVHeads*2*n.HeadDim*4)
	context := []plan.Bucket{{Tokens: 8, Rows: 1, Length: 8}, {Tokens: 8, Rows: 1, Length: 8, Context: 300}}
	for _, c := range []struct {
		bytes   int64
		buckets []plan.Bucket
		want    int
	}{{0, context, 3}, {10*page + 1, context, 10}, {10 * page, context[:1], 0}} {
		if got := newCacheLayout(n, c.bytes, c.buckets, scatter{}).pages; got != c.want {
			t.Errorf("%d bytes for %d buckets: %d pages, want %d", c.bytes, len(c.buckets), got, c.want)
		}
	}
}

// TestWindows: tokens go to their slots, page by page, wherever those are.
func TestWindows(t *testing.T) {
	const spare = 1000
	for _, keep := range [][]int32{
		{}, {spare, spare}, {5, 6, 7, spare}, {126, 127, 128, 129}, {spare, 300, 301, 9, 8, 7, spare, 128}, {255, 256, 0, 1, 127, spare},
	} {
		got := map[int32]int32{}
		lines, count := windowsOf(keep, spare)
		for i := range count {
			line := lines[i*windowWidth:][:windowWidth]
			for row, token := range line[:plan.PageTokens] {
				if token != keeps {
					got[line[plan.PageTokens]+int32(row)] = token
				}
			}
		}
		want := map[int32]int32{}
		for t, slot := range keep {
			if slot != spare {
				want[slot] = int32(t)
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("slots %v are written by tokens %v, want %v", keep, got, want)
		}
	}
}
