package ingest

import (
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sluicehq/sluice/gateway/source"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// sender watches the sender as it sees itself: a run of failures, after which it gives the URL up, what it is refused for,
// and its silence. Only answers to what may be the sender count. What is authentic comes from it. So may what comes with a
// signature from where something authentic came, or from anywhere before the first. Refused for a reason of the gateway's
// own, such as an overload, that counts at once. Refused for what it is, such as a wrong signature, it is a stranger's
// behind the same proxy while authentic deliveries come, and the sender's when they do not come any more.
type sender struct {
	source *source.Source
	log    *slog.Logger
	limit  *telemetry.Limiter
	slow   *answer // stands for each that came too late

	run    run
	recent *recent
	clock  clock
	rhythm *rhythm

	mu      sync.Mutex
	known   map[netip.Addr]struct{} // where something authentic came from
	anybody atomic.Bool             // known is empty
	said    severity                // of the run
	told    map[string]*trouble     // that the log speaks of, by what it says
	well    time.Time               // since when there is none
}

const (
	maxSenders = 4096
	watchEvery = time.Second
)

func newSender(c *Config, a *answers, instruments *Instruments, now time.Time) *sender {
	s := &sender{
		source: &c.Source, log: instruments.Log, limit: instruments.Refused,
		slow:   tooSlow(),
		recent: newRecent(a.all, now), rhythm: newRhythm(c.Silence, now),
		known: map[netip.Addr]struct{}{}, told: map[string]*trouble{}, well: now,
	}
	s.anybody.Store(true)
	s.run.patience.Store(int64(leastPatience))
	return s
}

// answered notes what was said to a request, took after it had come. It locks nothing while all is well.
func (s *sender) answered(r *request, h *fasthttp.RequestHeader, given *answer, took time.Duration, now time.Time) {
	switch {
	case !r.authentic:
		if s.mayBe(r, h) {
			s.refused(given, now)
		}
		return
	default:
		s.meet(r.conn.from)
		s.meet(r.conn.by)
	}
	given.verified.Add(1)
	s.clock.saw(r.stale, r.age, now)
	switch {
	case took > s.source.Patience:
		s.failed(s.slow, now)
	case !given.taken():
		s.failed(given, now)
	default:
		s.succeeded(now)
	}
}

// mayBe reports whether what is not authentic may be the sender's.
func (s *sender) mayBe(r *request, h *fasthttp.RequestHeader) bool {
	return (r.conn.by.authentic.Load() || s.anybody.Load()) && !r.torn && len(h.Peek(s.source.HeaderSignature)) > 0
}

func (s *sender) refused(given *answer, now time.Time) {
	given.unverified.Add(1)
	if given.doubtful {
		s.run.doubts(given, now)
		return
	}
	s.failed(given, now)
}

// turnedAway notes an answer to a connection of which no request was read.
func (s *sender) turnedAway(from netip.Addr, given *answer, now time.Time) {
	if s.knows(from) {
		s.refused(given, now)
	}
}

func (s *sender) failed(given *answer, now time.Time) {
	n := s.run.fails(given, now)
	if s.severityOf(n) != s.severityOf(n-1) {
		s.sayRun(now)
	}
}

func (s *sender) succeeded(now time.Time) {
	if !s.run.any() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n, since := s.run.length(now), s.run.since(now)
	s.run.end()
	if s.said > calm {
		s.said = calm
		s.log.Info("the sender's deliveries succeed again", "source", s.source.Name, "failures_in_a_row", n, "after", now.Sub(since))
	}
}

// meet notes that something authentic came from an address.
func (s *sender) meet(from *peer) {
	if !from.authentic.Load() {
		from.authentic.Store(true)
		s.remember(from.address)
	}
}

// remember keeps an address for the connections that come from it.
func (s *sender) remember(address netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.anybody.Store(false); len(s.known) < maxSenders {
		s.known[address] = struct{}{}
	}
}

// knows says whether something authentic came from an address.
func (s *sender) knows(address netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.known[address]
	return known
}

// watch looks every second at what no single answer shows, until stop is closed.
func (s *sender) watch(stop <-chan struct{}) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			s.look(now)
		case <-stop:
			return
		}
	}
}

func (s *sender) look(now time.Time) {
	s.recent.fold(now)
	s.rhythm.tick(s.recent.verified(), now)
	s.run.patience.Store(int64(s.rhythm.patience()))
	s.sayRun(now)
	s.sayTroubles(now)
}
