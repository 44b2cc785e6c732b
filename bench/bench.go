// Package bench loads any server of POST /v1/score over HTTP, checks every answer and
// measures how long it took. It sees only what a client sees, so it can load sglang-jax
// as well. It must not know other packages of scored.
//
// Begin with Run and Config.
package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// Config says where to send requests, which, and how many.
type Config struct {
	URL     string // of the server, without /v1/score
	APIKey  string // sent as `Bearer KEY`; "" sends none
	Model   string // named in requests
	Timeout time.Duration

	Mix     []Share
	Labels  []int // token ids
	Softmax bool

	Clients     int     // of a closed loop; 0 means the largest number that the mix's workloads name
	Rate        float64 // requests/s of an open loop with Poisson arrivals; 0 means a closed loop
	MaxInFlight int     // open loop: with so many unanswered, an arrival is counted and not sent
	CancelShare float64 // share of requests that are given up at a random time

	Warmup   time.Duration // the same load before the measurement
	Duration time.Duration // how long requests start; those in flight are then awaited
	Warm     bool          // queries repeat from a pool; otherwise every query is new
	Pool     int           // queries in the pool, for each workload
	Seed     uint64        // of prompts, arrivals and cancellations

	TokenIDs      bool // send token ids, of exact counts, instead of text
	RepeatedToken bool // send one token id repeatedly, as sglang's bench_score does
	Vocab         int  // token ids are 0..Vocab-1

	Verify    bool              // score some items alone, too, and compare
	Tolerance float64           // largest accepted difference of a score in that comparison
	Transport http.RoundTripper // nil: one that keeps a connection for each request in flight
}

// run is a benchmark in progress. Clients is not 0 in it.
type run struct {
	Config
	client *client
	// exemplar is copied for every author. Each copy has its own stream of random
	// numbers, numbered by streams, so that no two clients or phases write the same
	// prompts: a server's prefix cache would answer those for nothing.
	exemplar author
	streams  uint64
}

// Run warms the server up, measures, and reports. It returns an error only if no
// measurement was possible; faults of answers are in the report. If ctx ends, the
// report covers the time before, and requests in flight do not count.
func Run(ctx context.Context, c Config) (*Report, error) {
	r, err := newRun(ctx, c)
	if err != nil {
		return nil, err
	}
	defer r.client.http.CloseIdleConnections()
	report := &Report{Config: r.Config}
	if c.Verify {
		report.Isolation = r.verify(ctx)
	}
	if c.Warmup > 0 {
		r.load(ctx, c.Warmup)
	}
	before := r.client.scrape(ctx)
	began := time.Now()
	t := r.load(ctx, c.Duration)
	report.Seconds = time.Since(began).Seconds()
	report.fill(t, before, r.client.scrape(context.WithoutCancel(ctx)))
	return report, nil
}

// newRun checks that the server answers, and prepares the prompts. A connection is kept
// for each request that may be in flight, so that no measured request opens one.
func newRun(ctx context.Context, c Config) (*run, error) {
	transport := c.Transport
	if transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.MaxIdleConns, own.MaxIdleConnsPerHost = 0, max(c.Clients, c.MaxInFlight, 16)
		own.DisableCompression = true
		transport = own
	}
	if c.Clients == 0 {
		for _, share := range c.Mix {
			c.Clients = max(c.Clients, share.Clients, 1)
		}
	}
	r := &run{Config: c, client: &client{http: &http.Client{Transport: transport},
		base: strings.TrimSuffix(c.URL, "/"), key: c.APIKey,
		model: c.Model, labels: c.Labels, softmax: c.Softmax, timeout: c.Timeout}}
	r.exemplar = author{lexicon: newLexicon(wordList), ids: c.TokenIDs || c.RepeatedToken,
		vocab: c.Vocab, same: c.RepeatedToken, unitsPerToken: 1}
	if err := r.calibrate(ctx); err != nil {
		return nil, err
	}
	if c.Warm {
		pool := map[string][]any{}
		a := r.author()
		for _, share := range c.Mix {
			for range c.Pool {
				pool[share.Name] = append(pool[share.Name], a.query(share.Workload))
			}
		}
		r.exemplar.pool = pool
	}
	return r, nil
}

// calibrate sends one item, to check that the server answers. If the answer counts its
// tokens, calibrate sets how many words make a token of the server's model, so that texts
// have as many tokens as their workload says.
func (r *run) calibrate(ctx context.Context) error {
	const units = 256
	p := r.author().write(Workload{ItemTokens: units, Items: 1})
	a, failed := r.client.score(ctx, r.client.body(p), 1)
	if failed != nil {
		return fmt.Errorf("server at %s does not score a first request: %s: %w", r.client.base,
			failed.kind, failed.err)
	}
	if a.Usage != nil && a.Usage.Prompt > 0 && !r.exemplar.ids {
		r.exemplar.unitsPerToken = units / float64(a.Usage.Prompt)
	}
	return nil
}

// author returns a new author with its own random numbers. It must not be called
// concurrently.
func (r *run) author() *author {
	a := r.exemplar
	r.streams++
	a.random = rand.New(rand.NewPCG(r.Seed, r.streams))
	return &a
}

// pick returns the index in mix of the next request's workload.
func (a *author) pick(mix []Share) int {
	total := 0
	for _, share := range mix {
		total += share.Weight
	}
	n := a.random.IntN(total)
	for i, share := range mix {
		if n -= share.Weight; n < 0 {
			return i
		}
	}
	return len(mix) - 1
}
