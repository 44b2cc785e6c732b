package bench

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fake answers score requests with one row of halves per item, after change had its say.
type fake struct {
	mu       sync.Mutex
	queries  map[string]int
	requests atomic.Int64
	change   func(n int64, w http.ResponseWriter, rows [][]float64) ([][]float64, bool)
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/metrics" {
		n := f.requests.Load()
		fmt.Fprintf(w, "# HELP x y\nscored_tokens_total{kind=\"prompt\"} %d\nscored_tokens_total{kind=\"cached\"} %d\nscored_tokens_total{kind=\"computed\"} %d\n"+
			"scored_tokens_total{kind=\"padding\"} %d\nscored_steps_total{device=\"0\",result=\"ok\"} %d\nscored_steps_total{device=\"1\",result=\"ok\"} %d\n", 100*n, 25*n, 75*n, 25*n, n, n)
		return
	}
	var body struct {
		Query json.RawMessage
		Items []json.RawMessage
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	n := f.requests.Add(1)
	f.mu.Lock()
	f.queries[string(body.Query)]++
	f.mu.Unlock()
	rows := make([][]float64, len(body.Items))
	for i := range rows {
		rows[i] = []float64{0.5, 0.5}
	}
	if f.change != nil {
		var done bool
		if rows, done = f.change(n, w, rows); done {
			return
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"scores": rows, "usage": nil})
}

func serve(t *testing.T, change func(n int64, w http.ResponseWriter, rows [][]float64) ([][]float64, bool)) (*fake, Options) {
	f := &fake{queries: map[string]int{}, change: change}
	web := httptest.NewServer(f)
	t.Cleanup(web.Close)
	return f, Options{URL: web.URL, Model: "m", Labels: []int{1, 2}, Mix: []Share{{Workload{"x", 5, 3, 4, 1}, 1}}, Prompts: Prompts{Kind: Text},
		Clients: 2, Duration: 100 * time.Millisecond, Timeout: time.Minute, Seed: 1}
}

func TestClosedLoop(t *testing.T) {
	f, o := serve(t, nil)
	report, err := Run(t.Context(), o)
	if err != nil || report.Failed() || report.Requests == 0 || int64(report.Requests) != f.requests.Load() {
		t.Fatalf("report %+v, error %v, %d requests seen", report, err, f.requests.Load())
	}
	if len(f.queries) != report.Requests {
		t.Errorf("%d different queries in %d requests; each must be new", len(f.queries), report.Requests)
	}
	if want := float64(report.Requests*4) / report.Seconds; math.Abs(report.ItemsRate-want) > 1e-6 {
		t.Errorf("items/s %v, want %v", report.ItemsRate, want)
	}
	if want := float64(report.Requests*4*8) / report.Seconds; math.Abs(report.TokenRate-want) > 1e-6 {
		t.Errorf("tokens/s %v, want %v", report.TokenRate, want)
	}
	s := report.Server
	if s == nil || s.CachedShare != 0.25 || s.PaddingShare != 0.25 || s.Steps != float64(2*report.Requests) {
		t.Errorf("server figures %+v", s)
	}
}

func TestWarmQueries(t *testing.T) {
	f, o := serve(t, nil)
	o.Prompts.Warm = true
	if report, err := Run(t.Context(), o); err != nil || report.Requests <= warmQueries || len(f.queries) != warmQueries {
		t.Errorf("%d different queries, error %v, want %d", len(f.queries), err, warmQueries)
	}
}

// TestSameSeedSameLoad: requests depend on the seed and their number alone.
func TestSameSeedSameLoad(t *testing.T) {
	var seen [2]map[string]int
	for i := range seen {
		f, o := serve(t, nil)
		o.Mix = append(o.Mix, Share{Workload{"y", 2, 9, 1, 1}, 2})
		if _, err := Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		seen[i] = f.queries
	}
	common := 0
	for q := range seen[0] {
		common += seen[1][q]
	}
	if want := min(len(seen[0]), len(seen[1])); common < want-1 { // the last ones may not have been reached
		t.Errorf("%d of %d queries are the same with the same seed", common, want)
	}
}

// TestOpenLoop: arrivals do not wait for a stalled server, and their latency counts from when they were due.
func TestOpenLoop(t *testing.T) {
	release := make(chan struct{})
	f, o := serve(t, func(n int64, _ http.ResponseWriter, rows [][]float64) ([][]float64, bool) {
		<-release
		return rows, false
	})
	time.AfterFunc(600*time.Millisecond, func() { close(release) })
	o.Rate, o.MaxInFlight, o.Duration = 200, 30, 300*time.Millisecond
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if report.Requests != 30 || f.requests.Load() != 30 || report.NotSent == 0 {
		t.Errorf("report %+v: want the 30 that may be in flight, and the others counted as not sent", report)
	}
	if report.P50 < 300 {
		t.Errorf("median %v ms, want the stall of 600 ms to show", report.P50)
	}
}

