package batch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// Patient is a Scorer that repeats a body that may still be answered: after errors that
// do not wrap ErrStop, and when the server is full, loading or shutting down. If a body
// is refused in every try, but other bodies are answered meanwhile, the refusal is its
// answer. If nothing is answered, the error wraps ErrStop and the run ends; it can be
// resumed.
type Patient struct {
	Scorer
	Tries int           // for each body, at least 1
	Pause time.Duration // after the first try; it doubles with each further try, up to LongestPause

	answered atomic.Int64 // bodies that got an answer
}

// LongestPause is the longest pause between two tries, unless the server asks for more.
const LongestPause = 30 * time.Second

// Score implements Scorer. It may take Tries times LongestPause.
func (p *Patient) Score(ctx context.Context, r *Request) (*Answer, error) {
	pause := p.Pause
	before := p.answered.Load()
	for try := 1; ; try++ {
		answer, err := p.Scorer.Score(ctx, r)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, ErrStop):
			return nil, err
		case err == nil && !busy(answer):
			p.answered.Add(1)
			return answer, nil
		}
		if try >= p.Tries {
			return p.giveUp(answer, err, before)
		}
		wait := pause
		if err == nil {
			wait = max(wait, answer.RetryAfter)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, context.Cause(ctx)
		}
		pause = min(2*pause, LongestPause)
	}
}

// giveUp returns the refusal as the body's answer if other bodies have been answered
// meanwhile.
func (p *Patient) giveUp(answer *Answer, err error, before int64) (*Answer, error) {
	if err == nil && p.answered.Load() > before {
		return answer, nil
	}
	if err == nil {
		err = errors.New(messageOf(answer))
	}
	return nil, fmt.Errorf("%w: no answer after %d tries: %w; go on with --resume when the server "+
		"is well", ErrStop, p.Tries, err)
}

// busy reports whether a later try may get another answer.
func busy(a *Answer) bool {
	switch a.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout:
		return !a.Final
	}
	return false
}
