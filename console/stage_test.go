package main

import (
	"log/slog"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
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
	t   *testing.T
	js  jetstream.JetStream
	s   *server
	url string
}

// newStage starts one. Its live parts are looked at more often than usual.
func newStage(t *testing.T, settings Settings) *stage {
	t.Helper()
	js := rig.Hub(t, stream.Settings{})
	settings.NATSURL = js.Conn().ConnectedUrl()
	s := newServer(&settings, js, slog.New(slog.DiscardHandler))
	s.every = 100 * time.Millisecond
	web := httptest.NewServer(s.handler())
	t.Cleanup(web.Close)
	t.Cleanup(web.CloseClientConnections)
	return &stage{t, js, s, web.URL}
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
