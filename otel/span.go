package otel

import (
	"context"
	"encoding/hex"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// span implements [tracing.Span].
type span struct{ trace.Span }

func (s span) Traceparent() string { return format(s.SpanContext()) }

func (s span) Sampled() bool { return s.IsRecording() }

func (s span) Context(ctx context.Context) context.Context {
	return trace.ContextWithSpan(ctx, s.Span)
}

func (s span) End(at time.Time, failed error, attributes ...slog.Attr) {
	if s.IsRecording() {
		s.SetAttributes(converted(attributes)...)
		if failed != nil {
			s.SetStatus(codes.Error, failed.Error())
		}
	}
	s.Span.End(trace.WithTimestamp(at))
}

func converted(attributes []slog.Attr) []attribute.KeyValue {
	all := make([]attribute.KeyValue, len(attributes))
	for i, a := range attributes {
		switch a.Value.Kind() {
		case slog.KindInt64:
			all[i] = attribute.Int64(a.Key, a.Value.Int64())
		case slog.KindUint64:
			all[i] = attribute.Int64(a.Key, int64(a.Value.Uint64()))
		case slog.KindBool:
			all[i] = attribute.Bool(a.Key, a.Value.Bool())
		default:
			all[i] = attribute.String(a.Key, strings.ToValidUTF8(a.Value.String(), "\ufffd"))
		}
	}
	return all
}

// length is that of a traceparent: 00-<trace id>-<span id>-<flags>.
const length = 55

// format writes a traceparent with one allocation.
func format(c trace.SpanContext) string {
	var text [length]byte
	id, span := c.TraceID(), c.SpanID()
	copy(text[:], "00-")
	hex.Encode(text[3:], id[:])
	text[35] = '-'
	hex.Encode(text[36:], span[:])
	copy(text[52:], "-00")
	if c.IsSampled() {
		text[54] = '1'
	}
	return string(text[:])
}

// parse reads a traceparent. What it is not is no span.
func parse(text string) trace.SpanContext {
	if len(text) < length || text[2] != '-' || text[35] != '-' || text[52] != '-' || text[:2] == "ff" || text[:2] == "00" && len(text) > length {
		return trace.SpanContext{}
	}
	var c trace.SpanContextConfig
	var flags [1]byte
	for _, part := range []struct {
		into []byte
		from string
	}{{c.TraceID[:], text[3:35]}, {c.SpanID[:], text[36:52]}, {flags[:], text[53:55]}} {
		if _, err := hex.Decode(part.into, []byte(part.from)); err != nil || part.from != strings.ToLower(part.from) {
			return trace.SpanContext{}
		}
	}
	c.TraceFlags, c.Remote = trace.TraceFlags(flags[0])&trace.FlagsSampled, true
	return trace.NewSpanContext(c)
}
