package ingest

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sluicehq/sluice/gateway/source"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// watched is a sender that answers are given to, and strangers beside it.
type watched struct {
	*sender
	a             *answers
	log           bytes.Buffer
	own, stranger *peer
	head          fasthttp.RequestHeader
}

func newWatched() *watched {
	w := &watched{a: newAnswers(source.Zorio.Answers), own: &peer{address: netip.MustParseAddr("192.0.2.1")}, stranger: &peer{address: netip.MustParseAddr("192.0.2.2")}}
	w.head.Set(zorio.HeaderSignature, "sha256=00")
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	w.sender = newSender(&Config{Source: source.Zorio, Silence: 15 * time.Minute}, w.a, &Instruments{Log: log, Refused: telemetry.NewLimiter(log, time.Second)}, time.Now())
	return w
}

// gets lets an address get an answer so many times.
func (w *watched) gets(from *peer, authentic bool, given *answer, times int) {
	r := &request{conn: &connection{from: from, by: from}, authentic: authentic}
	for range times {
		w.answered(r, &w.head, given, time.Millisecond, time.Now())
	}
}

// passes lets time pass, with a look every second.
func (w *watched) passes(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(watchEvery)
		w.look(time.Now())
	}
}

func TestTheSenderIsToldFromStrangers(t *testing.T) {
	for name, c := range map[string]struct {
		happens func(w *watched)
		now     int64  // the run of failures
		most    int64  // the longest
		says    string // what /readyz says; empty for nothing but the run
		status  telemetry.Status
	}{
		"nothing":         {func(*watched) {}, 0, 0, "", telemetry.OK},
		"all is well":     {func(w *watched) { w.gets(w.own, true, w.a.ok, 100); w.gets(w.own, true, w.a.duplicate, 100) }, 0, 0, "", telemetry.OK},
		"a few failures":  {func(w *watched) { w.gets(w.own, true, w.a.notStored, 9) }, 9, 9, "", telemetry.OK},
		"a run":           {func(w *watched) { w.gets(w.own, true, w.a.notStored, 12) }, 12, 12, "12 failures in a row, the last: Not stored, try again: does NATS not store?", telemetry.Degraded},
		"a run that ends": {func(w *watched) { w.gets(w.own, true, w.a.notStored, 15); w.gets(w.own, true, w.a.ok, 1) }, 0, 15, "", telemetry.OK},
		"an overload before anything is verified": {func(w *watched) {
			w.gets(w.own, true, w.a.ok, 1)
			w.gets(w.own, false, w.a.overloaded, 30)
		}, 30, 30, "30 failures in a row, the last: Overloaded", telemetry.Degraded},
		"a rotation on one side": {func(w *watched) {
			w.gets(w.own, true, w.a.ok, 100)
			w.gets(w.own, false, w.a.invalid, 60)
			w.passes(20 * time.Second)
		}, 60, 60, "60 failures in a row, the last: Invalid signature: was the secret rotated?", telemetry.Degraded},
		"a wrong secret from the start": {func(w *watched) { w.gets(w.own, false, w.a.invalid, 60); w.passes(20 * time.Second) }, 60, 60, "60 failures in a row", telemetry.Degraded},
		"another path than the console's": {func(w *watched) {
			w.gets(w.own, true, w.a.ok, 1)
			w.gets(w.own, false, w.a.notFound, 30)
			w.passes(20 * time.Second)
		}, 30, 30, "30 failures in a row, the last: Not found: does the URL in the sender's console end in SLUICE_PATH?", telemetry.Degraded},
		"a rotation that is mended": {func(w *watched) {
			w.gets(w.own, false, w.a.invalid, 60)
			w.passes(20 * time.Second)
			w.gets(w.own, true, w.a.ok, 100)
		}, 0, 60, "", telemetry.OK},
		"strangers from elsewhere": {func(w *watched) {
			w.gets(w.own, true, w.a.ok, 1)
			w.gets(w.stranger, false, w.a.invalid, 10_000)
			w.gets(w.stranger, false, w.a.overloaded, 10_000)
			w.passes(20 * time.Second)
		}, 0, 0, "", telemetry.OK},
		"a stranger behind the sender's proxy neither raises a run nor ends it": {func(w *watched) {
			w.gets(w.own, true, w.a.notStored, 6)
			w.gets(w.own, false, w.a.invalid, 100)
			w.passes(5 * time.Second)
			w.gets(w.own, true, w.a.notStored, 6)
			w.gets(w.own, false, w.a.invalid, 1)
		}, 12, 12, "12 failures in a row, the last: Not stored", telemetry.Degraded},
		"a stranger in a pause of a sender that comes seldom": {func(w *watched) {
			for range 30 {
				w.gets(w.own, true, w.a.ok, 1)
				w.passes(10 * time.Second)
			}
			w.gets(w.own, false, w.a.invalid, 15)
			w.passes(30 * time.Second)
		}, 0, 0, "", telemetry.OK},
		"a flood behind the sender's proxy, beside good traffic": {func(w *watched) {
			for range 30 {
				w.gets(w.own, true, w.a.ok, 1)
				w.gets(w.own, false, w.a.invalid, 33)
				w.passes(time.Second)
			}
			w.gets(w.own, true, w.a.ok, 1)
		}, 0, 0, "97 % of the last ", telemetry.OK},
		"a storm of one failure": {func(w *watched) {
			for range 100 {
				w.gets(w.own, true, w.a.tooLarge, 3)
				w.gets(w.own, true, w.a.ok, 1)
			}
		}, 0, 3, "75 % of the last 400: Body too large: are bodies larger than SLUICE_MAX_BODY", telemetry.Degraded},
		"a storm that is long over": {func(w *watched) {
			w.gets(w.own, true, w.a.tooLarge, 300)
			w.gets(w.own, true, w.a.ok, 1)
			w.passes(time.Hour)
			w.gets(w.own, true, w.a.ok, 1)
		}, 0, 300, "", telemetry.OK},
		"silence": {func(w *watched) {
			for range 60 {
				w.gets(w.own, true, w.a.ok, 1)
				w.passes(2 * time.Second)
			}
			w.passes(15 * time.Minute)
		}, 0, 0, "no verified event for 15 min; the usual gap is 2 s", telemetry.Degraded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWatched()
				c.happens(w)
				h := w.health(time.Now())
				if now, most := w.run.length(time.Now()), w.run.most.Load(); now != c.now || most != c.most {
					t.Errorf("a run of %d, %d at most, want %d and %d", now, most, c.now, c.most)
				}
				if says, _, told := strings.Cut(h.Detail, "; failures in a row:"); h.Status != c.status || told != (c.says != "") || !strings.HasPrefix(says, c.says) || (h.Remedy == "") != (h.Status == telemetry.OK) {
					t.Errorf("%+v, want %s %q", h, c.status, c.says)
				}
			})
		})
	}
}

func TestTheLogSaysWhatBeginsAndWhatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatched()
		for range 60 {
			w.gets(w.own, true, w.a.ok, 1)
			w.passes(time.Second)
		}
		expect := func(want ...string) {
			t.Helper()
			text := w.log.String()
			if w.log.Reset(); strings.Count(text, "\n") != len(want) {
				t.Errorf("%d lines in\n%s", strings.Count(text, "\n"), text)
			}
			for _, one := range want {
				if !strings.Contains(text, one) {
					t.Errorf("%q is not in\n%s", one, text)
				}
			}
		}
		w.gets(w.own, true, w.a.notStored, 9)
		expect()
		w.gets(w.own, true, w.a.notStored, 10)
		expect(`level=WARN msg="the sender's deliveries fail" source=zorio error="10 failures in a row`)
		w.gets(w.own, true, w.a.notStored, 500)
		w.passes(2 * time.Second)
		expect(`level=ERROR msg="the sender's deliveries fail" source=zorio error="25 failures in a row`, `level=WARN msg="most answers are the same refusal"`)
		w.gets(w.own, true, w.a.ok, 2000)
		w.passes(2 * time.Second)
		expect(`msg="the sender's deliveries succeed again" source=zorio failures_in_a_row=519 after=2s`, `msg="most answers are no longer that refusal"`)
		w.passes(20 * time.Minute)
		expect(`level=WARN msg="the sender is silent" source=zorio error="no verified event for 15 min; the usual gap is`)
		w.gets(w.own, true, w.a.ok, 1)
		w.passes(2 * time.Second)
		expect(`level=INFO msg="verified events come again" source=zorio after=20m`)
	})
}

// BenchmarkAnswered is what watching costs a delivery that is accepted.
func BenchmarkAnswered(b *testing.B) {
	w := newWatched()
	r, now := &request{conn: &connection{from: w.own}, authentic: true}, time.Now()
	w.answered(r, &w.head, w.a.ok, 0, now)
	b.ReportAllocs()
	for b.Loop() {
		w.answered(r, &w.head, w.a.ok, 0, now)
	}
}
