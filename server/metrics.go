package server

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"scored/score"
)

// Metrics counts spans and answers. It implements score.Observer and, for Prometheus,
// http.Handler. A nil *Metrics counts nothing. It is safe for concurrent use.
//
// Names follow https://prometheus.io/docs/practices/naming/: the prefix scored_, base
// units, and _total for counters. Dashboards and alerts rely on them.
type Metrics struct {
	registry *prometheus.Registry
	handler  http.Handler

	// Of answers, which accessLog and scoring count.
	requests  *prometheus.CounterVec // by status
	seconds   prometheus.Histogram
	dialects  *prometheus.CounterVec // by dialect
	refused   *prometheus.CounterVec // by reason
	notFinite prometheus.Counter

	// Of requests, from their spans.
	stages                    *prometheus.HistogramVec // by stage
	cancelled, cancelledItems prometheus.Counter
	items                     prometheus.Counter
	tokens                    *prometheus.CounterVec // by kind; some are of steps

	// Of steps, from their spans.
	steps                                *prometheus.CounterVec // by device and result
	stepSeconds, stepPredicted, stepRows prometheus.Histogram

	backlog *backlog // read when scraped
}

// Device is the state of a device's plugin. Compiles and CacheHits count from the start
// of the process; Buffers are those alive.
type Device struct {
	Compiles, CacheHits, Buffers int64
}

