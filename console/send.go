package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/ops/audit"
	"github.com/sluicehq/sluice/internal/ops/send"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/zorio"
)

func (s *server) sendRoutes() {
	s.page(page{path: "/send", name: "send", title: "Send", menu: true, data: s.sendPage})
	s.action(action{path: "/send/now", of: "send", ask: s.askSend, do: s.doSend})
}

// sendView is a test event that can be sent.
type sendView struct {
	Names   []string
	Event   string
	Body    body
	Gateway string
	Ready   bool // there is a secret to sign with
}

// Title names the page.
func (sendView) Title() string { return "Send a test event" }

func (s *server) sendPage(r *http.Request) (any, error) {
	v := sendView{Names: zorio.Names(), Event: r.FormValue("event"), Gateway: mask.Address(s.settings.Gateway), Ready: s.settings.secret() != "" && s.settings.Gateway != ""}
	if v.Event == "" {
		v.Event = v.Names[0]
	}
	sample, known := zorio.Sample(v.Event)
	if !known {
		return nil, unknownSample(v.Event)
	}
	v.Body = bodyOf(sample, "")
	v.Body.Size = 0 // it has not come: there is nothing to download
	return v, nil
}

func unknownSample(name string) error {
	return fmt.Errorf("%w: there is no sample of %q: use one of %s", errNothing, plain(name), strings.Join(zorio.Names(), ", "))
}

func (s *server) askSend(r *http.Request) (*question, error) {
	name := r.FormValue("event")
	if !slices.Contains(zorio.Names(), name) {
		return nil, unknownSample(name)
	}
	q := &question{Title: "Send " + name + "?", Back: "/send?" + url.Values{"event": {name}}.Encode(), Command: "sluicectl send " + name}
	if s.settings.secret() == "" || s.settings.Gateway == "" {
		q.Would = []string{"The console cannot sign it: set ZORIO_WEBHOOK_SECRET or ZORIO_WEBHOOK_SECRET_FILE, and SLUICE_CONSOLE_GATEWAY, where it is started."}
		return q, nil
	}
	teams, err := team.All(r.Context(), s.js)
	if err != nil {
		return nil, err
	}
	var takers []string
	for _, t := range teams {
		if t.Takes(name) {
			takers = append(takers, t.Name)
		}
	}
	who := strings.Join(takers, " and ")
	if who == "" {
		who = "no team yet; it waits in the stream"
	}
	q.Button = "Send it"
	q.Would = []string{
		fmt.Sprintf("One event would be signed and posted to the gateway at %s, as the sender does it.", mask.Address(s.settings.Gateway)),
		"It is a real event with a sample's numbers in it. It goes to " + who + ".",
	}
	return q, nil
}

// How long a gateway may take, and how long the event is looked for in the stream.
const (
	sendWithin = 6 * time.Second
	findWithin = 3 * time.Second
	mostBehind = 20_000 // events that came since it was sent
)

func (s *server) doSend(r *http.Request, _ who) (said, back string, err error) {
	d, known := send.Sample(r.FormValue("event"))
	switch {
	case !known:
		return "", "", unknownSample(r.FormValue("event"))
	case s.settings.secret() == "" || s.settings.Gateway == "":
		return "", "", fmt.Errorf("%w: the console cannot sign it: set ZORIO_WEBHOOK_SECRET or ZORIO_WEBHOOK_SECRET_FILE, and SLUICE_CONSOLE_GATEWAY, where it is started", errMisused)
	}
	events, err := s.js.Stream(r.Context(), stream.Events)
	if err != nil {
		return "", "", err
	}
	from := events.CachedInfo().State.LastSeq + 1
	ctx, cancel := context.WithTimeout(r.Context(), sendWithin)
	defer cancel()
	answer, took, err := d.Post(ctx, http.DefaultClient, s.settings.Gateway, s.settings.secret())
	if err != nil {
		return "", "", fmt.Errorf("%s: is the gateway running there? SLUICE_CONSOLE_GATEWAY is its address", mask.Text(err.Error(), s.settings.Gateway))
	}
	err = send.Taken(answer)
	entry := audit.Entry{Action: audit.EventSend, What: d.Name + " to " + mask.Address(s.settings.Gateway), IDs: []string{d.ID}, Count: 1}
	entry.Failed(err)
	if s.record(r, entry); err != nil {
		return "", "", err
	}
	said = fmt.Sprintf("%s was answered %s in %.1f ms", d.Name, answer, float64(took)/float64(time.Millisecond))
	sequence, err := s.await(r.Context(), d, from)
	if err != nil {
		return said + ". It is not in the stream yet: see what became of it here", "/requests?" + url.Values{"delivery": {d.ID}}.Encode(), nil
	}
	return said + ". This page shows how it travels", fmt.Sprintf("/events/%d", sequence), nil
}

var errFound = errors.New("found")

// await looks for a delivery among the events since it was sent.
func (s *server) await(ctx context.Context, d send.Delivery, from uint64) (sequence uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, findWithin)
	defer cancel()
	where := stream.Range{Filters: []string{event.Subject(zorio.Source, d.Name)}, From: from, To: from + mostBehind, HeadersOnly: true}
	for ctx.Err() == nil {
		err = stream.Read(ctx, s.js, stream.Events, where, func(m *jetstream.RawStreamMsg) error {
			if e, err := event.Parse(m.Subject, m.Header, nil); err == nil && m.Header.Get(zorio.HeaderDelivery) == d.ID || err == nil && e.Delivery == d.ID {
				sequence = m.Sequence
				return errFound
			}
			return nil
		})
		if errors.Is(err, errFound) {
			return sequence, nil
		}
		stream.Pause(ctx, 50*time.Millisecond)
	}
	return 0, ctx.Err()
}
