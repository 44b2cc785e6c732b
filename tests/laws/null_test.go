package laws

import (
	"time"

	"scored/score"
	"scored/score/scoretest"
)

// nullEngine computes nothing: a step takes its predicted time. A device that queues
// steps runs them one after the other, and Run returns at once.
type nullEngine struct {
	buckets []score.Bucket
	pages   int
	queues  bool
	free    time.Time // when the device will have run all its steps
}

func (e *nullEngine) Buckets() []score.Bucket { return e.buckets }
func (e *nullEngine) Pages() int              { return e.pages }

func (e *nullEngine) Run(step *score.Step) (score.Pending, error) {
	answers := make([][]float32, len(step.Rows))
	for i := range step.Rows {
		answers[i] = make([]float32, step.Rows[i].Numbers())
	}
	if !e.queues {
		time.Sleep(step.Cost())
		return scoretest.Done(answers), nil
	}
	if now := time.Now(); e.free.Before(now) {
		e.free = now
	}
	e.free = e.free.Add(step.Cost())
	return queued{answers, e.free}, nil
}

// queued is a step that will be done at a given time.
type queued struct {
	answers [][]float32
	end     time.Time
}

func (q queued) Wait() ([][]float32, error) {
	time.Sleep(time.Until(q.end))
	return q.answers, nil
}
