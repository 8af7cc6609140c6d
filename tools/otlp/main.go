// otlp ADDRESS is the OTLP receiver of the OpenTelemetry collector, over HTTP. It prints each span that it gets, as a line
// of JSON. The tests of traces run it, so that what Sluice sends is understood by what users run.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"os/signal"
	"sync"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
)

// span is a line.
type span struct {
	Service, Name, Kind, Trace, ID, Parent, Error string
	Links                                         []string // traces
	Begin, End                                    int64    // Unix nanoseconds
	Attributes                                    map[string]any
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: otlp ADDRESS")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var mu sync.Mutex
	lines := json.NewEncoder(os.Stdout)
	sink, err := consumer.NewTraces(func(_ context.Context, traces ptrace.Traces) error {
		mu.Lock()
		defer mu.Unlock()
		return write(lines, traces)
	})
	if err != nil {
		log.Fatal(err)
	}
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	http := map[string]any{"protocols": map[string]any{"http": map[string]any{"endpoint": os.Args[1]}}}
	if err := confmap.NewFromStringMap(http).Unmarshal(config); err != nil {
		log.Fatal(err)
	}
	receiver, err := factory.CreateTraces(ctx, receivertest.NewNopSettings(factory.Type()), config, sink)
	if err != nil {
		log.Fatal(err)
	}
	if err := receiver.Start(ctx, componenttest.NewNopHost()); err != nil {
		log.Fatal(err)
	}
	<-ctx.Done()
}

func write(lines *json.Encoder, traces ptrace.Traces) error {
	for _, of := range traces.ResourceSpans().All() {
		service, _ := of.Resource().Attributes().Get("service.name")
		for _, scope := range of.ScopeSpans().All() {
			for _, s := range scope.Spans().All() {
				if err := lines.Encode(line(service.Str(), s)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func line(service string, s ptrace.Span) span {
	one := span{
		Service: service, Name: s.Name(), Kind: s.Kind().String(), Trace: s.TraceID().String(), ID: s.SpanID().String(), Parent: s.ParentSpanID().String(),
		Begin: s.StartTimestamp().AsTime().UnixNano(), End: s.EndTimestamp().AsTime().UnixNano(), Attributes: s.Attributes().AsRaw(),
	}
	if s.Status().Code() == ptrace.StatusCodeError {
		one.Error = s.Status().Message()
	}
	for _, l := range s.Links().All() {
		one.Links = append(one.Links, l.TraceID().String())
	}
	return one
}
