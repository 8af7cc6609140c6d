package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

func TestMain(m *testing.M) {
	code := rig.Main(m)
	if browser.one != nil {
		browser.one.Close()
	}
	os.Exit(code)
}

// stage is a console with a NATS of its own.
type stage struct {
	t   testing.TB
	js  jetstream.JetStream
	s   *server
	url string
	web *httptest.Server
}

// newStage starts one. Its live parts are looked at more often than usual.
func newStage(t *testing.T, settings Settings) *stage {
	t.Helper()
	return stageOn(t, settings, rig.Hub(t, stream.Settings{}))
}

// asUsual is a stage whose console looks as often as one that is not tested.
const asUsual = "as usual"

// stageOn starts one on a NATS that is there.
func stageOn(t testing.TB, settings Settings, js jetstream.JetStream) *stage {
	t.Helper()
	settings.NATSURL = js.Conn().ConnectedUrl()
	if err := settings.Check(); err != nil {
		t.Fatal(err)
	}
	s := newServer(&settings, js, slog.New(slog.DiscardHandler))
	s.every = 100 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	often, busy := s.every, func() bool { return true }
	if settings.Log == asUsual {
		s.every, often, busy = lookEvery, watchOften, s.busy
	}
	watching.Go(func() { s.watch.run(ctx, often, busy) })
	t.Cleanup(func() { cancel(); watching.Wait() })
	t.Cleanup(s.runs.close)
	web := httptest.NewServer(s.handler())
	t.Cleanup(web.Close)
	t.Cleanup(web.CloseClientConnections)
	return &stage{t, js, s, web.URL, web}
}

// team makes the durables that a team's worker makes.
func (g *stage) team(name, pattern string) {
	g.t.Helper()
	for where, filter := range map[string]string{stream.Events: event.Filter(pattern), stream.Retry: event.RetryFilter(name), stream.Replay: event.ReplayFilter(name)} {
		_, err := g.js.CreateConsumer(g.t.Context(), where, jetstream.ConsumerConfig{Durable: name, FilterSubject: filter, AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: -1})
		if err != nil {
			g.t.Fatal(err)
		}
	}
}

// paused reports whether NATS holds a team.
func (g *stage) paused(name string) bool {
	g.t.Helper()
	c, err := g.js.Consumer(g.t.Context(), stream.Events, name)
	if err != nil {
		g.t.Fatal(err)
	}
	return c.CachedInfo().Paused
}

// visitor asks the console for pages, without a browser's help. Its cookies are its own.
type visitor struct {
	g      *stage
	client http.Client
	host   string
	header http.Header
}

func (g *stage) visitor(header ...string) *visitor {
	jar, _ := cookiejar.New(nil) // nil is allowed
	v := &visitor{g: g, header: http.Header{"Accept": {"text/html"}}}
	for i := 0; i < len(header); i += 2 {
		v.header.Add(header[i], header[i+1])
	}
	v.client = http.Client{Jar: jar, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return v
}

// ask returns the status, the headers and the body of an answer.
func (v *visitor) ask(method, path string, form url.Values) (int, http.Header, string) {
	v.g.t.Helper()
	request, err := http.NewRequestWithContext(v.g.t.Context(), method, v.g.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.g.t.Fatal(err)
	}
	request.Header, request.Host = v.header.Clone(), v.host
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := v.client.Do(request)
	if err != nil {
		v.g.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		v.g.t.Fatal(err)
	}
	return answer.StatusCode, answer.Header, string(body)
}

// follow keeps a page open as a browser does: what it has heard, and the error with which it ends.
func follow(ctx context.Context, t testing.TB, url string) (heard *rig.Buffer, gone <-chan error) {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "text/event-stream")
	answer, err := http.DefaultClient.Do(request) //nolint:bodyclose // it is closed where it is read
	if err != nil {
		t.Fatal(err)
	}
	heard, ended := &rig.Buffer{}, make(chan error, 1)
	go func() {
		defer answer.Body.Close()
		_, err := io.Copy(heard, answer.Body)
		ended <- err
	}()
	return heard, ended
}

// browser is one for all tests: it takes a second to start.
var browser struct {
	sync.Mutex
	one *rig.Browser
}

// newTab opens a page of the console in it.
func (g *stage) newTab(path string) *rig.Tab {
	g.t.Helper()
	browser.Lock()
	defer browser.Unlock()
	if browser.one == nil {
		var err error
		if browser.one, err = rig.StartBrowser(); err != nil {
			g.t.Fatal(err)
		}
	}
	tab := browser.one.Tab(g.t, 1280, 900, false)
	tab.Open(g.url + path)
	return tab
}
