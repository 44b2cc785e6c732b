package bench

import (
	"context"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestClosedLoop: with a known latency everything follows from the number of clients.
func TestClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &fakeServer{latency: after(125 * time.Millisecond)}
		c := against(t, server, "w2")
		c.Clients, c.Warmup = 4, time.Second
		report := mustRun(t, c)
		if want := (Latency{Requests: 320, P50: 125, P95: 125, P99: 125, Max: 125}); report.Latency != want {
			t.Errorf("latency is %+v, want %+v", report.Latency, want)
		}
		if report.Seconds != 10 || report.ItemsPerSecond != 320 || report.PromptTokensPerSecond != 96_000 || report.ComputedTokensPerSecond != 61_440 {
			t.Errorf("measured %v s, %v items/s, %v and %v tokens/s; want 10, 320, 96000 and 61440", report.Seconds, report.ItemsPerSecond,
				report.PromptTokensPerSecond, report.ComputedTokensPerSecond)
		}
		if server.most != 4 || len(server.requests) != 1+32+320 {
			t.Errorf("server saw %d at once and %d in all, want 4 and 353 with calibration and warm-up", server.most, len(server.requests))
		}
		if err := report.Err(); err != nil {
			t.Error(err)
		}
	})
}

// TestOpenLoopArrivals: gaps are exponential, so their mean and their deviation are both
// 1/rate.
func TestOpenLoopArrivals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &fakeServer{latency: after(time.Second)} // 50 in flight, and no arrival waits for them
		c := against(t, server, "w1")
		c.Rate, c.Duration, c.TokenIDs = 50, 200*time.Second, true
		report := mustRun(t, c)
		var sum, squares float64
		arrivals := server.arrivals[1:] // but the calibration
		for i := range arrivals[1:] {
			gap := arrivals[i+1].Sub(arrivals[i]).Seconds()
			sum, squares = sum+gap, squares+gap*gap
		}
		n := float64(len(arrivals) - 1)
		mean := sum / n
		deviation := math.Sqrt(squares/n - mean*mean)
		if math.Abs(mean-0.02) > 0.0006 || math.Abs(deviation-0.02) > 0.001 {
			t.Errorf("gaps have mean %v s and deviation %v s over %v of them, want 0.02 for both", mean, deviation, n)
		}
		if report.Latency.P50 != 1000 || report.Latency.Max != 1000 || report.LagMS != 0 || report.Answered != len(arrivals) {
			t.Errorf("latency is %+v with lag %v ms, want 1000 ms of %d", report.Latency, report.LagMS, len(arrivals))
		}
	})
}

// TestCoordinatedOmission: a server that stalls from second 5 to 15 of a load still gets
// all arrivals, and each one's waiting counts in full. A loop that waited for answers
// would report one slow request.
func TestCoordinatedOmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		stalled := func(int) time.Duration {
			since := time.Since(began)
			if since < 5*time.Second || since > 15*time.Second {
				return 0
			}
			return 15*time.Second - since
		}
		server := &fakeServer{latency: stalled}
		c := against(t, server, "w1c")
		c.Rate, c.Duration = 10, 20*time.Second
		report := mustRun(t, c)
		var longest time.Duration
		inStall := 0
		for _, arrival := range server.arrivals {
			if wait := began.Add(15 * time.Second).Sub(arrival); wait >= 0 && wait <= 10*time.Second {
				longest = max(longest, wait)
				inStall++
			}
		}
		if inStall < 70 || report.Answered < 150 {
			t.Errorf("%d of %d arrivals came during the stall, want about 100 of 200", inStall, report.Answered)
		}
		if got, want := report.Latency.Max, float64(longest)/1e6; math.Abs(got-want) > 1e-9 {
			t.Errorf("largest latency is %v ms, want %v", got, want)
		}
		if report.Latency.P95 < 8000 {
			t.Errorf("p95 is %v ms; half of the arrivals waited 5 s on average", report.Latency.P95)
		}
	})
}

// TestLateSending: what is sent after its time has waited since that time.
func TestLateSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := newRun(t.Context(), against(t, &fakeServer{latency: after(time.Second)}, "w1"))
		if err != nil {
			t.Fatal(err)
		}
		counts := &tally{mix: r.Mix}
		r.request(t.Context(), r.next(r.author()), time.Now().Add(-3*time.Second), counts)
		if got := counts.latencies[0]; len(got) != 1 || got[0] != 4*time.Second {
			t.Errorf("latencies are %v, want 4 s", got)
		}
	})
}

// TestMaxInFlight: arrivals over the bound are counted, and those sent time out.
func TestMaxInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &fakeServer{latency: func(n int) time.Duration { return time.Duration(n) * time.Hour }} // all but the calibration
		c := against(t, server, "w1")
		c.Rate, c.MaxInFlight, c.Timeout = 100, 10, 6*time.Second
		report := mustRun(t, c)
		if server.most != 10 || report.Failures[kindTimeout].Count != 20 {
			t.Errorf("%d at once and %d timed out, want 10 at once, at second 0 and 6", server.most, report.Failures[kindTimeout].Count)
		}
		if report.NotSent < 800 || report.Answered != 0 {
			t.Errorf("%d not sent and %d answered, want most of 1000 and none", report.NotSent, report.Answered)
		}
		for _, want := range []string{"20 requests failed with timeout", "arrivals were not sent", "no request was answered"} {
			if err := report.Err(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error is %v, want %q in it", err, want)
			}
		}
	})
}

// TestCancelShare: a quarter is given up, at times spread over a latency, and that is no
// error.
func TestCancelShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &fakeServer{latency: after(time.Second)}
		c := against(t, server, "w1=1,w2=1")
		c.Clients, c.CancelShare, c.Duration = 10, 0.25, 100*time.Second
		report := mustRun(t, c)
		share := float64(report.Cancelled) / float64(report.Cancelled+report.Answered)
		if math.Abs(share-0.25) > 0.04 {
			t.Errorf("%v of requests were cancelled, want 0.25", share)
		}
		if report.Err() != nil || report.Latency.P50 != 1000 || report.Latency.Max != 1000 {
			t.Errorf("error %v and latency %+v; want none and 1000 ms", report.Err(), report.Latency)
		}
		if report.Workloads["w1"].Requests+report.Workloads["w2"].Requests != report.Answered || report.Workloads["w1"].Requests == 0 {
			t.Errorf("workloads are %+v of %d answered", report.Workloads, report.Answered)
		}
	})
}

// TestInterrupted: the end of the context ends the load at once and is no error of the
// server.
func TestInterrupted(t *testing.T) {
	for name, rate := range map[string]float64{"closed": 0, "open": 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := against(t, &fakeServer{latency: after(time.Second)}, "w1")
				c.Rate = rate
				ctx, cancel := context.WithTimeout(t.Context(), 6500*time.Millisecond) // the first second calibrates
				defer cancel()
				report, err := Run(ctx, c)
				if err != nil {
					t.Fatal(err)
				}
				if report.Seconds != 5.5 || report.Err() != nil || report.Answered < 3 {
					t.Errorf("%v s, %d answered, error %v; want 5.5 s of answers", report.Seconds, report.Answered, report.Err())
				}
			})
		})
	}
}
