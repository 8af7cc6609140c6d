package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicehq/sluice/internal/ops/audit"
	"github.com/sluicehq/sluice/internal/ops/dead"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
)

// letterView is one dead letter.
type letterView struct {
	*dead.Letter
	Headers []header
	Body    body
}

// Title names it.
func (v letterView) Title() string { return fmt.Sprintf("Dead letter #%d", v.Sequence) }

func (s *server) letterPage(r *http.Request) (any, error) {
	sequence, err := sequenceOf(r.PathValue("sequence"))
	if err != nil {
		return nil, err
	}
	l, err := dead.Get(r.Context(), s.js, sequence)
	if errors.Is(err, dead.ErrNotFound) {
		return nil, fmt.Errorf("%w: #%d was redriven or dropped, or never was a dead letter", errNothing, sequence)
	}
	if err != nil {
		return nil, err
	}
	return letterView{l, headersOf(l.Header), bodyOf(l.Body, fmt.Sprintf("/problems/dead/%d/body", sequence))}, nil
}

func sequenceOf(text string) (uint64, error) {
	sequence, err := strconv.ParseUint(text, 10, 64)
	if err != nil || sequence == 0 {
		return 0, fmt.Errorf("%w: %q is not the number of a message", errNothing, text)
	}
	return sequence, nil
}

// lettersOf is the selection that a query names: one letter, or those of a team, event, reason and kind of error.
func (s *server) lettersOf(r *http.Request) (l dead.Selection, err error) {
	l = dead.Selection{Team: r.FormValue("team"), Reason: r.FormValue("reason"), Like: r.FormValue("like")}
	if name := r.FormValue("event"); name != "" {
		l.Events = []string{name}
	}
	if one := r.FormValue("sequence"); one != "" {
		l.Sequence, err = sequenceOf(one)
		return l, err
	}
	if l.Team != "" && !nameOfTeam.MatchString(l.Team) {
		return l, fmt.Errorf("%w: %q cannot be the name of a team", errMisused, l.Team)
	}
	if l.Team == "" && r.FormValue("all") == "" {
		return l, fmt.Errorf("%w: name a team, or a dead letter: /problems has both", errMisused)
	}
	l.From, l.To, err = s.spanOf(r, stream.Dead)
	return l, err
}

// spanOf are the sequences that somebody has been asked about; before that, those that are looked at.
func (s *server) spanOf(r *http.Request, name string) (from, to uint64, err error) {
	if text := r.PostFormValue("span"); text != "" {
		if n, err := fmt.Sscanf(text, "%d-%d", &from, &to); n != 2 || err != nil || to == 0 {
			return 0, 0, fmt.Errorf("%w: span=%q", errMisused, text)
		}
		return from, to, nil
	}
	from, to, _, err = stream.Window(r.Context(), s.js, name, mostLooked)
	return from, to, err
}

// lettersCommand does the same on a command line.
func lettersCommand(verb string, l dead.Selection) string {
	line := "sluicectl dead " + verb
	if l.Sequence > 0 {
		return fmt.Sprintf("%s %d", line, l.Sequence)
	}
	add := func(flag, value string) {
		if value != "" {
			line += " --" + flag + " " + quoted(value)
		}
	}
	add("team", l.Team)
	add("event", strings.Join(l.Events, ""))
	add("reason", l.Reason)
	add("like", l.Like)
	if l.Team == "" {
		line += " --all"
	}
	return line
}

// counts are how many letters of each team are selected.
func (s *server) counts(r *http.Request, l dead.Selection) (all int, teams []string, err error) {
	err = dead.Headers(r.Context(), s.js, l, func(l *dead.Letter) error {
		if all++; !slices.Contains(teams, l.Team) {
			teams = append(teams, l.Team)
		}
		return nil
	})
	if errors.Is(err, dead.ErrNotFound) {
		err = nil
	}
	slices.Sort(teams)
	return all, teams, err
}

// askLetters is a question about a selection, without what is particular to a verb; nil teams: there is nothing.
func (s *server) askLetters(r *http.Request, verb, title string) (q *question, n int, teams []string, err error) {
	l, err := s.lettersOf(r)
	if err != nil {
		return nil, 0, nil, err
	}
	if n, teams, err = s.counts(r, l); err != nil {
		return nil, 0, nil, err
	}
	q = &question{Back: "/problems", Command: lettersCommand(verb, l), Fields: url.Values{"span": {fmt.Sprintf("%d-%d", l.From, l.To)}}}
	if l.Team != "" {
		q.Back += "?team=" + url.QueryEscape(l.Team)
	}
	if n == 0 {
		q.Title, q.Would = "Nothing to "+verb, []string{"There are no such dead letters any more: somebody redrove or dropped them."}
		return q, 0, nil, nil
	}
	q.Title, q.Button = title+" "+many(n, "dead letter")+"?", title+" "+many(n, "dead letter")
	return q, n, teams, nil
}

func (s *server) askRedrive(r *http.Request) (*question, error) {
	q, n, teams, err := s.askLetters(r, "redrive", "Redrive")
	if err != nil || n == 0 {
		return q, err
	}
	to := strings.Join(teams, " and ")
	q.Would = []string{
		fmt.Sprintf("%s would go back to %s, and to no other team, with attempts counted from zero.", many(n, "dead letter"), to),
		"What was done for them before they were dead-lettered is not done again: the inbox of a team knows the event. If they fail again they come back here with their whole history.",
	}
	for _, name := range teams {
		q.Would = append(q.Would, s.doubtsOf(r.Context(), name)...)
	}
	if n > 1 {
		q.Would = append(q.Would, "Stay on the page until it is done: what is not done when you leave it stays as it is.")
	}
	return q, nil
}

// doubtsOf says why what is sent to a team may lie there.
func (s *server) doubtsOf(ctx context.Context, name string) (doubts []string) {
	t, err := team.Find(ctx, s.js, name)
	if err != nil {
		return []string{err.Error() + "; the copies wait in REPLAY for 30 days."}
	}
	if by, _, paused := t.Paused(); paused {
		doubts = append(doubts, name+" is paused "+by+": the copies wait until it is resumed.")
	}
	if !t.ReadsReplays(ctx, s.js) {
		doubts = append(doubts, "No worker of "+name+" has ever read REPLAY: the copies wait there until one of this version does, for 30 days.")
	}
	return doubts
}

func (s *server) askDropLetters(r *http.Request) (*question, error) {
	q, n, teams, err := s.askLetters(r, "drop", "Drop")
	if err != nil || n == 0 {
		return q, err
	}
	q.Danger = true
	q.Would = []string{fmt.Sprintf("%s of %s would be removed for good: nobody gets these copies any more. The events themselves stay in the stream until retention drops them.", many(n, "dead letter"), strings.Join(teams, " and "))}
	return q, nil
}

func (s *server) doRedrive(r *http.Request, by who) (said, back string, err error) {
	return s.toLetters(r, audit.DeadRedrive, "sent back", func(l dead.Selection, step func(*dead.Letter)) (dead.Result, error) {
		return dead.RedriveAll(r.Context(), s.js, l, by.String(), 0, step)
	})
}

func (s *server) doDropLetters(r *http.Request, by who) (said, back string, err error) {
	return s.toLetters(r, audit.DeadDrop, "dropped", func(l dead.Selection, step func(*dead.Letter)) (dead.Result, error) {
		return dead.DropAll(r.Context(), s.js, l, by.String(), step)
	})
}

// alone waits until nobody else acts on what several may see: of two who click at the same time, one is late.
func (s *server) alone(ctx context.Context) (leave func(), err error) {
	select {
	case s.acting <- struct{}{}:
		return func() { <-s.acting }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// toLetters acts on a selection and writes it down, done or failed half-way.
func (s *server) toLetters(r *http.Request, action audit.Action, done string, act func(dead.Selection, func(*dead.Letter)) (dead.Result, error)) (said, back string, err error) {
	l, err := s.lettersOf(r)
	if err != nil {
		return "", "", err
	}
	leave, err := s.alone(r.Context())
	if err != nil {
		return "", "", err
	}
	defer leave()
	entry := audit.Entry{Action: action, What: strings.TrimPrefix(lettersCommand("", l), "sluicectl dead  ")}
	result, err := act(l, func(letter *dead.Letter) {
		if entry.Add(fmt.Sprint(letter.Sequence)); !slices.Contains(entry.Teams, letter.Team) {
			entry.Teams = append(entry.Teams, letter.Team)
		}
	})
	if gone := errors.Is(err, dead.ErrNotFound); gone || err == nil && result.Done == 0 {
		return "", "", fmt.Errorf("%w: there are no such dead letters any more. Somebody redrove or dropped them; `sluicectl audit` says who", errLate)
	}
	entry.Failed(err)
	s.record(r, entry)
	if err != nil {
		return "", "", fmt.Errorf("%w: %s were %s, the rest is as it was", err, many(result.Done, "dead letter"), done)
	}
	return tellLetters(result, done), "/problems", nil
}

func tellLetters(r dead.Result, done string) string {
	said := fmt.Sprintf("%s %s", many(r.Done, "dead letter"), done)
	if r.Duplicates > 0 {
		said += fmt.Sprintf("; %d of them had been sent back before, and are not doubled", r.Duplicates)
	}
	if r.Gone > 0 {
		said += fmt.Sprintf("; somebody else removed %d at the same time", r.Gone)
	}
	if r.Untold != nil {
		said += "; the history of the events does not know of it: " + r.Untold.Error()
	}
	return said
}

// many is a number of things.
func many(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if stem, found := strings.CutSuffix(what, "y"); found {
		return count(n) + " " + stem + "ies"
	}
	return count(n) + " " + what + "s"
}
