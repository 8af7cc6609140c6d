package telemetry

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLimiterSaysHowManyItHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := NewLimiter(slog.New(slog.NewJSONHandler(&out, nil)), time.Minute)
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { l.Info("stale", "refused", "answer", "stale", "reason", "old") })
		}
		all.Wait()
		l.Info("other", "refused", "answer", "invalid", "reason", "wrong")
		time.Sleep(time.Minute)
		l.Info("stale", "refused", "answer", "stale", "reason", "old")
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		held := 0
		for _, line := range lines {
			var said struct {
				HeldBack int `json:"held_back"`
			}
			if err := json.Unmarshal([]byte(line), &said); err != nil {
				t.Fatal(err)
			}
			held += said.HeldBack // one that was held back while the first line was made may be in that one already
		}
		if len(lines) != 3 || held != 9 {
			t.Fatalf("%d held back: %s", held, out.String())
		}
	})
}

func TestLimiterHoldsBackWithoutAllocating(t *testing.T) {
	l := NewLimiter(slog.New(slog.DiscardHandler), time.Hour)
	l.Info("stale", "refused", "answer", "stale", "reason", "old")
	if n := testing.AllocsPerRun(100, func() { l.Info("stale", "refused", "answer", "stale", "reason", "old") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestLoggerWritesJSONUnlessOnATerminal(t *testing.T) {
	var out bytes.Buffer
	log, err := Logger(&out, "warn")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("quiet")
	log.Warn("loud", "team", "pbx", "delivery", "\u009b31m\u202e")
	var line struct{ Msg, Team, Delivery string }
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Msg != "loud" || line.Team != "pbx" || line.Delivery != "\u009b31m\u202e" {
		t.Errorf("%q: %v", out.String(), err)
	}
	if strings.ContainsAny(out.String(), "\u009b\u202e") {
		t.Errorf("it moves the terminal of who reads it: %q", out.String())
	}
	if _, err := Logger(&out, "loud"); err == nil || !strings.Contains(err.Error(), "SLUICE_LOG") {
		t.Errorf("level loud: %v", err)
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return answerTo(t, request)
}

func answerTo(t *testing.T, request *http.Request) (int, string) {
	t.Helper()
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func TestAdmin(t *testing.T) {
	a, err := NewAdmin("gateway", "127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	go a.Serve()
	t.Cleanup(func() { a.Shutdown(t.Context()); http.DefaultClient.CloseIdleConnections() })
	base := "http://" + a.Addr()
	states := map[string]Status{"nats": OK, "redis": OK}
	for _, name := range []string{"nats", "redis"} {
		a.Watch(name, func() Health { return Health{Status: states[name], Remedy: "start " + name} })
	}
	for _, c := range []struct {
		nats, redis Status
		stopping    bool
		code        int
		status      string
	}{
		{OK, OK, false, 200, "ready"},
		{OK, Degraded, false, 200, "degraded"},
		{Down, Degraded, false, 503, "unavailable"},
		{OK, OK, true, 503, "stopping"},
	} {
		states["nats"], states["redis"] = c.nats, c.redis
		if c.stopping {
			a.Stopping()
		}
		code, body := get(t, base+"/readyz")
		var r Readiness
		if err := json.Unmarshal([]byte(body), &r); err != nil {
			t.Fatal(err)
		}
		if code != c.code || r.Status != c.status || len(r.Dependencies) != 2 || r.Dependencies[1].Remedy != "start redis" {
			t.Errorf("%+v: %d %s", c, code, body)
		}
	}
	if code, body := get(t, base+"/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("/healthz: %d %q", code, body)
	}
	if _, body := get(t, base+"/metrics"); !strings.Contains(body, `sluice_build_info{binary="gateway",version="`) || !strings.Contains(body, "go_goroutines") {
		t.Errorf("/metrics: %s", body)
	}
}

func TestAdminNamesABusyPort(t *testing.T) {
	a, err := NewAdmin("gateway", "127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	defer a.listener.Close()
	if _, err := NewAdmin("gateway", a.Addr(), ""); err == nil || !strings.Contains(err.Error(), "SLUICE_ADMIN") {
		t.Errorf("got %v", err)
	}
}

// Several workers in one process may watch something of the same name: a series twice would fail the scrape.
func TestEachDependencyIsToldInMetricsOnce(t *testing.T) {
	a, err := NewAdmin("test", "", "")
	if err != nil {
		t.Fatal(err)
	}
	for name, statuses := range map[string][]Status{"nats": {OK}, "redis": {OK, Down, Degraded}} {
		for _, status := range statuses {
			a.Watch(name, func() Health { return Health{Status: status} })
		}
	}
	scraped := httptest.NewRecorder()
	a.routes().ServeHTTP(scraped, httptest.NewRequest(http.MethodGet, "http://127.0.0.1/metrics", nil))
	for _, want := range []string{`"nats",status="ok"} 1`, `"nats",status="down"} 0`, `"redis",status="down"} 1`, `"redis",status="degraded"} 0`, `"redis",status="ok"} 0`} {
		if !strings.Contains(scraped.Body.String(), "\nsluice_dependency_status{dependency="+want+"\n") {
			t.Errorf("%s is not in:\n%s", want, scraped.Body)
		}
	}
}

// A page on the internet whose name leads to this machine learns nothing.
func TestTheAdminAddressAnswersToItsOwnNames(t *testing.T) {
	a, err := NewAdmin("test", "127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	go a.Serve()
	defer a.Shutdown(t.Context())
	for host, want := range map[string]int{
		a.Addr(): 200, "localhost:3001": 200, "LOCALHOST.": 200, "[::1]:3001": 200, "::1": 200, "gateway:3001": 200, "gateway.shop.svc.cluster.local": 200, "": 200,
		"evil.example:3001": 421, "127.0.0.1.evil.example": 421, "localhost.evil.example": 421, "evil.local.example": 421,
	} {
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.Addr()+"/healthz", nil)
		request.Host = host
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("for %q: %d, want %d", host, answer.StatusCode, want)
		}
	}
}

func TestDurationsInLogsAreReadable(t *testing.T) {
	for d, want := range map[time.Duration]string{
		1234567 * time.Nanosecond: "1.23ms", 950 * time.Nanosecond: "1µs", 4207 * time.Millisecond: "4.21s", 3723500 * time.Millisecond: "1h2m4s", -time.Second: "-1s", 0: "0s",
	} {
		var text bytes.Buffer
		log, err := Logger(&text, "info")
		if err != nil {
			t.Fatal(err)
		}
		log.With("took", d).Info("done", slog.Group("of", "wait", d))
		if !strings.Contains(text.String(), `"took":"`+want+`","of":{"wait":"`+want+`"}`) {
			t.Errorf("%d: %s, want %s", d, text.String(), want)
		}
	}
}
