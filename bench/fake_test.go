package bench

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeServer answers the Score API over no network, so that synctest's clock rules its
// time. Fields are set before use.
type fakeServer struct {
	latency func(n int) time.Duration              // of the n-th request from 0, which calibrates; nil is 0
	answer  func(http.ResponseWriter, fakeRequest) // nil answers evenly
	metrics func() string                          // nil is 404

	mu       sync.Mutex
	arrivals []time.Time
	requests []fakeRequest
	flying   int
	most     int // in flight at once
}

type fakeRequest struct {
	Query   any
	Items   []any
	Labels  []int `json:"label_token_ids"`
	Model   string
	Softmax bool `json:"apply_softmax"`
	Usage   bool
	key     string
}

// RoundTrip implements http.RoundTripper.
func (s *fakeServer) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

func (s *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/metrics" && s.metrics != nil {
		_, _ = w.Write([]byte(s.metrics()))
		return
	}
	request := fakeRequest{key: r.Header.Get("Authorization")}
	if r.URL.Path != "/v1/score" || json.NewDecoder(r.Body).Decode(&request) != nil {
		http.NotFound(w, r)
		return
	}
	n := s.arrive(request)
	defer s.leave()
	if s.latency != nil {
		timer := time.NewTimer(s.latency(n))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
	}
	if s.answer != nil {
		s.answer(w, request)
		return
	}
	even(w, request)
}

// arrive gives how many requests came before.
func (s *fakeServer) arrive(request fakeRequest) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrivals, s.requests = append(s.arrivals, time.Now()), append(s.requests, request)
	s.flying++
	s.most = max(s.most, s.flying)
	return len(s.requests) - 1
}

func (s *fakeServer) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flying--
}

// even gives every label the same score, and no usage.
func even(w http.ResponseWriter, r fakeRequest) {
	row := slices.Repeat([]float64{1 / float64(len(r.Labels))}, len(r.Labels))
	writeScores(w, slices.Repeat([][]float64{row}, len(r.Items)), nil)
}

func writeScores(w http.ResponseWriter, scores [][]float64, usage any) {
	_ = json.NewEncoder(w).Encode(map[string]any{"scores": scores, "usage": usage, "object": "scoring"})
}

// wordUsage answers evenly and tells two tokens for every word or full stop.
func wordUsage(w http.ResponseWriter, r fakeRequest) {
	units := func(text any) int { return len(strings.Fields(strings.ReplaceAll(text.(string), ".", " ."))) }
	tokens := 0
	for _, item := range r.Items {
		tokens += 2 * (units(r.Query) + units(item))
	}
	writeScores(w, slices.Repeat([][]float64{{0.5, 0.5}}, len(r.Items)), map[string]int{"prompt_tokens": tokens, "cached_tokens": 0})
}

// against is a config that loads s.
func against(t *testing.T, s *fakeServer, mix string) Config {
	t.Helper()
	shares, err := ParseMix(mix)
	if err != nil {
		t.Fatal(err)
	}
	return Config{URL: "http://fake/", Model: "m", Timeout: time.Minute, Mix: shares, Labels: []int{9454, 2753}, Softmax: true, MaxInFlight: 1 << 20,
		Duration: 10 * time.Second, Pool: 4, Seed: 1, Vocab: 1000, Tolerance: 1e-4, Transport: s}
}

func mustRun(t *testing.T, c Config) *Report {
	t.Helper()
	report, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func after(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }
