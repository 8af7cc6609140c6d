package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/sluicehq/sluice/internal/ops/audit"
	"github.com/sluicehq/sluice/internal/ops/quarantine"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// entryView is one delivery in quarantine.
type entryView struct {
	*quarantine.Entry
	Name    string // of the event, in the body
	Problem string // why it has none
	Headers []header
	Body    body
}

// Title names it.
func (v entryView) Title() string { return fmt.Sprintf("Quarantine #%d", v.Sequence) }

func (s *server) entryPage(r *http.Request) (any, error) {
	sequence, err := sequenceOf(r.PathValue("sequence"))
	if err != nil {
		return nil, err
	}
	e, err := quarantine.Get(r.Context(), s.js, sequence)
	if errors.Is(err, quarantine.ErrNotFound) {
		return nil, fmt.Errorf("%w: #%d was released or dropped, or never was in quarantine", errNothing, sequence)
	}
	if err != nil {
		return nil, err
	}
	delete(e.Header, event.HeaderID) // it is the signature
	v := entryView{Entry: e, Headers: headersOf(e.Header), Body: bodyOf(e.Body, fmt.Sprintf("/problems/quarantine/%d/body", sequence))}
	if v.Name, err = e.EventName(); err != nil {
		v.Problem = err.Error()
	}
	return v, nil
}

// entriesOf is the selection that a query names: one entry, or those of a source, reason and event.
func (s *server) entriesOf(r *http.Request) (e quarantine.Selection, err error) {
	e = quarantine.Selection{Source: r.FormValue("source"), Reason: r.FormValue("reason"), Event: r.FormValue("event")}
	if one := r.FormValue("sequence"); one != "" {
		e.Sequence, err = sequenceOf(one)
		return e, err
	}
	if e.Reason == "" {
		return e, fmt.Errorf("%w: name a reason, or an entry: /problems has both", errMisused)
	}
	e.From, e.To, err = s.spanOf(r, stream.Quarantine)
	return e, err
}

func entriesCommand(verb string, e quarantine.Selection) string {
	line := "sluicectl quarantine " + verb
	if e.Sequence > 0 {
		return fmt.Sprintf("%s %d", line, e.Sequence)
	}
	line += " --reason " + quoted(e.Reason)
	if e.Event != "" {
		line += " --event " + quoted(e.Event)
	}
	return line
}

// askEntries is a question about a selection, without what is particular to a verb.
func (s *server) askEntries(r *http.Request, verb, title string) (q *question, n int, err error) {
	e, err := s.entriesOf(r)
	if err != nil {
		return nil, 0, err
	}
	err = quarantine.Headers(r.Context(), s.js, e, func(*quarantine.Entry) error { n++; return nil })
	if err != nil && !errors.Is(err, quarantine.ErrNotFound) {
		return nil, 0, err
	}
	q = &question{Back: "/problems", Command: entriesCommand(verb, e), Fields: url.Values{"span": {fmt.Sprintf("%d-%d", e.From, e.To)}}}
	if n == 0 {
		q.Title, q.Would = "Nothing to "+verb, []string{"There are no such entries in quarantine any more: somebody released or dropped them."}
		return q, 0, nil
	}
	q.Title, q.Button = title+" "+many(n, "delivery")+"?", title+" "+many(n, "delivery")
	return q, n, nil
}

func (s *server) askRelease(r *http.Request) (*question, error) {
	as, err := nameFor(r)
	if err != nil {
		return nil, err
	}
	q, n, err := s.askEntries(r, "release", "Release")
	if err != nil || n == 0 {
		return q, err
	}
	q.Would = []string{
		fmt.Sprintf("%s would be stored as an event each, and every team that takes such events gets them.", many(n, "delivery")),
		"One that another attempt of the sender has stored already is a duplicate, and is only removed from quarantine. One without an event name that can be used stays.",
		"The console does not reach the gateway's Redis: if the sender repeats one of them within 24 hours it is stored once more, and the teams' inboxes know it. The command with REDIS_URL set tells Redis too.",
	}
	if as != "" {
		q.Would = append(q.Would, "Its event name would be "+as+".")
		q.Command += " --as " + quoted(as)
	}
	return q, nil
}

