package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/ops/dead"
	"github.com/sluicehq/sluice/pkg/event"
)

func deadShowCommand() *cobra.Command {
	c := connected(&cobra.Command{
		Use: "show <id or delivery id>", Short: "Print everything about a dead letter", Args: cobra.ExactArgs(1),
		Example: "  sluicectl dead show 1\n  sluicectl dead show 5c3be9d2-0a63-4d3c-8d3c-0f4f0c6f4f55",
	}, func(ctx context.Context, s *session, args []string) error { return s.showLetters(ctx, args[0]) })
	c.ValidArgsFunction = completeFirst(completeLetters)
	return c
}

func (s *session) showLetters(ctx context.Context, id string) error {
	var selection dead.Selection
	selection.Sequence, selection.Delivery = parseID(id)
	letters := []letterJSON{}
	count := 0
	err := dead.Each(ctx, s.js, selection, func(l *dead.Letter) error {
		if count++; s.json() {
			letters = append(letters, newLetterJSON(l))
			return nil
		}
		if count > 1 {
			fmt.Fprintln(s.out)
		}
		s.showLetter(l)
		return nil
	})
	switch {
	case errors.Is(err, dead.ErrNotFound), err == nil && count == 0:
		return nothing("no dead letter %s: sluicectl dead list --each shows those that there are", id)
	case err == nil && s.json():
		return object(s.out, letters)
	}
	return err
}

// own are the headers that are shown in words.
var own = []string{event.HeaderFailure, event.HeaderHistory, event.HeaderRedriven, event.HeaderTeam, event.HeaderReason, event.HeaderError, event.HeaderFailed, event.HeaderAttempts}

func (s *session) showLetter(l *dead.Letter) {
	fmt.Fprintf(s.out, "dead letter #%d of %s\n", l.Sequence, l.Team)
	fields(s.out, "event", l.Name, "delivery", l.Delivery, "identity", l.Identity, "received", clock(l.Received),
		"stored as", fmt.Sprintf("EVENTS #%d", l.Event.Sequence), "replay", l.Replay, "reason", l.Reason, "error", l.Error,
		"attempts", l.Attempt, "dead since", clock(l.Failed), "redriven", redriven(l.Header))
	fmt.Fprintln(s.out, "\nattempts")
	printFailures(s.out, "  ", l.Failures)
	if history := event.History(l.Header); len(history) > 0 {
		fmt.Fprintln(s.out, "\nbefore it was redriven")
		printFailures(s.out, "  ", history)
	}
	fmt.Fprintln(s.out, "\nheaders")
	printHeaders(s.out, l.Header, own...)
	fmt.Fprintf(s.out, "\nbody, %d bytes\n", len(l.Body))
	printBody(s.out, l.Body)
}

// redriven says which dead letters an event was before.
func redriven(header map[string][]string) string {
	var before []string
	for _, sequence := range event.Redriven(header) {
		before = append(before, fmt.Sprintf("#%d", sequence))
	}
	if len(before) == 0 {
		return ""
	}
	return "it was " + strings.Join(before, ", ") + " before"
}

// letterJSON is a dead letter for programs.
type letterJSON struct {
	ID       uint64              `json:"id"`
	Team     string              `json:"team"`
	Event    string              `json:"event"`
	Delivery string              `json:"delivery"`
	Identity string              `json:"identity"`
	Sequence uint64              `json:"sequence"` // of the event in EVENTS
	Replay   string              `json:"replay,omitempty"`
	Reason   string              `json:"reason"`
	Error    string              `json:"error"`
	Attempts int                 `json:"attempts"`
	Failed   time.Time           `json:"failed"`
	Received time.Time           `json:"received"`
	Redriven []uint64            `json:"redriven,omitempty"`
	Failures []failureJSON       `json:"failures,omitempty"`
	History  []failureJSON       `json:"history,omitempty"`
	Header   map[string][]string `json:"header"`
	Body     json.RawMessage     `json:"body,omitempty"`
	Base64   []byte              `json:"body_base64,omitempty"`
}

type failureJSON struct {
	At    time.Time `json:"at"`
	Error string    `json:"error"`
}

func failuresJSON(failures []event.Failure) (all []failureJSON) {
	for _, f := range failures {
		all = append(all, failureJSON(f))
	}
	return all
}

func newLetterJSON(l *dead.Letter) letterJSON {
	j := letterJSON{
		ID: l.Sequence, Team: l.Team, Event: l.Name, Delivery: l.Delivery, Identity: l.Identity, Sequence: l.Event.Sequence,
		Replay: l.Replay, Reason: l.Reason, Error: l.Error, Attempts: l.Attempt, Failed: l.Failed, Received: l.Received,
		Redriven: event.Redriven(l.Header), Failures: failuresJSON(l.Failures), History: failuresJSON(event.History(l.Header)), Header: l.Header,
	}
	j.Body, j.Base64 = bodyJSON(l.Body)
	return j
}

// bodyJSON is a body as JSON, where it is JSON, and its bytes as they came.
func bodyJSON(body []byte) (text json.RawMessage, bytes []byte) {
	if json.Valid(body) {
		text = body
	}
	return text, body
}
