package requests

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// Where a text was found.
const (
	InDelivery = "delivery id"
	InBody     = "body"
)

// Hit is a message in which a text was found.
type Hit struct {
	Stream   string    `json:"stream"` // EVENTS, QUARANTINE, REFUSED or DEAD
	Sequence uint64    `json:"sequence"`
	Subject  string    `json:"subject"`
	Stored   time.Time `json:"stored"`
	Delivery string    `json:"delivery,omitempty"` // as it came, or as the gateway has made it
	Where    string    `json:"where"`
	Left     string    `json:"left,omitempty"`  // what stands before it in the body
	Right    string    `json:"right,omitempty"` // and behind
}

// Looked is what of a stream was searched.
type Looked struct {
	Stream   string    `json:"stream"`
	Messages int       `json:"messages"`
	Stored   uint64    `json:"stored"` // how many there are in all
	Until    time.Time `json:"until"`  // how far back; zero where none were looked at
	Next     uint64    `json:"next"`   // below this sequence it was not searched; 0 where it was to the end
}

// Found is the result of a search.
type Found struct {
	Hits   []Hit    `json:"hits"` // the newest first, of each stream
	Looked []Looked `json:"searched"`
	Full   bool     `json:"full"` // as many were found as are shown: there may be more
}

// Bounds of a search.
const (
	mostHits   = 50  // in each stream
	around     = 60  // bytes before and behind what was found
	searchStep = 128 // messages that are read together
)

// Search looks for a text in the delivery ids and bodies of the last events, and of what is in quarantine, was refused or
// dead-lettered: byte for byte, in the newest first, in at most so many messages of each stream, and no longer than ctx or
// a while. Before is where it goes on in EVENTS; 0 begins at the newest, and the other streams are searched then alone.
func Search(ctx context.Context, js jetstream.JetStream, text string, most uint64, within time.Duration, before uint64) (*Found, error) {
	s := &search{js: js, text: []byte(text), most: most, deadline: time.Now().Add(within), found: &Found{Hits: []Hit{}}}
	if err := s.in(ctx, stream.Events, before); err != nil {
		return nil, err
	}
	if before > 0 {
		return s.found, nil
	}
	for _, name := range []string{stream.Refused, stream.Quarantine, stream.Dead} {
		s.deadline = time.Now().Add(within / 4)
		if err := s.in(ctx, name, 0); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return nil, err
		}
	}
	return s.found, nil
}

type search struct {
	js       jetstream.JetStream
	text     []byte
	most     uint64
	deadline time.Time
	found    *Found
}

// in searches one stream.
func (s *search) in(ctx context.Context, name string, before uint64) error {
	of, err := s.js.Stream(ctx, name)
	if err != nil {
		return err
	}
	state := of.CachedInfo().State
	looked, full := Looked{Stream: name, Stored: state.Msgs}, len(s.found.Hits)+mostHits
	if before == 0 || before > state.LastSeq {
		before = state.LastSeq + 1
	}
	for begun := false; before > max(state.FirstSeq, 1) && uint64(looked.Messages) < s.most && len(s.found.Hits) < full && (!begun || time.Now().Before(s.deadline)); begun = true {
		step := min(searchStep, s.most-uint64(looked.Messages))
		read, first, err := stream.Back(ctx, s.js, name, before, step)
		if err != nil {
			return err
		}
		for _, m := range read {
			if len(s.found.Hits) == full {
				first, s.found.Full = m.Sequence+1, true
				break
			}
			looked.Messages++
			looked.Until = m.Time.UTC()
			s.look(name, m)
		}
		before = first
	}
	if before > max(state.FirstSeq, 1) && state.Msgs > 0 {
		looked.Next = before
		s.found.Full = s.found.Full || len(s.found.Hits) == full
	}
	s.found.Looked = append(s.found.Looked, looked)
	return nil
}

func (s *search) look(name string, m *jetstream.RawStreamMsg) {
	hit := Hit{Stream: name, Sequence: m.Sequence, Subject: m.Subject, Stored: m.Time.UTC(), Delivery: m.Header.Get(zorio.HeaderDelivery), Where: InDelivery}
	if hit.Delivery == "" { // the gateway has made one
		if row, ours := NewRow(name, m); ours {
			hit.Delivery = row.Delivery
		}
	}
	if hit.Delivery != string(s.text) {
		at := bytes.Index(m.Data, s.text)
		if at < 0 {
			return
		}
		end := at + len(s.text)
		hit.Where, hit.Left, hit.Right = InBody, string(m.Data[max(0, at-around):at]), string(m.Data[end:min(len(m.Data), end+around)])
	}
	s.found.Hits = append(s.found.Hits, hit)
}
