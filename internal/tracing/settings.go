package tracing

import (
	"fmt"
	"net/url"
	"os"
)

// Settings are those of the OpenTelemetry standard that matter most; whatever else it names is read by the
// implementation.
type Settings struct {
	OTLP       string  `env:"OTEL_EXPORTER_OTLP_ENDPOINT" secret:"url" help:"OpenTelemetry collector that gets traces, over HTTP, such as http://collector:4318; unset: no traces"`
	OTLPTraces string  `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" secret:"url" help:"the same for traces alone, with the path: http://collector:4318/v1/traces"`
	Headers    string  `env:"OTEL_EXPORTER_OTLP_HEADERS" secret:"true" file:"true" help:"headers for the collector: name=value, several separated by commas, values URL-encoded"`
	Service    string  `env:"OTEL_SERVICE_NAME" help:"name of this process in traces; unset: sluice- and the name of the program or team"`
	Sampler    string  `env:"OTEL_TRACES_SAMPLER" envDefault:"parentbased_always_on" oneof:"always_on,always_off,traceidratio,parentbased_always_on,parentbased_always_off,parentbased_traceidratio" help:"which traces are sent; parentbased: those that the gateway has decided to send"`
	SamplerArg float64 `env:"OTEL_TRACES_SAMPLER_ARG" envDefault:"1" help:"share of traces that traceidratio sends, from 0 to 1"`
}

// Check returns an error if something stands in the way of sending traces.
func (s *Settings) Check() error {
	for name, address := range map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": s.OTLP, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": s.OTLPTraces} {
		if u, err := url.Parse(address); address != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			return fmt.Errorf("%s: use http://host:4318 or https://host:4318, the collector's port for OTLP over HTTP", name)
		}
	}
	if s.SamplerArg < 0 || s.SamplerArg > 1 {
		return fmt.Errorf("OTEL_TRACES_SAMPLER_ARG=%v: use a share from 0 to 1", s.SamplerArg)
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"} {
		if protocol := os.Getenv(name); s.enabled() && protocol != "" && protocol != "http/protobuf" {
			return fmt.Errorf("%s=%s: use http/protobuf, and the collector's port for it, which is 4318", name, protocol)
		}
	}
	return nil
}

// enabled reports whether traces are wanted.
func (s *Settings) enabled() bool {
	return (s.OTLP != "" || s.OTLPTraces != "") && os.Getenv("OTEL_SDK_DISABLED") != "true" && os.Getenv("OTEL_TRACES_EXPORTER") != "none"
}

// URL is where traces are posted.
func (s *Settings) URL() string {
	if s.OTLPTraces != "" {
		return s.OTLPTraces
	}
	u, err := url.JoinPath(s.OTLP, "v1/traces")
	if err != nil { // Check has parsed it
		return s.OTLP
	}
	return u
}
