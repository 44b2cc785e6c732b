package laws

import (
	"slices"
	"time"

	"scored/model"
	"scored/score"
)

// nullEngine computes nothing: it takes the time that a step's cost stands for, and keeps prefixes as model.Engine does.
type nullEngine struct {
	buckets []score.Bucket
	perKept int64 // bytes that a prefix keeps per token of its size
	limit   int64
	kept    []*score.Prefix // least recently used first
}

// newNullEngine stands for a model with these buckets and a prefix cache of 1 GiB.
func newNullEngine(cfg model.Config, buckets []score.Bucket) *nullEngine {
	return &nullEngine{buckets: buckets, perKept: int64(2 * cfg.Layers * cfg.KVHeads * cfg.HeadDim * 2), limit: 1 << 30}
}

func (e *nullEngine) Buckets() []score.Bucket { return e.buckets }

func (e *nullEngine) Match(prompt []int32, size int) (best *score.Prefix, most int) {
	for _, prefix := range slices.Backward(e.kept) {
		if prefix.Size > size {
			continue
		}
		n := 0
		for n < len(prompt) && n < len(prefix.Tokens) && prompt[n] == prefix.Tokens[n] {
			n++
		}
		if n > most {
			best, most = prefix, n
		}
	}
	return best, most
}

func (e *nullEngine) Flush() int {
	n := len(e.kept)
	e.kept = nil
	return n
}

func (e *nullEngine) Run(step *score.Step) ([][]float32, error) {
	time.Sleep(step.Bucket.Cost)
	if base := slices.Index(e.kept, step.Base); base >= 0 {
		e.kept = slices.Delete(e.kept, base, base+1)
		if step.New == 0 || step.Kept < len(step.Base.Tokens) {
			e.kept = append(e.kept, step.Base)
		}
	}
	if step.New > 0 {
		e.kept = append(e.kept, step.Prefix)
		for len(e.kept) > 1 && e.bytes() > e.limit {
			e.kept = e.kept[1:]
		}
	}
	answers := make([][]float32, len(step.Rows))
	for i, row := range step.Rows {
		answers[i] = make([]float32, len(row.Labels))
	}
	return answers, nil
}

func (e *nullEngine) bytes() (n int64) {
	for _, prefix := range e.kept {
		n += int64(prefix.Size) * e.perKept
	}
	return n
}
