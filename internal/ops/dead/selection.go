package dead

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// Selection says which dead letters are meant: those that are all of what is set.
type Selection struct {
	Sequence uint64   // in DEAD
	Delivery string   // the sender's delivery id
	Team     string   // who gave them up
	Reason   string   // see event.HeaderReason
	Error    string   // part of the last error, in upper or lower case
	Like     string   // an error that the last one is like: it differs in numbers, ids and what is quoted at most
	Events   []string // patterns of event names, one of which matches
	From, To uint64   // sequences in DEAD, both inclusive; 0: from the first, to the last
}

func (s *Selection) subject() string { return "dead." + cmp.Or(s.Team, "*") + ".>" }

func (s *Selection) matches(l *Letter) bool {
	named := len(s.Events) == 0 || slices.ContainsFunc(s.Events, func(pattern string) bool { return event.Match(pattern, l.Name) })
	return named && s.spans(l.Sequence) && (s.Like == "" || kind(s.Like) == kind(l.Error)) && strings.Contains(strings.ToLower(l.Error), strings.ToLower(s.Error)) && (s.Delivery == "" || s.Delivery == l.Delivery) && (s.Team == "" || s.Team == l.Team) && (s.Reason == "" || s.Reason == l.Reason)
}

func (s *Selection) spans(sequence uint64) bool {
	return s.From <= sequence && (s.To == 0 || sequence <= s.To)
}

func (s *Selection) where(headersOnly bool) stream.Range {
	return stream.Range{Filters: []string{s.subject()}, From: s.From, To: s.To, HeadersOnly: headersOnly}
}

// Each calls take for each selected letter, with its body, the oldest first, and ends with its first error.
func Each(ctx context.Context, js jetstream.JetStream, s Selection, take func(*Letter) error) error {
	one := func(l *Letter) error {
		if s.matches(l) {
			return take(l)
		}
		return nil
	}
	if s.Sequence > 0 {
		l, err := Get(ctx, js, s.Sequence)
		if err != nil {
			return err
		}
		return one(l)
	}
	return stream.Read(ctx, js, stream.Dead, s.where(false), parsed(one))
}

// Headers is Each without bodies, and faster.
func Headers(ctx context.Context, js jetstream.JetStream, s Selection, take func(*Letter) error) error {
	if s.Sequence > 0 {
		return Each(ctx, js, s, take)
	}
	return stream.Read(ctx, js, stream.Dead, s.where(true), parsed(func(l *Letter) error {
		if s.matches(l) {
			return take(l)
		}
		return nil
	}))
}

// parsed skips messages that are not dead letters.
func parsed(take func(*Letter) error) func(*jetstream.RawStreamMsg) error {
	return func(m *jetstream.RawStreamMsg) error {
		l, err := parse(m)
		if err != nil {
			return nil
		}
		return take(l)
	}
}

// Group counts the letters of one team, event, reason and kind of error: of errors that differ in numbers, ids and what
// is quoted alone.
type Group struct {
	Team   string    `json:"team"`
	Event  string    `json:"event"`
	Reason string    `json:"reason"`
	Count  int       `json:"count"`
	First  time.Time `json:"first"` // when the first of them was dead-lettered
	Last   time.Time `json:"last"`
	Error  string    `json:"last_error"`

	Sequence uint64 `json:"last_id"`       // in DEAD, of the last of them
	Delivery string `json:"last_delivery"` // of the last of them
}

// Groups counts the selected letters by team, event, reason and kind of error, in this order, the most frequent kind
// first.
func Groups(ctx context.Context, js jetstream.JetStream, s Selection) ([]*Group, error) {
	var groups []*Group
	of := map[[4]string]*Group{}
	err := Headers(ctx, js, s, func(l *Letter) error {
		key := [4]string{l.Team, l.Name, l.Reason, kind(l.Error)}
		g := of[key]
		if g == nil {
			g = &Group{Team: l.Team, Event: l.Name, Reason: l.Reason, First: l.Failed}
			of[key], groups = g, append(groups, g)
		}
		g.Count, g.Last, g.Error, g.Sequence, g.Delivery = g.Count+1, l.Failed, l.Error, l.Sequence, l.Delivery
		return nil
	})
	slices.SortFunc(groups, func(a, b *Group) int {
		return cmp.Or(strings.Compare(a.Team, b.Team), strings.Compare(a.Event, b.Event), strings.Compare(a.Reason, b.Reason), b.Count-a.Count, strings.Compare(a.Error, b.Error))
	})
	return groups, err
}

var differs = regexp.MustCompile(`"[^"]*"|'[^']*'|\x60[^\x60]*\x60|[0-9a-fA-F]{8}[0-9a-fA-F-]*|\d+`)

// kind is an error without what differs from event to event.
func kind(text string) string { return differs.ReplaceAllString(text, "…") }
