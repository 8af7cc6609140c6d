// Package audit keeps what operators did to events and teams: who, when, what, and to how many.
package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// Action is what an operator did: two tokens of a subject, what it was done to and what was done.
type Action string

// The actions.
const (
	ReplayStart       Action = "replay.start"
	ReplayStop        Action = "replay.stop"
	ReplayResume      Action = "replay.resume"
	ReplayPurge       Action = "replay.purge"
	DeadRedrive       Action = "dead.redrive"
	DeadDrop          Action = "dead.drop"
	QuarantineRelease Action = "quarantine.release"
	QuarantineDrop    Action = "quarantine.drop"
	TeamPause         Action = "team.pause"
	TeamResume        Action = "team.resume"
	TeamAdd           Action = "team.add"
	TeamRemove        Action = "team.remove"
	StreamsMigrate    Action = "streams.migrate"
	StreamsRelease    Action = "streams.release"
	EventSend         Action = "event.send" // a test event, from the console
)

// Actions are all of them.
var Actions = []Action{ReplayStart, ReplayStop, ReplayResume, ReplayPurge, DeadRedrive, DeadDrop, QuarantineRelease, QuarantineDrop,
	TeamPause, TeamResume, TeamAdd, TeamRemove, StreamsMigrate, StreamsRelease, EventSend}

// Entry is one action.
type Entry struct {
	Sequence uint64    `json:"sequence"` // in AUDIT
	At       time.Time `json:"at"`       // when it was written down
	By       string    `json:"by"`       // user@host
	Action   Action    `json:"action"`
	Teams    []string  `json:"teams,omitempty"`
	What     string    `json:"what,omitempty"`  // what was asked for, in words
	IDs      []string  `json:"ids,omitempty"`   // what it was done to: the first of them
	Count    int       `json:"count"`           // how many it was done to
	Error    string    `json:"error,omitempty"` // why it did not finish
}

// Bounds of an entry.
const (
	maxIDs  = 100
	maxText = 1000 // bytes of a text
	maxID   = 128
)

// Add counts one more that the action was done to. Of many only the first ids are kept.
func (e *Entry) Add(id string) {
	e.Count++
	if len(e.IDs) < maxIDs {
		e.IDs = append(e.IDs, event.OneLine(id, maxID))
	}
}

// Failed notes why the action did not finish; nil notes nothing.
func (e *Entry) Failed(err error) {
	if err != nil {
		e.Error = err.Error()
	}
}

const (
	recordWithin = 5 * time.Second
	prefix       = "audit."
)

// Record writes an action down. On a nil return it is stored as durably as the stream AUDIT stores, for more than a
// year. It is called when the action is done, or has failed half-way, and also when ctx has ended: an error is to be
// told, and does not undo the action.
func Record(ctx context.Context, js jetstream.JetStream, e Entry) error {
	e.At, e.Sequence = time.Now().UTC(), 0
	e.By, e.What, e.Error = event.OneLine(e.By, maxText), event.OneLine(e.What, maxText), event.OneLine(e.Error, maxText)
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWithin)
	defer cancel()
	ctx, stop := stream.UnlessForbidden(ctx, js.Conn(), prefix)
	defer stop()
	_, err = js.Publish(ctx, prefix+string(e.Action), text, jetstream.WithExpectStream(stream.Audit))
	if errors.Is(err, jetstream.ErrNoStreamResponse) {
		return stream.Missing(stream.Audit)
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", stream.Audit, cmp.Or(forbidden(ctx), err))
	}
	return nil
}

func forbidden(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, stream.ErrForbidden) {
		return cause
	}
	return nil
}

// Selection says which actions are meant: those that are all of what is set.
type Selection struct {
	Since  time.Time
	Action string // replay.start, or replay for all that was done to replays
	Team   string
}

// ValidAction reports whether some action is of that name, or begins with it.
func ValidAction(name string) bool {
	for _, a := range Actions {
		if what, _, _ := strings.Cut(string(a), "."); name == what || name == string(a) {
			return true
		}
	}
	return false
}

func (s *Selection) filters() []string {
	switch {
	case s.Action == "":
		return nil
	case strings.Contains(s.Action, "."):
		return []string{prefix + s.Action}
	}
	return []string{prefix + s.Action + ".>"}
}

// Each calls take for each selected action, the oldest first, and ends with its first error. What is no entry of ours is
// skipped.
func Each(ctx context.Context, js jetstream.JetStream, s Selection, take func(*Entry) error) error {
	return stream.Read(ctx, js, stream.Audit, stream.Range{Filters: s.filters(), Since: s.Since}, func(m *jetstream.RawStreamMsg) error {
		var e Entry
		if err := json.Unmarshal(m.Data, &e); err != nil || e.Action == "" || s.Team != "" && !slices.Contains(e.Teams, s.Team) {
			return nil
		}
		e.Sequence = m.Sequence
		return take(&e)
	})
}