// nameFor is the event name that entries without one get.
func nameFor(r *http.Request) (string, error) {
	as := strings.TrimSpace(r.FormValue("as"))
	if as != "" && !event.ValidName(as) {
		return "", fmt.Errorf("%w: %q cannot be an event's name: use letters, digits, _ and - between single dots, at most %d bytes", errMisused, as, event.MaxName)
	}
	return as, nil
}

func (s *server) askDropEntries(r *http.Request) (*question, error) {
	q, n, err := s.askEntries(r, "drop", "Drop")
	if err != nil || n == 0 {
		return q, err
	}
	q.Danger = true
	q.Would = []string{many(n, "delivery") + " would be removed for good. They are authentic, and they are stored nowhere else unless a later attempt of the sender was taken: nobody gets them any more."}
	return q, nil
}

func (s *server) doRelease(r *http.Request, _ who) (said, back string, err error) {
	as, err := nameFor(r)
	if err != nil {
		return "", "", err
	}
	release := quarantine.Release{As: as, BodyIdentity: s.settings.Identity == "body"}
	var duplicates, stay int
	var why error
	return s.toEntries(r, audit.QuarantineRelease, func(ctx context.Context, e quarantine.Selection) (int, error) {
		return release.Prepare(ctx, s.js, e)
	}, func(ctx context.Context, e *quarantine.Entry) (bool, error) {
		o, err := release.Do(ctx, s.js, e)
		if err != nil {
			stay, why = stay+1, err
			return false, nil
		}
		if o.Duplicate {
			duplicates++
		}
		return true, nil
	}, func(done int) (string, error) {
		if done == 0 && stay > 0 {
			return "", fmt.Errorf("%w: %s stay in quarantine: %w", errMisused, many(stay, "delivery"), why)
		}
		said := many(done, "delivery") + " released"
		if duplicates > 0 {
			said += fmt.Sprintf("; %d of them had been stored before, and are not doubled", duplicates)
		}
		if stay > 0 {
			said += fmt.Sprintf("; %d stay in quarantine: %s", stay, why)
		}
		return said, nil
	})
}

func (s *server) doDropEntries(r *http.Request, _ who) (said, back string, err error) {
	return s.toEntries(r, audit.QuarantineDrop, func(context.Context, quarantine.Selection) (int, error) { return 0, nil },
		func(ctx context.Context, e *quarantine.Entry) (bool, error) {
			gone, err := quarantine.Drop(ctx, s.js, e)
			return !gone, err
		}, func(done int) (string, error) { return many(done, "delivery") + " dropped", nil })
}

// toEntries acts on a selection, one entry after the other, and writes it down, done or failed half-way.
func (s *server) toEntries(r *http.Request, action audit.Action, prepare func(context.Context, quarantine.Selection) (int, error),
	act func(context.Context, *quarantine.Entry) (done bool, err error), tell func(done int) (string, error)) (said, back string, err error) {
	selection, err := s.entriesOf(r)
	if err != nil {
		return "", "", err
	}
	leave, err := s.alone(r.Context())
	if err != nil {
		return "", "", err
	}
	defer leave()
	entry := audit.Entry{Action: action, What: strings.TrimPrefix(entriesCommand("", selection), "sluicectl quarantine  ")}
	found := 0
	if _, err = prepare(r.Context(), selection); err == nil {
		err = quarantine.Each(r.Context(), s.js, selection, func(e *quarantine.Entry) error {
			found++
			done, err := act(context.WithoutCancel(r.Context()), e) // what is begun is done
			if done {
				entry.Add(fmt.Sprint(e.Sequence))
			}
			return errors.Join(err, r.Context().Err())
		})
	}
	if errors.Is(err, quarantine.ErrNotFound) || err == nil && found == 0 {
		return "", "", fmt.Errorf("%w: there are no such entries in quarantine any more. Somebody released or dropped them; `sluicectl audit` says who", errLate)
	}
	if entry.Failed(err); entry.Count > 0 {
		s.record(r, entry)
	}
	if err != nil {
		return "", "", fmt.Errorf("%w: %d are done, the rest is as it was", err, entry.Count)
	}
	said, err = tell(entry.Count)
	return said, "/problems", err
}
