// Package otel sends traces to an OpenTelemetry collector, over OTLP. A program of Sluice, a team's consumer among them,
// has it where its main package imports it:
//
//	import _ "github.com/sluicehq/sluice/otel"
//
// It does nothing until the environment names a collector (OTEL_EXPORTER_OTLP_ENDPOINT). In the context of a handler is
// the span of its attempt: what a handler does with a library that is instrumented for OpenTelemetry becomes part of it.
package otel

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/sluicehq/sluice/internal/tracing"
)

func init() { tracing.Register(open) }

// tracer implements [tracing.Tracer].
type tracer struct {
	trace.Tracer
	provider *sdk.TracerProvider
}

const closeWithin = time.Second

func open(s *tracing.Settings, p tracing.Process) (tracing.Tracer, error) {
	collector, err := newCollector(s)
	if err != nil {
		return nil, err
	}
	service, err := describe(s, p)
	if err != nil {
		return nil, err
	}
	exporter := otlptrace.NewUnstarted(collector)
	if err := exporter.Start(context.Background()); err != nil {
		return nil, err
	}
	// The sampler is read from the environment, as is the rest of what the standard names for it.
	provider := sdk.NewTracerProvider(sdk.WithResource(service), sdk.WithSpanProcessor(newQueue(exporter, s.URL(), p)))
	otel.SetTracerProvider(provider) // of a handler's libraries
	return &tracer{provider.Tracer("github.com/sluicehq/sluice", trace.WithInstrumentationVersion(p.Version)), provider}, nil
}

// describe says which process it is that makes the traces.
func describe(s *tracing.Settings, p tracing.Process) (*resource.Resource, error) {
	name := s.Service
	if name == "" {
		name = p.Name
	}
	ours := resource.NewWithAttributes(semconv.SchemaURL, semconv.ServiceName(name), semconv.ServiceVersion(p.Version))
	all, err := resource.New(context.Background(), resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv())
	if err != nil {
		return nil, err
	}
	return resource.Merge(all, ours)
}

// Start implements [tracing.Tracer].
func (t *tracer) Start(s tracing.Start) tracing.Span {
	options := make([]trace.SpanStartOption, 0, 3)
	options = append(options, trace.WithTimestamp(s.At), trace.WithSpanKind(kinds[s.Kind]))
	if linked := parse(s.Link); linked.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: linked}))
	}
	ctx := context.Background()
	if parent := parse(s.Parent); parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	_, begun := t.Tracer.Start(ctx, s.Name, options...)
	return span{begun}
}

var kinds = map[tracing.Kind]trace.SpanKind{
	tracing.Internal: trace.SpanKindInternal, tracing.Server: trace.SpanKindServer,
	tracing.Producer: trace.SpanKindProducer, tracing.Consumer: trace.SpanKindConsumer,
}

// Close implements [tracing.Tracer].
func (t *tracer) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // what is lost is counted
}
