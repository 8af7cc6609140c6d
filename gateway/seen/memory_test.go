package seen

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicehq/sluice/internal/secure"
)

func TestMemoryForgetsAfterADayByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(10)
		mark(t, m, time.Now(), "a/1")
		time.Sleep(TTL - time.Second)
		expect(t, lookup(t, m, "a/1"), true)
		mark(t, m, time.Now(), "b/1")
		time.Sleep(2 * time.Second)
		expect(t, lookup(t, m, "a/1", "b/1"), false, true)
		mark(t, m, time.Now(), "c/1") // making room
		if m.Len() != 2 || m.Evicted() != 0 {
			t.Errorf("%d remembered, %d evicted", m.Len(), m.Evicted())
		}
	})
}

func TestMemoryIsBoundedAndSaysWhatItForgot(t *testing.T) {
	m := NewMemory(100)
	for i := range 1000 {
		mark(t, m, time.Now(), fmt.Sprint(i, "/1"))
	}
	if m.Len() != 100 || m.Evicted() != 900 {
		t.Errorf("%d remembered, %d evicted", m.Len(), m.Evicted())
	}
	expect(t, lookup(t, m, "0/1", "899/1", "900/1", "999/1"), false, false, true, true)
	if len(m.order.blocks) > 2 {
		t.Errorf("the order of 100 takes %d blocks", len(m.order.blocks))
	}
}

// What a million deliveries take is what the documentation says, and their marks take no more than that.
func TestMemoryTakesAsMuchAsItSays(t *testing.T) {
	const count = 200_000
	m := NewMemory(count)
	before := heap()
	fill(t, m, count)
	if each := (heap() - before) / count; each > 100 {
		t.Errorf("a delivery takes %d bytes", each)
	}
	runtime.KeepAlive(m)
}

func heap() int64 {
	var now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&now)
	return int64(now.HeapAlloc)
}

func fill(t testing.TB, m *Memory, count int) {
	marks := make([]Mark, 1)
	for n := range count {
		marks[0] = Mark{Identity: fmt.Sprintf("0d5c1f0e-5a1f-4a57-9a0e-%012d/0123456789abcdef", n), Stored: time.Now()}
		if err := m.Mark(t.Context(), marks); err != nil {
			t.Fatal(err)
		}
	}
}

// BenchmarkMemory is a mark, with the bytes that a delivery takes from then on: go test -run '^$' -bench Memory
// -benchtime 1000000x ./gateway/seen
func BenchmarkMemory(b *testing.B) {
	m := NewMemory(100_000_000)
	before := heap()
	b.ReportAllocs()
	b.ResetTimer()
	fill(b, m, b.N)
	b.StopTimer()
	b.ReportMetric(float64(heap()-before)/float64(b.N), "bytes/delivery")
	runtime.KeepAlive(m)
}

func TestMissing(t *testing.T) {
	now := time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, c := range map[string]struct {
		covered, missed time.Time
		started         bool
		want            time.Time
	}{
		"wiped or new":                       {started: true, want: ago(TTL)},
		"wiped, and marks were missed":       {missed: ago(time.Hour), started: true, want: ago(TTL)},
		"all is well":                        {covered: ago(time.Second), started: true},
		"the gateway has just started":       {covered: ago(time.Second), want: ago(time.Second + margin)},
		"an outage":                          {covered: ago(time.Hour), started: true, want: ago(time.Hour + margin)},
		"longer than anything is remembered": {covered: ago(48 * time.Hour), started: true, want: ago(TTL)},
		"marks were missed":                  {covered: ago(time.Second), missed: ago(time.Minute), started: true, want: ago(time.Minute + margin)},
		"missed before the outage was seen":  {covered: ago(time.Minute), missed: ago(2 * time.Minute), started: true, want: ago(2*time.Minute + margin)},
		"a clock that is ahead":              {covered: ago(-time.Hour), started: true},
	} {
		if got := missing(c.covered, c.missed, c.started, now); !got.Equal(c.want) {
			t.Errorf("%s: missing since %v, want %v", name, got, c.want)
		}
	}
}

func TestURLs(t *testing.T) {
	for url, want := range map[string]string{
		"redis://host":                             "host:6379",
		"rediss://user:secret@host:6380/2":         "host:6380 db 2 tls",
		"redis://a:1,redis://b:2,redis://c:3":      "a:1 b:2 c:3",
		"redis://a:1?cluster=true":                 "a:1 cluster",
		"redis://a:1,redis://b:1?master_name=main": "a:1 b:1 main",
		"unix:///run/redis.sock":                   "/run/redis.sock",
	} {
		o, err := parseURL(url, secure.Files{})
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		got := strings.Join(o.Addrs, " ")
		for _, more := range []struct {
			holds bool
			text  string
		}{{o.DB != 0, fmt.Sprintf(" db %d", o.DB)}, {o.TLSConfig != nil, " tls"}, {o.IsClusterMode, " cluster"}, {o.MasterName != "", " " + o.MasterName}} {
			if more.holds {
				got += more.text
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
	for _, url := range []string{"", "localhost:6379", "http://host", "redis://host/notanumber", "redis://:secret@host\x00", "redis://:hunter2@host?nonsense=1"} {
		_, err := parseURL(url, secure.Files{})
		if err == nil || !strings.Contains(err.Error(), "REDIS_URL") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", url, err)
		}
	}
}
