// Package tracing is what Sluice needs of OpenTelemetry: spans of an event's way, joined by the header traceparent that
// travels with it. It has no implementation of its own, so that a team's consumer compiles none: package otel of this
// repository, a module of its own, has it, and registers itself where a program imports it.
package tracing

import (
	"context"
	"log/slog"
	"time"
)

// Tracer makes spans. It never blocks, and is safe for concurrent use. Where nothing is traced there is none, nil: ask
// for that before anything is made for a span.
type Tracer interface {
	// Start begins a span.
	Start(Start) Span
	// Close sends what has ended to the collector. It waits for a second at most.
	Close()
}

// Start is how a span begins.
type Start struct {
	Name   string // one of few: what differs from event to event is an attribute
	Kind   Kind
	Parent string // the traceparent of the span that it is a part of; empty or malformed: it begins a trace
	Link   string // the traceparent of a span in another trace that it follows from; empty: none
	At     time.Time
}

// Kind says on which side of what is passed on a span is.
type Kind int

// The kinds of spans.
const (
	Internal Kind = iota
	Server        // it answers a request
	Producer      // it stores a message
	Consumer      // it works on a message
)

// Span is one step of an event's way. End is called once, and last.
type Span interface {
	// Traceparent names the span, for the header of what follows from it.
	Traceparent() string
	// Sampled reports whether the collector will get it: else its attributes are not worth making.
	Sampled() bool
	// Context makes the spans that others start in it parts of this one.
	Context(context.Context) context.Context
	// End ends it at a time, with the error that it failed with, if any.
	End(at time.Time, failed error, attributes ...slog.Attr)
}

// Close closes a tracer, where there is one.
func Close(t Tracer) {
	if t != nil {
		t.Close()
	}
}

// Record makes a span of what is over already.
func Record(t Tracer, s Start, end time.Time, failed error, attributes ...slog.Attr) {
	t.Start(s).End(end, failed, attributes...)
}

// With returns a context for what happens in a span.
func With(ctx context.Context, s Span) context.Context {
	return context.WithValue(s.Context(ctx), spanKey{}, s)
}

// Traceparent names the span that a context is in; "" where there is none.
func Traceparent(ctx context.Context) string {
	if s, is := ctx.Value(spanKey{}).(Span); is {
		return s.Traceparent()
	}
	return ""
}

type spanKey struct{}
