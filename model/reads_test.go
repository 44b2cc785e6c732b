package model

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"

	"scored/score"
)

// readCounter is a backend that counts what is read from its device. Buffers are read by their own methods, so all that
// come from the backend are wrapped, and unwrapped where they go back to it.
type readCounter struct {
	compute.Backend
	reads int
}

type (
	countedBuffer struct {
		compute.Buffer
		counter *readCounter
	}
	countedBuilder struct {
		compute.Builder
		counter *readCounter
	}
	countedExecutable struct {
		compute.Executable
		counter *readCounter
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
	return countedBuilder{c.Backend.Builder(name), c}
}

func (b countedBuilder) Compile() (compute.Executable, error) {
	executable, err := b.Builder.Compile()
	return countedExecutable{executable, b.counter}, err
}

func (e countedExecutable) Execute(inputs []compute.Buffer, donate []bool, device compute.DeviceNum) ([]compute.Buffer, error) {
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
	b.counter.reads++
	return b.Buffer.ToFlatData(flat)
}

func (b countedBuffer) Data() (any, error) {
	b.counter.reads++
	return b.Buffer.Data()
}

// TestRunWaitsForTheDevice: every step reads something of what it computed last, as that is what waits for the device
// where executions are queued; a step without a row or a label too.
func TestRunWaitsForTheDevice(t *testing.T) {
	backend := &readCounter{Backend: pureGo(t)}
	e := newTestEngine(t, backend, smallConfig(), tinyBuckets())
	for name, step := range map[string]*score.Step{
		"a slice of a prefix": {Bucket: tinyBuckets()[2], Prefix: &score.Prefix{Tokens: testTokens(1, 20), Size: tinyBuckets()[2].Prefix}, New: 20},
		"a row":               {Bucket: tinyBuckets()[0], Rows: []*score.Row{{Tokens: testTokens(1, 3), Labels: []int32{1}}}},
		"a row of no label":   {Bucket: tinyBuckets()[0], Rows: []*score.Row{{Tokens: testTokens(1, 3)}}},
	} {
		backend.reads = 0
		if _, err := e.Run(step); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if backend.reads == 0 {
			t.Errorf("%s: nothing is read, so nothing waits for the device", name)
		}
	}
}
