package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/worker"
	"github.com/sluicehq/sluice/pkg/zorio"
)

const testSecret = "a secret of the target"

// posterTo posts to a server of the test's.
func posterTo(t *testing.T, answer http.HandlerFunc, change ...func(*target)) *poster {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	target := newTarget()
	target.Name, target.URL, target.Secret = "crm", server.URL+"/hook?key=hunter2", testSecret
	for _, c := range change {
		c(&target)
	}
	p := newPoster(&target, 4, time.Minute, func(int) {})
	t.Cleanup(p.close)
	return p
}

func sampleEvent() *event.Event {
	return &event.Event{Name: "pbx.call.hangup", Delivery: "id-1", Body: []byte("{\"event\": \"pbx.call.hangup\",\n \"x\": \"é\\u00e9\"}"),
		Header: map[string][]string{event.HeaderTraceparent: {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, zorio.HeaderTimestamp: {"1"}, zorio.HeaderSignature: {"sha256=old"}}}
}

func TestAPostIsWhatZorioWouldSend(t *testing.T) {
	e, keys := sampleEvent(), must(signature.New(testSecret))
	p := posterTo(t, func(_ http.ResponseWriter, r *http.Request) {
		body := must(io.ReadAll(r.Body))
		h := r.Header
		if _, ok := keys.Verify([]byte(h.Get(zorio.HeaderSignature)), body); !ok || string(body) != string(e.Body) || r.Method != http.MethodPost {
			t.Errorf("%s %v %s", r.Method, h, body)
		}
		for name, want := range map[string]string{
			zorio.HeaderEvent: e.Name, zorio.HeaderDelivery: "id-1", "Content-Type": "application/json; charset=utf-8",
			"Traceparent": e.Header[event.HeaderTraceparent][0],
		} {
			if h.Get(name) != want || len(h.Values(name)) != 1 {
				t.Errorf("%s: %v", name, h.Values(name))
			}
		}
		if sent := must(time.Parse("2006", "1970")).Add(must(time.ParseDuration(h.Get(zorio.HeaderTimestamp) + "s"))); time.Since(sent) > time.Minute {
			t.Errorf("the timestamp is not fresh: %s", sent)
		}
		if h["Idempotency-Key"] != nil || r.URL.RawQuery != "key=hunter2" {
			t.Errorf("%v %v", r.URL, h)
		}
	})
	if err := p.post(t.Context(), e); err != nil {
		t.Error(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestEveryAnswerHasItsMeaning(t *testing.T) {
	now := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		status int
		after  string
		want   string // in the error; empty: done
		pause  time.Duration
	}{
		{200, "", "", 0}, {204, "", "", 0}, {299, "60", "", 0},
		{301, "", "redirects are not followed", 0}, {308, "", "redirects are not followed", 0},
		{400, "", `it answered 400 Bad Request: "Stale timestamp"`, 0}, {401, "60", "it answered 401 Unauthorized", 0}, {404, "", "404", 0},
		{410, "", errGone.Error(), 0}, {500, "60", "500", 0}, {503, "", "503", 0},
		{429, "7", "it answered 429", 7 * time.Second}, {503, "120", "503", 2 * time.Minute},
		{503, "Tue, 24 Nov 2026 08:01:30 GMT", "503", 90 * time.Second},
		{503, "Tue, 24 Nov 2026 07:00:00 GMT", "503", 0}, {429, "0", "429", 0}, {429, "-5", "429", 0}, {429, "soon", "429", 0},
		{413, "", "it answered 413 Request Entity Too Large", 0}, {413, "60", "413", time.Minute},
		{429, "4000000", "429", longestPause}, {429, "Tue, 24 Nov 2099 07:00:00 GMT", "429", longestPause},
	} {
		err := meaning(&http.Response{StatusCode: c.status, Header: http.Header{"Retry-After": {c.after}}}, []byte("Stale\ntimestamp"), sampleEvent(), now)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || worker.IsPermanent(err) {
			t.Errorf("%d %s: %v", c.status, c.after, err)
		}
		if pause := asked(c.after, now); c.pause != 0 && pause != c.pause {
			t.Errorf("%d %s: pause %s", c.status, c.after, pause)
		}
	}
}

// A body that is too large stays so: it is dead-lettered soon, with a reason that names both sizes' owners. Once is no proof.
func TestABodyThatIsTooLargeIsGivenUpSoon(t *testing.T) {
	for attempt, permanent := range map[int]bool{1: false, 2: false, 3: true, 9: true} {
		e := sampleEvent()
		e.Attempt, e.Body = attempt, make([]byte, 150_000)
		err := meaning(&http.Response{StatusCode: http.StatusRequestEntityTooLarge}, []byte("PayloadTooLargeError"), e, time.Now())
		if worker.IsPermanent(err) != permanent || !strings.Contains(err.Error(), "the body has 150000 bytes: raise the receiver's limit") {
			t.Errorf("attempt %d: %v", attempt, err)
		}
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	var elsewhere atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	p := posterTo(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	})
	if err := p.post(t.Context(), sampleEvent()); err == nil || elsewhere.Load() != 0 {
		t.Errorf("%v, %d requests elsewhere", err, elsewhere.Load())
	}
}

func TestNoAnswerInTimeIsAFailureThatTellsNoSecret(t *testing.T) {
	hold := make(chan struct{})
	p := posterTo(t, func(http.ResponseWriter, *http.Request) { <-hold }, func(target *target) { target.Timeout = 100 * time.Millisecond })
	defer close(hold)
	err := p.post(t.Context(), sampleEvent())
	if err == nil || !strings.Contains(err.Error(), "no answer within 100ms") || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

func TestConnectionsAreKeptAndNoMoreThanTheConcurrency(t *testing.T) {
	var peers sync.Map
	p := posterTo(t, func(w http.ResponseWriter, r *http.Request) {
		peers.Store(r.RemoteAddr, true)
		_, _ = w.Write(make([]byte, 10<<10))
	})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 5 {
				if err := p.post(t.Context(), sampleEvent()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	connections := 0
	peers.Range(func(any, any) bool { connections++; return true })
	if connections > 4 {
		t.Errorf("%d connections for 100 requests, 4 allowed", connections)
	}
}

func TestPrivateAddressesAreRefusedWhereTheyAreDialed(t *testing.T) {
	var asked atomic.Int32
	p := posterTo(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) }, func(target *target) {
		target.AllowPrivate = false
		target.URL = strings.Replace(target.URL, "127.0.0.1", "localhost", 1) // a name says nothing about where it leads
	})
	err := p.post(t.Context(), sampleEvent())
	if err == nil || !strings.Contains(err.Error(), "allow_private: false") || asked.Load() != 0 {
		t.Errorf("%v, %d requests", err, asked.Load())
	}
	for address, want := range map[string]bool{
		"1.1.1.1": true, "2606:4700::1111": true, "::ffff:8.8.8.8": true,
		"127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false,
		"0.0.0.0": false, "255.255.255.255": false, "224.0.0.1": false, "::1": false, "::": false, "fe80::1%eth0": false, "fd00::1": false,
		"::ffff:127.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "::7f00:1": false, "ff02::1": false, "198.18.0.1": false,
	} {
		if onInternet(netip.MustParseAddr(address)) != want {
			t.Errorf("%s: %t", address, !want)
		}
	}
}

func TestTheEnvironmentsProxyIsNotAsked(t *testing.T) {
	var proxied atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { proxied.Add(1) }))
	defer proxy.Close()
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	elsewhere := func(target *target) { target.URL = "http://receiver.invalid/" }
	if err := posterTo(t, nil, elsewhere).post(t.Context(), sampleEvent()); err == nil || proxied.Load() != 0 {
		t.Errorf("%v, %d requests at the environment's proxy", err, proxied.Load())
	}
	configured := func(target *target) { target.Proxy = proxy.URL }
	if err := posterTo(t, nil, elsewhere, configured).post(t.Context(), sampleEvent()); err != nil || proxied.Load() != 1 {
		t.Errorf("%v, %d requests at the configured proxy", err, proxied.Load())
	}
}

func TestAStopEndsARequestAndSaysSo(t *testing.T) {
	hold := make(chan struct{})
	inside := make(chan struct{})
	p := posterTo(t, func(http.ResponseWriter, *http.Request) { close(inside); <-hold })
	defer close(hold)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-inside; cancel() }()
	if err := p.post(ctx, sampleEvent()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