// TestPoisson: the gaps of arrivals have the mean and the spread of an exponential distribution.
func TestPoisson(t *testing.T) {
	f, o := serve(t, nil)
	o.Rate, o.MaxInFlight, o.Duration = 1000, 1000, time.Second
	report, err := Run(t.Context(), o)
	if n := float64(f.requests.Load()); err != nil || math.Abs(n-1000) > 150 { // 4.7 standard deviations
		t.Errorf("%v requests in a second at a rate of 1000, report %+v, error %v", n, report, err)
	}
}

func TestWrongAnswersAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		change func(n int64, w http.ResponseWriter, rows [][]float64) ([][]float64, bool)
		want   string
	}{
		"a row is missing": {func(_ int64, _ http.ResponseWriter, rows [][]float64) ([][]float64, bool) { return rows[1:], false }, "wrong answer"},
		"a label is missing": {func(_ int64, _ http.ResponseWriter, rows [][]float64) ([][]float64, bool) {
			rows[0] = rows[0][1:]
			return rows, false
		}, "wrong answer"},
		"does not sum to one": {func(_ int64, _ http.ResponseWriter, rows [][]float64) ([][]float64, bool) {
			rows[2][0] = 0.6
			return rows, false
		}, "wrong answer"},
		"is not JSON": {func(_ int64, w http.ResponseWriter, _ [][]float64) ([][]float64, bool) {
			_, err := w.Write([]byte("{"))
			return nil, err == nil
		}, "wrong answer"},
		"is refused": {func(_ int64, w http.ResponseWriter, _ [][]float64) ([][]float64, bool) {
			w.WriteHeader(503)
			return nil, true
		}, "status 503"},
		"connection is dropped": {func(int64, http.ResponseWriter, [][]float64) ([][]float64, bool) { panic(http.ErrAbortHandler) }, "connection"},
	} {
		t.Run(name, func(t *testing.T) {
			_, o := serve(t, c.change)
			report, err := Run(t.Context(), o)
			if err != nil || !report.Failed() || report.Errors[c.want] == 0 || report.Requests != 0 {
				t.Errorf("report %+v, error %v; want %s", report, err, c.want)
			}
			var text strings.Builder
			if err := report.Write(&text); err != nil || !strings.Contains(text.String(), c.want) {
				t.Errorf("report says %s (%v)", text.String(), err)
			}
		})
	}
}

func TestGivenUp(t *testing.T) {
	_, o := serve(t, func(_ int64, _ http.ResponseWriter, rows [][]float64) ([][]float64, bool) {
		time.Sleep(5 * time.Millisecond)
		return rows, false
	})
	o.CancelShare = 1
	o.Duration = 500 * time.Millisecond
	if report, err := Run(t.Context(), o); err != nil || report.GivenUp == 0 || report.Failed() {
		t.Errorf("report %+v, error %v; want requests given up, which are no errors", report, err)
	}
}

// TestVerify finds a server whose items change each other's scores.
func TestVerify(t *testing.T) {
	_, o := serve(t, nil)
	if err := Verify(t.Context(), o, 2, 1e-4); err != nil {
		t.Error(err)
	}
	_, o = serve(t, func(_ int64, _ http.ResponseWriter, rows [][]float64) ([][]float64, bool) {
		for i := range rows {
			rows[i] = []float64{0.5 + float64(len(rows))/100, 0.5 - float64(len(rows))/100}
		}
		return rows, false
	})
	if err := Verify(t.Context(), o, 2, 1e-4); err == nil || !strings.Contains(err.Error(), "among others") {
		t.Errorf("error %v, want the contamination found", err)
	}
}

func TestPercentile(t *testing.T) {
	values := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for p, want := range map[float64]float64{50: 5, 90: 9, 95: 10, 99: 10, 100: 10, 1: 1} {
		if got := percentile(values, p); got != want {
			t.Errorf("percentile %v is %v, want %v", p, got, want)
		}
	}
	if percentile(nil, 50) != 0 || percentile(values[:1], 99) != 1 {
		t.Error("percentiles of none and of one")
	}
}

func TestMix(t *testing.T) {
	mix, err := ParseMix("w1=8,w3s")
	if err != nil || len(mix) != 2 || mix[0].Weight != 8 || mix[1].Workload.Items != 50 {
		t.Errorf("mix %+v, error %v", mix, err)
	}
	for _, text := range []string{"", "w9", "w1=0", "w1=x", "w1,,w2"} {
		if _, err := ParseMix(text); err == nil {
			t.Errorf("mix %q is taken", text)
		}
	}
}
