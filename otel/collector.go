package otel

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/sluicehq/sluice/internal/tracing"
)

// collector posts spans as OTLP over HTTP. It implements otlptrace.Client. OpenTelemetry's own, otlptracehttp, links gRPC
// for the sake of one message type: 5 MB in each program. That message has the bytes of TracesData.
type collector struct {
	url     string
	headers http.Header
	gzip    bool
	http    *http.Client
}

// errRefused means that the collector will not take spans however often they are sent.
var errRefused = errors.New("refused")

// newCollector reads what the standard names beside the settings: time limit, compression and certificates, each for
// traces alone or for all.
func newCollector(s *tracing.Settings) (*collector, error) {
	limit, err := strconv.Atoi(either("TIMEOUT", "10000"))
	if err != nil || limit <= 0 {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_TIMEOUT=%s: use a number of milliseconds", either("TIMEOUT", ""))
	}
	headers, err := headersOf(s.Headers, os.Getenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS"))
	if err != nil {
		return nil, err
	}
	secured, err := certificates()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = secured
	return &collector{url: s.URL(), headers: headers, gzip: either("COMPRESSION", "") == "gzip",
		http: &http.Client{Timeout: time.Duration(limit) * time.Millisecond, Transport: transport}}, nil
}

// either is a setting of the standard for traces, or for all.
func either(name, otherwise string) string {
	for _, prefix := range []string{"OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"} {
		if value := strings.TrimSpace(os.Getenv(prefix + name)); value != "" {
			return value
		}
	}
	return otherwise
}

// headersOf reads lists of name=value. What comes later counts.
func headersOf(lists ...string) (http.Header, error) {
	headers := http.Header{"Content-Type": {"application/x-protobuf"}, "User-Agent": {"sluice"}}
	for _, list := range lists {
		for one := range strings.SplitSeq(list, ",") {
			name, value, ok := strings.Cut(strings.TrimSpace(one), "=")
			if one = strings.TrimSpace(one); one == "" {
				continue
			}
			decoded, err := url.PathUnescape(strings.TrimSpace(value))
			if !ok || err != nil {
				return nil, errors.New("OTEL_EXPORTER_OTLP_HEADERS: use name=value, several separated by commas, with values URL-encoded")
			}
			headers.Set(strings.TrimSpace(name), decoded)
		}
	}
	return headers, nil
}

// certificates are the collector's authority, and this process's own towards it; nil where there are none.
func certificates() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if file := either("CERTIFICATE", ""); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE: %w", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE: %s has no certificate in PEM", file)
		}
	}
	if file := either("CLIENT_CERTIFICATE", ""); file != "" {
		own, err := tls.LoadX509KeyPair(file, either("CLIENT_KEY", ""))
		if err != nil {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _CLIENT_KEY: %w", err)
		}
		c.Certificates = []tls.Certificate{own}
	}
	return c, nil
}

// Start implements otlptrace.Client.
func (c *collector) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *collector) Stop(context.Context) error { c.http.CloseIdleConnections(); return nil }

// UploadTraces implements otlptrace.Client. The error wraps errRefused where another attempt is no use.
func (c *collector) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	request, err := c.request(ctx, body)
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		var inside *url.Error
		if errors.As(err, &inside) { // without the address, in which there may be a secret
			err = inside.Err
		}
		return err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection is used again
	return meaning(answer)
}

func (c *collector) request(ctx context.Context, body []byte) (*http.Request, error) {
	if c.gzip {
		body = zipped(body)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if request.Header = c.headers.Clone(); c.gzip {
		request.Header.Set("Content-Encoding", "gzip")
	}
	return request, nil
}

func zipped(body []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(body) // a bytes.Buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// meaning is the standard's table: these four may go well another time.
func meaning(answer *http.Response) error {
	switch answer.StatusCode {
	case http.StatusOK, http.StatusAccepted:
		return nil
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fmt.Errorf("answered %s", answer.Status)
	}
	return fmt.Errorf("%w: answered %s", errRefused, answer.Status)
}
