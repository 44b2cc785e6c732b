package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"scored/pjrt"
)

// tinyOptions are a small model with generated weights on the CPU, at a free port.
func tinyOptions() Options {
	o := Defaults()
	o.ModelPath, o.LoadFormat, o.TokenizerPath = "../tests/models/tiny", "dummy", "../tests/tokenizer/small"
	o.Port, o.PluginDir, o.Offline = 0, "../.cache/plugins", true
	o.ContextLength, o.Buckets = 64, "64x4x64x0,64x4x64x64"
	return o
}

// lines is a log that may be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// take returns what has been written since the last call.
func (l *lines) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

// ready waits until /health is 200.
func ready(t *testing.T, address string, ended <-chan error) {
	t.Helper()
	for until := time.Now().Add(2 * time.Minute); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		select {
		case err := <-ended:
			t.Fatalf("it ended with %v", err)
		default:
		}
		if response, err := http.Get("http://" + address + "/health"); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
	}
	t.Fatal("it is not ready after two minutes")
}

// TestRun: an app in this process answers, stops when it is told to, and leaves nothing
// open.
func TestRun(t *testing.T) {
	var log lines
	o := tinyOptions()
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	o.EnableMetrics = true
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(func() Options { o.Port = a.Addr().(*net.TCPAddr).Port; return o }()); err == nil || !strings.Contains(err.Error(), "--port") {
		t.Errorf("a second app at the same address: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	ready(t, a.Addr().String(), ended)

	first, again := scores(t, a.Addr().String()), scores(t, a.Addr().String())
	if len(first) != 3 || !slices.EqualFunc(first, again, slices.Equal[[]float64]) {
		t.Fatalf("scores are %v, then %v; want the same three", first, again)
	}
	for _, item := range first {
		if len(item) != 2 || min(item[0], item[1]) <= 0 || math.Abs(item[0]+item[1]-1) > 1e-12 {
			t.Errorf("an item's labels have %v, want shares of 1", item)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("it stopped with %v", err)
	}
	if !strings.Contains(log.String(), "msg=stopped") || strings.Contains(log.String(), "does not close") {
		t.Errorf("the log says %s", log.String())
	}
	if conn, err := net.Dial("tcp", a.Addr().String()); err == nil {
		conn.Close()
		t.Error("its address still answers")
	}
}

func scores(t *testing.T, address string) [][]float64 {
	t.Helper()
	body := `{"query": "is it", "items": ["a", "b c", "a"], "label_token_ids": [1, 2], "apply_softmax": true, "model": "tiny"}`
	response, err := http.Post("http://"+address+"/v1/score", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	var answer struct{ Scores [][]float64 }
	if err = errors.Join(err, json.Unmarshal(text, &answer)); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v: %s", response.StatusCode, err, text)
	}
	return answer.Scores
}

// TestClose: an App that does not run gives its address back, and one that has run has
// done so itself.
func TestClose(t *testing.T) {
	o := tinyOptions()
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
	o.Port = a.Addr().(*net.TCPAddr).Port
	again, err := New(o)
	if err != nil {
		t.Fatalf("the address is not free: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := errors.Join(again.Run(ctx), again.Close()); err != nil {
		t.Error(err)
	}
}

// TestServerFailsWhileLoading: a start does not go on without the HTTP server that is to
// answer meanwhile.
func TestServerFailsWhileLoading(t *testing.T) {
	var log lines
	o := tinyOptions()
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	a, err := New(o)
	if err == nil {
		err = a.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	err = a.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "server stopped: ") || !errors.Is(err, net.ErrClosed) {
		t.Errorf("it ended with %v", err)
	}
	if strings.Contains(log.String(), "engines are ready") || strings.Contains(log.String(), "msg=stopped") {
		t.Errorf("the start went on: %s", log.String())
	}
}

// TestEnd: what was opened is closed, unless the device is lost.
func TestEnd(t *testing.T) {
	fault := errors.New("no weights")
	lost := &pjrt.Error{Code: pjrt.Internal, Message: "CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access"}
	for name, c := range map[string]struct {
		err          error
		closed, lost bool
	}{
		"well":          {nil, true, false},
		"another fault": {fault, true, false},
		"a lost device": {fmt.Errorf("weights do not load: %w", lost), false, true},
		"known as lost": {fmt.Errorf("step: %w", &LostError{Cause: lost}), false, true},
	} {
		start, closed := NewStart(checked(t, tinyOptions())), false
		start.OnClose("device", func() error { closed = true; return nil })
		err := start.End(c.err)
		if closed != c.closed || !errors.Is(err, c.err) || errors.As(err, new(*LostError)) != c.lost {
			t.Errorf("%s: closed %t with %v", name, closed, err)
		}
		if err := start.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestStartFails: what fails while the model is loaded ends Run with that fault, and
// the address is free again.
func TestStartFails(t *testing.T) {
	for name, set := range map[string]func(*Options){
		"no such tokenizer": func(o *Options) { o.TokenizerPath = "/no/such" },
		"no such plugin":    func(o *Options) { o.Plugin = "/no/such.so" },
		"no such keys":      func(o *Options) { o.APIKeyFile = "/no/such/keys" },
	} {
		t.Run(name, func(t *testing.T) {
			o := tinyOptions()
			set(&o)
			a, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := a.Run(ctx); err == nil || strings.Contains(err.Error(), "is closed") {
				t.Errorf("it ended with %v", err)
			}
			if conn, err := net.Dial("tcp", a.Addr().String()); err == nil {
				conn.Close()
				t.Error("its address still answers")
			}
		})
	}
}

// TestWrongOptions: what cannot work is a UsageError before the address is taken.
func TestWrongOptions(t *testing.T) {
	for want, set := range map[string]func(*Options){
		"--model-path":        func(o *Options) { o.ModelPath = "" },
		"--max-queue":         func(o *Options) { o.MaxQueue = 0 },
		"--watchdog-timeout":  func(o *Options) { o.Watchdog = -1 },
		"--attention-backend": func(o *Options) { o.Attention = "flash" },
		"--buckets":           func(o *Options) { o.Buckets = "64x4" },
		"--price":             func(o *Options) { o.Price = "/no/such" },
		"--template":          func(o *Options) { o.TemplateSystem = "be brief" },
		"--context-length":    func(o *Options) { o.ContextLength = 7 },
		"--plugin-dir":        func(o *Options) { o.PluginDir = "app_test.go" },
	} {
		o := tinyOptions()
		set(&o)
		var wrong UsageError
		if _, err := New(o); !errors.As(err, &wrong) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want a UsageError naming %s", err, want)
		}
	}
}

// TestLostErrorIsOneLine, for it is the last of a log.
func TestLostErrorIsOneLine(t *testing.T) {
	err := &LostError{Cause: fmt.Errorf("device is gone:\n%s", strings.Repeat("frame\n", 1000))}
	if text := err.Error(); strings.Contains(text, "\n") || len(text) > 800 || !strings.Contains(text, "start the server again") {
		t.Errorf("it says %q", text)
	}
}
