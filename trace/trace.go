// Package trace sends one OpenTelemetry trace for each scored request to a collector,
// over OTLP/HTTP with protobuf. It knows only spans, and no server, engine or
// tokenizer. No request ever waits for the collector.
//
// Begin with New.
package trace

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	otel "go.opentelemetry.io/otel/trace"

	"scored/score"
)

// Exporter turns the stages of a request into a trace: a server span "score" with a
// child for each stage. It leaves out steps, which belong to many requests; profiles
// show these.
//
// A goroutine of the SDK sends traces in batches. Its queue is bounded: traces that a
// slow or absent collector does not accept are dropped. The variables
// OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS, OTEL_BSP_* and
// OTEL_RESOURCE_ATTRIBUTES work as
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
// says.
type Exporter struct {
	provider *sdk.TracerProvider
	tracer   otel.Tracer
	requests *requests
}

// New returns an Exporter to a collector such as http://localhost:4318. A URL without a
// path gets OTLP's /v1/traces. New does not contact the collector. service is the
// traces' service.name. The caller must call Close.
func New(endpoint, service string) (*Exporter, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("trace endpoint %q is not a URL such as http://localhost:4318", endpoint)
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	ctx := context.Background() // nothing is sent yet
	client, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(u.String()))
	if err != nil {
		return nil, fmt.Errorf("trace exporter: %w", err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name",
		service)), resource.WithFromEnv(),
		resource.WithTelemetrySDK())
	if err != nil {
		return nil, fmt.Errorf("trace resource: %w; check OTEL_RESOURCE_ATTRIBUTES", err)
	}
	provider := sdk.NewTracerProvider(sdk.WithBatcher(client), sdk.WithResource(about))
	return &Exporter{provider: provider, tracer: provider.Tracer("scored"),
		requests: newRequests(maxOpen, maxIdle)}, nil
}

// Observe implements score.Observer. It never blocks on the network.
func (e *Exporter) Observe(span score.Span) {
	if span.Stage == score.StageStep || span.RequestID == "" {
		return
	}
	for _, request := range e.requests.add(span, time.Now()) {
		e.export(request)
	}
}

// Close sends the traces that are left, at most until ctx ends. Observe must not be
// called afterwards.
func (e *Exporter) Close(ctx context.Context) error {
	for _, request := range e.requests.drain() {
		e.export(request)
	}
	if err := e.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("last traces were not sent: %w", err)
	}
	return nil
}

// export gives a request's spans to the SDK, with their own times. The trace's error is
// that of the first stage that failed.
func (e *Exporter) export(request []score.Span) {
	first, last := request[0], request[len(request)-1]
	ctx, root := e.tracer.Start(context.Background(), "score",
		otel.WithSpanKind(otel.SpanKindServer), otel.WithTimestamp(first.Start),
		otel.WithAttributes(attribute.String("scored.request_id", first.RequestID)))
	var failure error
	for _, span := range request {
		_, stage := e.tracer.Start(ctx, string(span.Stage), otel.WithTimestamp(span.Start),
			otel.WithAttributes(
				attribute.Int("scored.rows", span.Rows), attribute.Int("scored.tokens", span.Tokens),
				attribute.Int("scored.cached_tokens", span.Cached)))
		if span.Err != nil {
			stage.SetStatus(codes.Error, span.Err.Error())
			failure = cmp.Or(failure, span.Err)
		}
		stage.End(otel.WithTimestamp(span.End))
	}
	if failure != nil {
		root.SetStatus(codes.Error, failure.Error())
	}
	root.End(otel.WithTimestamp(last.End))
}
