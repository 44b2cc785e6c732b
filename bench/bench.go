// Package bench loads a Score API server, ours or any other that speaks the contract, with workloads whose prompts have an
// exact length, and reports what it saw. It knows nothing of the server but its URL.
package bench

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Options say what to send, how fast and for how long.
type Options struct {
	URL    string // of the server, e.g. http://localhost:30000
	APIKey string
	Model  string // the name in each request
	Labels []int

	Mix         []Share       // one or several workloads
	Prompts     Prompts       // what the prompts are made of
	Clients     int           // closed loop: so many send one request after the other
	Rate        float64       // open loop if > 0: requests a second, at the times of a Poisson process
	MaxInFlight int           // open loop: arrivals beyond so many unanswered ones are counted and not sent
	Warmup      time.Duration // not counted
	Duration    time.Duration
	Timeout     time.Duration // of one request
	CancelShare float64       // of the requests, given up by their client at a random time
	Seed        uint64
}

// Share is a workload's weight in a mix.
type Share struct {
	Workload Workload
	Weight   float64
}

// maxCancelDelay is the longest that a client which gives up has waited.
const maxCancelDelay = 200 * time.Millisecond

// Run sends load until the duration is over and every request is answered, or ctx ends.
func Run(ctx context.Context, o Options) (*Report, error) {
	if len(o.Mix) == 0 || o.Clients < 1 && o.Rate <= 0 {
		return nil, errors.New("load needs a workload, and clients or a rate")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = max(o.Clients, 1000)
	defer transport.CloseIdleConnections()
	r := &run{Options: o, client: &client{http: &http.Client{Transport: transport, Timeout: o.Timeout}, url: o.URL, key: o.APIKey}}
	if o.Warmup > 0 {
		r.load(ctx, o.Warmup)
		r.samples = nil
		r.notSent = 0
	}
	before := r.client.metrics(ctx)
	began := time.Now()
	r.load(ctx, o.Duration)
	took := time.Since(began)
	return newReport(o, r.samples, r.notSent, took, before, r.client.metrics(ctx)), ctx.Err()
}

// run is the state of one Run.
type run struct {
	Options
	client *client

	mu      sync.Mutex
	number  uint64 // of the next request
	samples []sample
	notSent int
}

// sample is one request and what became of it.
type sample struct {
	workload *Workload
	latency  time.Duration // open loop: from the time it was due, so that a stalled server cannot hide
	answer   answer
	err      error
	given    bool // given up on purpose
}

func (r *run) load(ctx context.Context, duration time.Duration) {
	if r.Rate > 0 {
		r.open(ctx, duration)
		return
	}
	end := time.Now().Add(duration)
	var clients sync.WaitGroup
	for range r.Clients {
		clients.Go(func() {
			for time.Now().Before(end) && ctx.Err() == nil {
				r.send(ctx, r.next(), time.Now())
			}
		})
	}
	clients.Wait()
}

// open sends at random times that do not depend on the answers.
func (r *run) open(ctx context.Context, duration time.Duration) {
	var requests sync.WaitGroup
	slots := make(chan struct{}, max(r.MaxInFlight, 1))
	gaps := rand.New(rand.NewPCG(r.Seed, 1))
	begin := time.Now()
	for due := begin; ; {
		due = due.Add(time.Duration(gaps.ExpFloat64() / r.Rate * float64(time.Second)))
		if due.Sub(begin) > duration {
			break
		}
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
			requests.Wait()
			return
		}
		n := r.next()
		select {
		case slots <- struct{}{}:
			requests.Go(func() {
				defer func() { <-slots }()
				r.send(ctx, n, due)
			})
		default:
			r.mu.Lock()
			r.notSent++
			r.mu.Unlock()
		}
	}
	requests.Wait()
}

func (r *run) next() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.number++
	return r.number
}

// send makes request n and keeps what became of it. Everything about the request follows from the seed and n.
func (r *run) send(ctx context.Context, n uint64, due time.Time) {
	random := rand.New(rand.NewPCG(r.Seed, n<<1))
	w := pick(r.Mix, random)
	req := r.Prompts.request(*w, n, r.Seed, random)
	req.Model, req.Labels, req.Softmax, req.Usage = r.Model, r.Labels, true, true
	s := sample{workload: w}
	if r.CancelShare > 0 && random.Float64() < r.CancelShare {
		s.given = true
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(random.Int64N(int64(maxCancelDelay))))
		defer cancel()
	}
	s.answer, s.err = r.client.score(ctx, req)
	s.latency = time.Since(due)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.samples = append(r.samples, s)
}

func pick(mix []Share, random *rand.Rand) *Workload {
	total := 0.0
	for _, s := range mix {
		total += s.Weight
	}
	at := random.Float64() * total
	for i := range mix {
		if at -= mix[i].Weight; at < 0 {
			return &mix[i].Workload
		}
	}
	return &mix[len(mix)-1].Workload
}
