// Command sample writes one trace of a made-up load below the folder that it is given,
// for check.py to read. A second argument names a serialized XSpace, which stands for the
// trace of the device's own tracer.
package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"scored/profile"
	"scored/score"
)

const steps = 24

func main() {
	dir, err := filepath.Abs(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	config := profile.Config{
		DefaultDir: dir,
		Cost: func(b score.Bucket) (float64, float64) {
			return 880.8e6 * float64(b.Tokens),
				1.19e9
		},
	}
	if len(os.Args) > 2 {
		space, err := os.ReadFile(os.Args[2])
		if err != nil {
			log.Fatal(err)
		}
		config.Device, config.DeviceName = tracer(space), "TPU v6 lite"
	}
	profiler := profile.New(config)
	limit := int64(steps)
	if err := profiler.Start(profile.Options{NumSteps: &limit}); err != nil {
		log.Fatal(err)
	}
	load(profiler)
	if err := profiler.Stop(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(profiler.Status().Dir)
}

// tracer is a tracer whose trace is these bytes.
type tracer []byte

func (tracer) Start(int, int) error    { return nil }
func (t tracer) Stop() ([]byte, error) { return t, nil }

// load observes steps of 5 ms with pauses of 1 ms, each for one request; two requests
// are always in flight.
func load(o score.Observer) {
	at := time.Now()
	for n := range int64(steps) {
		id, size := fmt.Sprintf("request-%d", n+1), 256<<(n%3)
		arrived, started, ended := at, at.Add(6*time.Millisecond), at.Add(11*time.Millisecond)
		span := func(stage score.Stage, start, end time.Time) {
			o.Observe(score.Span{Stage: stage, RequestID: id, Start: start, End: end, Rows: 10,
				Tokens: size - 20})
		}
		span(score.StageRead, arrived, arrived.Add(time.Millisecond))
		span(score.StageEncode, arrived.Add(time.Millisecond), arrived.Add(2*time.Millisecond))
		span(score.StageWait, arrived.Add(2*time.Millisecond), started)
		span(score.StageRun, started, ended)
		span(score.StageReply, ended, ended.Add(time.Millisecond/2))
		o.Observe(score.Span{Stage: score.StageStep, Number: n + 1, Start: started, End: ended,
			Rows: 10, Tokens: size - 20, Cached: 100,
			Bucket: score.Bucket{Tokens: size, Rows: 16, Length: 64, Context: 128}, Requests: []string{id}})
		at = at.Add(6 * time.Millisecond)
	}
}
