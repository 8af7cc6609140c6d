package main

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/sluicehq/sluice/internal/ops/doctor"
	"github.com/sluicehq/sluice/internal/ops/finding"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
)

func (s *server) overviewRoutes() {
	s.page(page{path: "/{$}", name: "overview", title: "Overview", menu: true, live: []string{"verdict", "gateways", "lines"}, data: s.overviewPage})
}

// overview is the page that is looked at first.
type overview struct {
	Verdict  string
	More     string // beside it
	Worst    finding.Level
	Needs    []need
	Source   sourceLine
	Gateways []gatewayLine
	Teams    []teamLine
	Empty    bool // nothing has come yet
}

// Title is the verdict: a tab of a browser that is not looked at tells it too.
func (o overview) Title() string { return o.Verdict }

// need is something that needs somebody, with the page that helps.
type need struct {
	finding.Finding
	Link, Button string
}

// sourceLine is what came from a sender.
type sourceLine struct {
	Name            string
	Events, Refused []float64 // of each of the last 60 minutes
	Day, Hour       uint64
	Turned          uint64 // refused within the hour
	Last            time.Time
}

type gatewayLine struct {
	*team.Gateway
	Works bool
	Alive bool
}

// teamLine is how far a team is.
type teamLine struct {
	*team.Status
	LagHour []float64
	Kind    string // of the chip of its state
}

func (s *server) overviewPage(r *http.Request) (any, error) {
	now, day, err := s.watch.latest(r.Context())
	if err != nil {
		return nil, err
	}
	o := overview{Empty: now.Events().State.LastSeq == 0, Teams: s.teamLines(now), Source: s.sourceLine(now, day), Worst: finding.OK}
	for _, g := range now.Gateways {
		o.Gateways = append(o.Gateways, gatewayLine{g, g.Alive(now.At) && g.Works(), g.Alive(now.At)})
	}
	for _, f := range now.Findings(seen(r)) {
		o.Needs = append(o.Needs, needOf(f))
		if o.Worst == finding.OK {
			o.Worst = f.Level
		}
	}
	o.judge(now)
	return o, nil
}

// judge says it in a sentence.
func (o *overview) judge(now *doctor.Now) {
	switch n := len(o.Needs); {
	case n == 1:
		o.Verdict, o.More = "1 thing needs you", o.numbers(now)
	case n > 1:
		o.Verdict, o.More = fmt.Sprintf("%d things need you", n), o.numbers(now)
	case o.Empty:
		o.Verdict, o.More = "All is ready", "No event has come yet."
	default:
		o.Verdict, o.More = "All is well", o.numbers(now)
	}
}

func (o *overview) numbers(now *doctor.Now) string {
	if o.Empty {
		return "No event has come yet."
	}
	return fmt.Sprintf("%s events in 24 hours, %s.", count(o.Source.Day), pace(now))
}

// pace is how far the teams are, in words.
func pace(now *doctor.Now) string {
	var slowest time.Duration
	for _, t := range now.Teams {
		if t.Oldest != nil {
			slowest = max(slowest, now.At.Sub(*t.Oldest))
		}
	}
	switch {
	case len(now.Teams) == 0:
		return "and no team has started yet"
	case slowest == 0:
		return "every team is up to date"
	}
	return "every team within " + lasts(max(slowest, time.Second))
}

// needOf adds the page that helps.
func needOf(f finding.Finding) need {
	n := need{Finding: f}
	switch {
	case f.Check == "dead letters":
		n.Link, n.Button = "/problems", "See the dead letters"
	case f.Check == "quarantine":
		n.Link, n.Button = "/problems", "See the quarantine"
	case f.Team != "" && f.Command == "sluicectl teams resume "+f.Team:
		n.Link, n.Button = "/teams/"+f.Team+"/resume", "Resume "+f.Team+" …"
	case f.Team != "":
		n.Link, n.Button = "/teams/"+f.Team, "See "+f.Team
	}
	return n
}

func (s *server) sourceLine(now *doctor.Now, day uint64) sourceLine {
	state := now.Events().State
	line := sourceLine{Name: "zorio", Events: s.watch.hour(seriesEvents, now.At), Refused: s.watch.hour(seriesRefused, now.At), Last: state.LastTime}
	if day > 0 && day <= state.LastSeq {
		line.Day = state.LastSeq - day + 1
	}
	line.Hour, line.Turned = sum(line.Events), sum(line.Refused)
	if state.LastSeq == 0 {
		line.Last = time.Time{}
	}
	return line
}

// sum adds up what is known.
func sum(values []float64) (total uint64) {
	for _, v := range values {
		if v > 0 { // which NaN is not
			total += uint64(v)
		}
	}
	return total
}

func (s *server) teamLines(now *doctor.Now) (lines []teamLine) {
	for _, t := range now.Teams {
		lines = append(lines, teamLine{t, s.watch.hour("lag/"+t.Team, now.At), kindOf(t)})
	}
	return lines
}

// kindOf is the colour of a team's state.
func kindOf(t *team.Status) string {
	switch {
	case t.AtRisk(), t.State == team.Hung:
		return "bad"
	case t.State == team.Working, t.State == team.CatchingUp:
		return "good"
	case t.State == team.NoProcess && t.Lag == 0:
		return "quiet"
	}
	return "warn"
}

// seenCookie says up to where its browser has looked at dead letters and quarantine.
const seenCookie = "sluice_seen"

func seen(r *http.Request) (s doctor.Seen) {
	if c, err := r.Cookie(seenCookie); err == nil {
		_, _ = fmt.Sscanf(c.Value, "%d-%d", &s.Dead, &s.Quarantine) // what it does not say is zero
	}
	return s
}

// saw notes in the browser that everything that is there now was looked at.
func (s *server) saw(w http.ResponseWriter, r *http.Request) {
	now, _, _ := s.watch.now()
	if now == nil {
		return
	}
	last := func(name string) uint64 {
		info := now.Streams[name]
		if info == nil {
			return 0
		}
		return info.State.LastSeq
	}
	value := strconv.FormatUint(last(stream.Dead), 10) + "-" + strconv.FormatUint(last(stream.Quarantine), 10)
	http.SetCookie(w, &http.Cookie{Name: seenCookie, Value: value, Path: "/", MaxAge: int((400 * 24 * time.Hour).Seconds()), HttpOnly: true,
		SameSite: http.SameSiteLaxMode, Secure: isSecure(r)})
}
