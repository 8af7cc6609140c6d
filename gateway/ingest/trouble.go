package ingest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/telemetry"
)

// trouble is something that is wrong with what the sender gets.
type trouble struct {
	begins, ends   string // what the log says of it
	detail, remedy string
	since          time.Time
	degrades       bool
}

// severity is how bad a run of failures is.
type severity int

const (
	calm severity = iota
	bad
	worse
)

// severityOf a run of n failures: a fifth of what the sender takes is bad, half of it is worse.
func (s *sender) severityOf(n int64) severity {
	switch most := s.source.GivesUp; {
	case most == 0 || n < most/5:
		return calm
	case n < most/2:
		return bad
	}
	return worse
}

const (
	runBegins   = "the sender's deliveries fail"
	stormBegins = "most answers are the same refusal"
)

// One refusal is a storm when it is so much of the last answers, and there are so many.
const (
	stormShare = 0.5
	leastStorm = 20
)

// troubles are what is wrong now, the worst first.
func (s *sender) troubles(now time.Time) (all []*trouble) {
	for _, one := range []*trouble{s.failing(now), s.clock.trouble(now), s.storm(now), s.silence(now)} {
		if one != nil {
			all = append(all, one)
		}
	}
	return all
}

// failing is a run of failures that has become bad.
func (s *sender) failing(now time.Time) *trouble {
	n := s.run.length(now)
	if s.severityOf(n) == calm {
		return nil
	}
	last := s.run.lastFailure(now)
	return &trouble{
		begins: runBegins, since: s.run.since(now), remedy: last.remedy, degrades: true,
		detail: fmt.Sprintf("%d failures in a row, the last: %s: %s At %d in a row the sender suspends the URL", n, last.Text, last.cause, s.source.GivesUp),
	}
}

// storm is one refusal that is most of what is answered. What nobody signed is told, and degrades
// nothing while authentic deliveries come beside it: it may be a flood of a stranger's.
func (s *sender) storm(now time.Time) *trouble {
	shares, of := s.recent.shares(now)
	for a, share := range shares {
		if a.taken() || share < stormShare || share*of < leastStorm {
			continue
		}
		return &trouble{
			begins: stormBegins, ends: "most answers are no longer that refusal",
			since: s.toldSince(stormBegins, now), remedy: a.remedy, degrades: !a.forged || s.run.isDoubted(now),
			detail: fmt.Sprintf("%.0f %% of the last %s: %s: %s", 100*share, thousands(of), a.Text, a.cause),
		}
	}
	return nil
}

// toldSince is since when the log speaks of a trouble; now for one that it does not know yet.
func (s *sender) toldSince(begins string, now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.told[begins]; one != nil {
		return one.since
	}
	return now
}

const silenceRemedy = "see in the sender's console whether the URL is suspended, and whether requests reach this machine: DNS, certificate, proxy, firewall"

func (s *sender) silence(now time.Time) *trouble {
	lasts, limit, usual := s.rhythm.silence(s.recent.verified(), now)
	if limit == 0 || lasts <= limit {
		return nil
	}
	return &trouble{
		begins: "the sender is silent", ends: "verified events come again",
		since: now.Add(-lasts), remedy: silenceRemedy, degrades: true,
		detail: fmt.Sprintf("no verified event for %s; the usual gap is %s", spoken(lasts), spoken(usual)),
	}
}

// Expect sets the usual gap between two events from before this start, so that a sender that has become silent
// meanwhile is reported.
func (p *Path) Expect(gap time.Duration) { p.sender.rhythm.expect(gap, time.Now()) }

// Sender is the sender's state, as its answers show it, for /readyz.
func (p *Path) Sender() telemetry.Health { return p.sender.health(time.Now()) }

func (s *sender) health(now time.Time) telemetry.Health {
	h := telemetry.Health{Status: telemetry.OK, Since: s.wellSince()}
	var said []string
	for _, one := range s.troubles(now) {
		if said = append(said, one.detail); one.degrades && h.Status == telemetry.OK {
			h.Status, h.Since, h.Remedy = telemetry.Degraded, one.since, one.remedy
		}
	}
	h.Detail = strings.Join(append(said, s.summary(now)), "; ")
	return h
}

// summary is the run of failures in any case.
func (s *sender) summary(now time.Time) string {
	text := fmt.Sprintf("failures in a row: %d now", s.run.length(now))
	if most := s.run.most.Load(); most > 0 {
		return fmt.Sprintf("%s, %d at most, at %s", text, most, time.Unix(0, s.run.mostAt.Load()).UTC().Format(time.RFC3339))
	}
	return text
}

func (s *sender) wellSince() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.well
}

// sayRun logs a run that has become worse.
func (s *sender) sayRun(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.failing(now)
	if one == nil {
		return
	}
	how, log, name := bad, s.log.Warn, "run_bad"
	if s.severityOf(s.run.length(now)) == worse {
		how, log, name = worse, s.log.Error, "run_worse"
	}
	if how <= s.said {
		return
	}
	if held, ok := s.limit.Allow(name); ok {
		s.said = how
		log(runBegins, "source", s.source.Name, "error", one.detail, "remedy", one.remedy, "held_back", held)
	}
}

// sayTroubles logs what begins and what ends. A run of failures is said when it happens.
func (s *sender) sayTroubles(now time.Time) {
	all := s.troubles(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(all) > 0 {
		s.well = now
	}
	for begins, one := range s.told {
		if !slices.ContainsFunc(all, func(o *trouble) bool { return o.begins == begins }) {
			delete(s.told, begins)
			s.log.Info(one.ends, "source", s.source.Name, "after", now.Sub(one.since))
		}
	}
	for _, one := range all {
		if _, known := s.told[one.begins]; known || one.begins == runBegins {
			continue
		}
		if held, ok := s.limit.Allow(one.begins); ok {
			s.told[one.begins] = one
			s.log.Warn(one.begins, "source", s.source.Name, "error", one.detail, "remedy", one.remedy, "held_back", held)
		}
	}
}

// spoken is a duration as people say it.
func spoken(d time.Duration) string {
	switch {
	case d >= 2*time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d >= time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}

func thousands(n float64) string {
	if n > lastAnswers-0.5 {
		return "1,000"
	}
	return fmt.Sprintf("%.0f", n)
}