// NewMetrics returns the metrics of one server. All series exist from the start, at
// zero: an alert on a rate misses the first event of a series that did not exist before.
func NewMetrics(version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	seconds := prometheus.ExponentialBuckets(0.001, 2, 18) // 1 ms to 131 s
	m.requests = m.counters("requests_total",
		"Answers by HTTP status, probes and scrapes left out.", "code", answerCodes()...)
	m.dialects = m.counters("dialect_requests_total",
		"Requests for scores by dialect; unknown is a body of no known shape.", "dialect",
		dialectNames()...)
	m.refused = m.counters("rejected_requests_total", "Requests not scored, by reason.", "reason",
		"overloaded", "unavailable", "deadline")
	m.notFinite = m.counter("not_finite_total",
		"Items without a score because the model produced NaN or infinity.")
	m.cancelled = m.counter("cancelled_requests_total",
		"Requests whose client left, or whose time was up, before they were scored.")
	m.cancelledItems = m.counter("cancelled_items_total",
		"Items of those requests that were dropped before a step took them.")
	m.seconds = m.histogram("request_seconds",
		"Time from a request's first byte to its answer, probes and scrapes left out.", seconds)
	m.stages = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "scored_stage_seconds",
		Help: "Time of requests for scores by stage.", Buckets: seconds}, []string{"stage"})
	m.registry.MustRegister(m.stages)
	for _, stage := range requestStages() {
		m.stages.WithLabelValues(string(stage))
	}
	m.items = m.counter("items_total", "Items scored.")
	m.tokens = m.counters("tokens_total",
		"Tokens: prompt = of all items in full, cached = of those not computed, computed = by "+
			"steps, padding = computed for nothing.",
		"kind", "prompt", "cached", "computed", "padding")
	m.steps = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "scored_steps_total",
		Help: "Steps by device."}, []string{"device", "result"})
	m.registry.MustRegister(m.steps)
	m.backlog = newBacklog()
	m.registry.MustRegister(m.backlog)
	m.Devices(1)
	m.stepSeconds = m.histogram("step_seconds", "Time of one step.", seconds)
	m.stepPredicted = m.histogram("step_predicted_seconds",
		"Time of one step as the target's price predicts it.", seconds)
	m.stepRows = m.histogram("step_rows", "Rows of one step.", prometheus.ExponentialBuckets(1, 2, 11))
	info := prometheus.NewGauge(prometheus.GaugeOpts{Name: "scored_build_info",
		Help:        "Always 1; the labels name the build.",
		ConstLabels: prometheus.Labels{"version": version}})
	info.Set(1)
	m.registry.MustRegister(info, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// answerCodes lists the statuses that a server answers with, and 499 for a client that
// left. A test compares it with the API's description.
func answerCodes() []string {
	return strings.Fields("200 307 400 401 403 404 405 408 409 413 415 422 424 429 499 500 501 " +
		"503 504 507")
}

// requestStages lists the stages of a request.
func requestStages() []score.Stage {
	return []score.Stage{score.StageRead, score.StageEncode, score.StageWait, score.StageRun,
		score.StageReply}
}

// ServeHTTP implements http.Handler: it answers a scrape.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.handler.ServeHTTP(w, r) }

// Observe implements score.Observer. A request that ended before it was scored counts as
// cancelled; its span has the rows that no step had taken.
func (m *Metrics) Observe(span score.Span) {
	if m == nil {
		return
	}
	took := span.End.Sub(span.Start).Seconds()
	if span.Stage == score.StageStep {
		m.step(span, took)
		return
	}
	m.stages.WithLabelValues(string(span.Stage)).Observe(took)
	var failure *score.Error
	switch {
	case span.Stage == score.StageWait && errors.As(span.Err, &failure) &&
		failure.Kind == score.Deadline:
		m.cancelled.Inc()
		m.cancelledItems.Add(float64(span.Rows))
	case span.Stage == score.StageRun && span.Err == nil:
		m.items.Add(float64(span.Rows))
		m.tokens.WithLabelValues("prompt").Add(float64(span.Tokens))
		m.tokens.WithLabelValues("cached").Add(float64(max(span.Cached, 0)))
	}
}

// step counts a step that took so many seconds. One that failed has computed no tokens,
// and its time says nothing about the prediction.
func (m *Metrics) step(span score.Span, took float64) {
	device := strconv.Itoa(span.Device)
	m.stepSeconds.Observe(took)
	m.stepRows.Observe(float64(span.Rows))
	if span.Err != nil {
		m.steps.WithLabelValues(device, "failed").Inc()
		return
	}
	m.stepPredicted.Observe(span.Predicted.Seconds())
	m.steps.WithLabelValues(device, "ok").Inc()
	m.tokens.WithLabelValues("computed").Add(float64(span.Tokens))
	m.tokens.WithLabelValues("padding").Add(float64(span.Bucket.Tokens - span.Tokens))
}

// Devices creates the series of n devices, at zero.
func (m *Metrics) Devices(n int) {
	if m == nil {
		return
	}
	m.backlog.devices.Store(int64(n))
	for device := range n {
		m.steps.WithLabelValues(strconv.Itoa(device), "ok")
		m.steps.WithLabelValues(strconv.Itoa(device), "failed")
	}
}

// WatchDevice adds the plugin's state. read is called for every scrape, several times,
// and must be safe for concurrent use. WatchDevice must be called at most once.
func (m *Metrics) WatchDevice(read func() Device) {
	if m == nil {
		return
	}
	m.counterFunc("compiles_total", "Programs compiled.",
		func() float64 { return float64(read().Compiles) })
	m.counterFunc("compile_cache_hits_total", "Programs loaded from the compile cache instead.",
		func() float64 { return float64(read().CacheHits) })
	m.gaugeFunc("device_buffers", "Buffers alive on the device.",
		func() float64 { return float64(read().Buffers) })
}

// Engine adds a metric that names the kind of device and the attention backend that
// runs on it. It must be called at most once.
func (m *Metrics) Engine(device, attention string) {
	if m == nil {
		return
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{Name: "scored_engine_info",
		Help:        "Always 1; the labels name the device and the attention backend that run.",
		ConstLabels: prometheus.Labels{"device": device, "attention_backend": attention}})
	info.Set(1)
	m.registry.MustRegister(info)
}

// watch adds the state of the model's queue, and whether requests can be answered. All
// are 0 until the model is loaded.
func (m *Metrics) watch(slot *modelSlot) {
	if m == nil {
		return
	}
	load := func(read func(score.Load) int) func() float64 {
		return func() float64 {
			if model := slot.Load(); model != nil {
				return float64(read(model.Scorer.Load()))
			}
			return 0
		}
	}
	m.backlog.model.Store(slot)
	m.gaugeFunc("queue_rows", "Rows that wait for a step.",
		load(func(l score.Load) int { return l.WaitingRows }))
	m.gaugeFunc("queue_tokens", "Tokens of those rows.",
		load(func(l score.Load) int { return l.WaitingTokens }))
	m.gaugeFunc("running_rows", "Rows in steps that are queued or running on devices.",
		load(func(l score.Load) int { return l.RunningRows }))
	m.gaugeFunc("ready", "1 if requests can be answered.", func() float64 {
		if model := slot.Load(); model != nil && model.Scorer.Ready() == nil {
			return 1
		}
		return 0
	})
}

// request counts an answer.
func (m *Metrics) request(status int, took time.Duration) {
	if m != nil {
		m.requests.WithLabelValues(strconv.Itoa(status)).Inc()
		m.seconds.Observe(took.Seconds())
	}
}

// dialect counts a request for scores whose body could be read.
func (m *Metrics) dialect(name string) {
	if m != nil {
		m.dialects.WithLabelValues(name).Inc()
	}
}

// failure counts a request, or an item, that was not scored. Kinds that are a client's
// fault are not counted here: the status of the answer tells them.
func (m *Metrics) failure(kind score.Kind) {
	if m == nil {
		return
	}
	switch kind {
	case score.Overloaded:
		m.refused.WithLabelValues("overloaded").Inc()
	case score.Unavailable:
		m.refused.WithLabelValues("unavailable").Inc()
	case score.Deadline:
		m.refused.WithLabelValues("deadline").Inc()
	case score.NotFinite:
		m.notFinite.Inc()
	}
}

// counter makes a counter that starts at zero.
func (m *Metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "scored_" + name, Help: help})
	m.registry.MustRegister(c)
	return c
}

// counters makes a family with one label, whose values start at zero.
func (m *Metrics) counters(name, help, label string, values ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "scored_" + name, Help: help},
		[]string{label})
	m.registry.MustRegister(c)
	for _, value := range values {
		c.WithLabelValues(value)
	}
	return c
}

// histogram makes a histogram with these upper bounds.
func (m *Metrics) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "scored_" + name, Help: help,
		Buckets: buckets})
	m.registry.MustRegister(h)
	return h
}

// gaugeFunc makes a gauge that is read for every scrape.
func (m *Metrics) gaugeFunc(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "scored_" + name,
		Help: help}, read))
}

// counterFunc makes a counter that is read for every scrape. It must never fall.
func (m *Metrics) counterFunc(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "scored_" + name,
		Help: help}, read))
}
