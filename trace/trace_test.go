package trace

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"scored/score"
)

// receiver is an OTLP collector that keeps what it gets.
type receiver struct {
	*httptest.Server
	hold chan struct{} // answers wait until it is closed; nil: no wait

	mu       sync.Mutex
	spans    []*otlp.Span
	services []string
}

func newReceiver(t *testing.T, hold chan struct{}) *receiver {
	c := &receiver{hold: hold}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.hold != nil {
			<-c.hold
		}
		body, err := io.ReadAll(r.Body)
		var export collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &export)
		}
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("export to %s as %s: %v", r.URL.Path, r.Header.Get("Content-Type"), err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, resource := range export.ResourceSpans {
			for _, a := range resource.Resource.Attributes {
				if a.Key == "service.name" {
					c.services = append(c.services, a.Value.GetStringValue())
				}
			}
			for _, scope := range resource.ScopeSpans {
				c.spans = append(c.spans, scope.Spans...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

// trees groups the spans received: the names of a root's children in order of start, by
// the root's request id.
func (c *receiver) trees(t *testing.T) map[string][]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.SortStableFunc(c.spans, func(a, b *otlp.Span) int { return int(int64(a.StartTimeUnixNano) - int64(b.StartTimeUnixNano)) })
	trees := map[string][]string{}
	for _, root := range c.spans {
		if len(root.ParentSpanId) > 0 {
			continue
		}
		if root.Name != "score" || root.Kind != otlp.Span_SPAN_KIND_SERVER {
			t.Errorf("root is %s %s; want a server span", root.Name, root.Kind)
		}
		names := []string{}
		for _, span := range c.spans {
			if string(span.ParentSpanId) == string(root.SpanId) && string(span.TraceId) == string(root.TraceId) {
				names = append(names, span.Name)
			}
		}
		trees[valueOf(root, "scored.request_id").GetStringValue()] = names
	}
	return trees
}

func TestStagesBecomeOneTrace(t *testing.T) {
	c := newReceiver(t, nil)
	e, err := New(c.URL, "scorer-under-test")
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	failure := errors.New("step failed")
	answered := errors.New("answered with status 500")
	tell(e, "answered", begin, nil, score.StageRead, score.StageEncode, score.StageWait, score.StageRun, score.StageReply)
	tell(e, "failed", begin, nil, score.StageRead, score.StageEncode)
	tell(e, "failed", begin.Add(2*time.Second), failure, score.StageWait, score.StageRun)
	tell(e, "failed", begin.Add(4*time.Second), answered, score.StageReply)
	tell(e, "malformed", begin, nil, score.StageRead)
	e.Observe(score.Span{Stage: score.StageStep, Number: 1, Start: begin, End: begin, Requests: []string{"answered"}})
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	want := map[string][]string{
		"answered":  {"read", "encode", "wait", "run", "reply"},
		"failed":    {"read", "encode", "wait", "run", "reply"},
		"malformed": {"read"},
	}
	got := c.trees(t)
	for id, stages := range want {
		if !slices.Equal(got[id], stages) {
			t.Errorf("request %s has stages %v; want %v", id, got[id], stages)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d traces %v; want %d", len(got), got, len(want))
	}
	if len(c.services) == 0 || c.services[0] != "scorer-under-test" {
		t.Errorf("service.name is %q", c.services)
	}
	for _, span := range c.spans {
		id, failed := valueOf(span, "scored.request_id").GetStringValue(), span.Status.GetCode() == otlp.Status_STATUS_CODE_ERROR
		switch {
		case id == "answered":
			if took := span.EndTimeUnixNano - span.StartTimeUnixNano; span.StartTimeUnixNano != uint64(begin.UnixNano()) || took != uint64(5*time.Second) {
				t.Errorf("root begins at %d and takes %d ns; want the request's own times", span.StartTimeUnixNano, took)
			}
			if failed {
				t.Error("answered request is marked as failed")
			}
		case id == "failed" && len(span.ParentSpanId) == 0:
			if !failed || span.Status.Message != failure.Error() {
				t.Errorf("failed request has status %v; want that of its first failure", span.Status)
			}
		case id == "failed":
			if begun := span.Name == "read" || span.Name == "encode"; failed == begun {
				t.Errorf("stage %s of the failed request has status %v", span.Name, span.Status)
			}
		case span.Name == "encode":
			if rows, tokens, cached := number(span, "scored.rows"), number(span, "scored.tokens"), number(span, "scored.cached_tokens"); rows != 3 || tokens != 60 || cached != 40 {
				t.Errorf("encode has %d rows, %d tokens, %d cached; want 3, 60, 40", rows, tokens, cached)
			}
		}
	}
}

// TestStuckCollectorHoldsNothingUp observes far more than the SDK's queue holds while the
// collector answers nobody.
func TestStuckCollectorHoldsNothingUp(t *testing.T) {
	hold := make(chan struct{})
	c := newReceiver(t, hold)
	e, err := New(c.URL, "scored")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5000 { // would never end if Observe waited, as only the last line lets the collector go
		tell(e, strconv.Itoa(i), time.Now(), nil, score.StageRead, score.StageReply)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := e.Close(ctx); err == nil {
		t.Error("Close has sent everything to a collector that takes nothing")
	}
	close(hold)
}

func TestNewRefusesEndpoints(t *testing.T) {
	for _, endpoint := range []string{"", "localhost:4318", "collector", "grpc://collector:4317", "http://", "http://a b"} {
		if _, err := New(endpoint, "scored"); err == nil {
			t.Errorf("endpoint %q is taken", endpoint)
		}
	}
}

// tell observes stages that follow each other, a second each.
func tell(o score.Observer, id string, begin time.Time, err error, stages ...score.Stage) {
	for _, stage := range stages {
		end := begin.Add(time.Second)
		o.Observe(score.Span{Stage: stage, RequestID: id, Start: begin, End: end, Rows: 3, Tokens: 60, Cached: 40, Err: err})
		begin = end
	}
}

func valueOf(span *otlp.Span, key string) *common.AnyValue {
	for _, a := range span.Attributes {
		if a.Key == key {
			return a.Value
		}
	}
	return nil
}

func number(span *otlp.Span, key string) int64 { return valueOf(span, key).GetIntValue() }
