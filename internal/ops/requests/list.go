package requests

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/refused"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// Filter says which requests are meant: those that are all of what is set.
type Filter struct {
	Since    time.Time // stored then or later
	Until    time.Time // stored before
	Source   string
	Event    string // name, or a pattern of names such as pbx.>
	Answer   string // [Accepted], [Refused], or one of [refused.Causes]
	Delivery string
}

// Refused as an answer means every one but [Accepted].
const Refused = "refused"

// Position is where a list goes on: below these sequences. 0 is at the end of the stream.
type Position struct{ Events, Refused uint64 }

// Page is a part of a list.
type Page struct {
	Rows   []Row
	Next   Position  // where it goes on
	More   bool      // it does
	Looked int       // requests that were looked at
	Until  time.Time // how far back
	Early  bool      // it ends because of a bound, and not because it is full
}

// Bounds of one page.
const (
	mostLooked = 20_000                 // requests that are looked at
	within     = 100 * time.Millisecond // after which no more are, but for as many as fill a page
)

// List returns the requests at a position, at most so many. It looks at a bounded number of them, and for a bounded time:
// where that was not enough, the page ends early and says how far it came.
func List(ctx context.Context, js jetstream.JetStream, f Filter, at Position, most int) (*Page, error) {
	l := &lister{js: js, filter: f, page: &Page{Next: at}}
	if err := l.open(ctx, at); err != nil {
		return nil, err
	}
	return l.page, l.fill(ctx, most)
}

// lister merges two lanes by time.
type lister struct {
	js     jetstream.JetStream
	filter Filter
	page   *Page
	lanes  []lane
	names  []string // of their streams
}

// open makes a lane of each stream that may have what is meant.
func (l *lister) open(ctx context.Context, at Position) error {
	if a := l.filter.Answer; a == "" || a == Accepted {
		if err := l.openEvents(ctx, at.Events); err != nil {
			return err
		}
	}
	if l.filter.Answer == Accepted {
		return nil
	}
	return l.openRefused(ctx, at.Refused)
}

func (l *lister) openEvents(ctx context.Context, before uint64) error {
	first, before, info, err := l.bounds(ctx, stream.Events, before)
	if err != nil {
		return err
	}
	l.page.Next.Events = before
	var of lane = &whole{name: stream.Events, first: first, before: before}
	subjects := matching(info, l.filter.Source, l.filter.Event)
	switch {
	case info.State.Subjects == nil && event.ValidName(l.filter.Event): // there are too many to list them
		of = &few{name: stream.Events, subjects: []string{event.Subject(cmp.Or(l.filter.Source, "*"), l.filter.Event)}, before: before}
	case info.State.Subjects == nil || len(subjects) == len(info.State.Subjects): // all of them are meant, or are looked at
	case len(subjects) == 0:
		return nil
	default:
		of = &few{name: stream.Events, subjects: subjects, before: before}
	}
	l.lanes, l.names = append(l.lanes, of), append(l.names, stream.Events)
	return nil
}

func (l *lister) openRefused(ctx context.Context, before uint64) error {
	_, before, info, err := l.bounds(ctx, stream.Refused, before)
	if errors.Is(err, jetstream.ErrStreamNotFound) { // of a gateway of an earlier version
		return nil
	}
	if err != nil {
		return err
	}
	l.page.Next.Refused = before
	cause := ""
	if l.filter.Answer != Refused {
		cause = l.filter.Answer
	}
	subjects := matching(info, l.filter.Source, cause)
	l.lanes, l.names = append(l.lanes, &few{name: stream.Refused, subjects: subjects, before: before}), append(l.names, stream.Refused)
	return nil
}

// bounds are the first sequence of a stream that is meant, and the one behind the last.
func (l *lister) bounds(ctx context.Context, name string, before uint64) (first, end uint64, info *jetstream.StreamInfo, err error) {
	if info, err = look(ctx, l.js, name); err != nil {
		return 0, 0, nil, err
	}
	first, end = info.State.FirstSeq, info.State.LastSeq+1
	if !l.filter.Until.IsZero() {
		if end, err = stream.SequenceAt(ctx, l.js, info, l.filter.Until); err != nil {
			return 0, 0, nil, err
		}
	}
	if before > 0 {
		end = min(end, before)
	}
	return first, end, info, nil
}

// mostSubjects is how many subjects are listed: as many kinds of events as anybody could look at. [stream.LastBefore] takes
// no more either.
var mostSubjects uint64 = 1000

// look is what a stream holds, by subject where it has not too many.
func look(ctx context.Context, js jetstream.JetStream, name string) (*jetstream.StreamInfo, error) {
	s, err := js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, stream.Missing(name)
	}
	if err != nil {
		return nil, err
	}
	if s.CachedInfo().State.NumSubjects > mostSubjects { // then nothing is said of them
		return s.CachedInfo(), nil
	}
	return s.Info(ctx, jetstream.WithSubjectFilter(strings.ToLower(name)+".>"))
}

// matching are the subjects of a source, with a name or cause behind it; empty means any.
func matching(info *jetstream.StreamInfo, source, rest string) (subjects []string) {
	for subject := range info.State.Subjects {
		tokens := strings.SplitN(subject, ".", 3)
		if len(tokens) == 3 && (source == "" || source == tokens[1]) && (rest == "" || event.Match(rest, tokens[2])) {
			subjects = append(subjects, subject)
		}
	}
	slices.Sort(subjects)
	return subjects
}

// fill takes from the lane whose head is the newest until the page is full, or nothing is left.
func (l *lister) fill(ctx context.Context, most int) error {
	deadline := time.Now().Add(within)
	for l.page.Looked < mostLooked {
		at, m, err := l.newest(ctx)
		if err != nil {
			return err
		}
		if m == nil || m.Time.Before(l.filter.Since) {
			l.page.More = false
			return nil
		}
		if len(l.page.Rows) == most {
			l.page.More = true
			return nil
		}
		if l.page.Looked >= most && time.Now().After(deadline) { // as many as fill a page are looked at in any case
			break
		}
		l.lanes[at].take()
		l.page.Looked++
		l.page.Until = m.Time.UTC()
		l.passed(l.names[at], m.Sequence)
		if row, ours := NewRow(l.names[at], m); ours && l.filter.takes(&row) {
			l.page.Rows = append(l.page.Rows, row)
		}
	}
	l.page.More, l.page.Early = true, true
	return nil
}

func (l *lister) newest(ctx context.Context) (at int, newest *jetstream.RawStreamMsg, err error) {
	for i, one := range l.lanes {
		m, err := one.head(ctx, l.js)
		if err != nil {
			return 0, nil, err
		}
		if m != nil && (newest == nil || m.Time.After(newest.Time)) {
			at, newest = i, m
		}
	}
	return at, newest, nil
}

// passed notes that everything of a stream from a sequence on is in the pages so far.
func (l *lister) passed(name string, sequence uint64) {
	if name == stream.Events {
		l.page.Next.Events = sequence
		return
	}
	l.page.Next.Refused = sequence
}

func (f *Filter) takes(r *Row) bool {
	return (f.Source == "" || f.Source == r.Source) && (f.Event == "" || event.Match(f.Event, r.Event)) && (f.Delivery == "" || f.Delivery == r.Delivery) && f.answered(r.Answer)
}

func (f *Filter) answered(answer string) bool {
	return f.Answer == "" || f.Answer == answer || f.Answer == Refused && slices.Contains(refused.Causes, answer)
}
