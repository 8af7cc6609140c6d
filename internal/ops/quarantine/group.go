package quarantine

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Group counts the entries of one source, reason and event, as their headers name it.
type Group struct {
	Source   string    `json:"source"`
	Reason   string    `json:"reason"`
	Event    string    `json:"event"` // nobody has signed it
	Count    int       `json:"count"`
	First    time.Time `json:"first"` // when the first of them was received
	Last     time.Time `json:"last"`
	Sequence uint64    `json:"last_id"`       // in QUARANTINE, of the last of them
	Delivery string    `json:"last_delivery"` // of the last of them
}

// Groups counts the selected entries by source, reason and event, in this order. It reads headers alone.
func Groups(ctx context.Context, js jetstream.JetStream, s Selection) ([]*Group, error) {
	var groups []*Group
	of := map[[3]string]*Group{}
	err := Headers(ctx, js, s, func(e *Entry) error {
		key := [3]string{e.Source, e.Reason, e.Claimed()}
		g := of[key]
		if g == nil {
			g = &Group{Source: e.Source, Reason: e.Reason, Event: e.Claimed(), First: e.Received}
			of[key], groups = g, append(groups, g)
		}
		g.Count, g.Last, g.Sequence, g.Delivery = g.Count+1, e.Received, e.Sequence, e.Delivery
		return nil
	})
	slices.SortFunc(groups, func(a, b *Group) int {
		return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(a.Reason, b.Reason), b.Count-a.Count, strings.Compare(a.Event, b.Event))
	})
	return groups, err
}
