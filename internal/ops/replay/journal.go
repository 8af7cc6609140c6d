package replay

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
)

// Journal keeps an [Entry] for each replay, for more than a year, as durably as the streams.
type Journal struct {
	js     jetstream.JetStream
	bucket jetstream.KeyValue
}

// ErrNotFound says that there is no replay of that id.
var ErrNotFound = errors.New("no such replay")

var errUnreadable = errors.New("cannot parse the journal's entry")

// OpenJournal opens the journal that the gateway declares.
func OpenJournal(ctx context.Context, js jetstream.JetStream) (*Journal, error) {
	bucket, err := js.KeyValue(ctx, stream.Replays)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, fmt.Errorf("the bucket %s is not there (%w): a gateway of this version makes it when it starts", stream.Replays, err)
	}
	if err != nil {
		return nil, err
	}
	return &Journal{js, bucket}, nil
}

// Get returns one entry, or [ErrNotFound].
func (j *Journal) Get(ctx context.Context, id string) (*Entry, error) {
	e, _, err := j.get(ctx, id)
	return e, err
}

func (j *Journal) get(ctx context.Context, id string) (*Entry, uint64, error) {
	found, err := j.bucket.Get(ctx, id)
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrInvalidKey) {
		return nil, 0, fmt.Errorf("%w: %s: sluicectl replay list shows those that there are", ErrNotFound, id)
	}
	if err != nil {
		return nil, 0, err
	}
	var e Entry
	if err := json.Unmarshal(found.Value(), &e); err != nil {
		return nil, 0, fmt.Errorf("%w of %s: %w", errUnreadable, id, err)
	}
	e.ID = id
	return e.lookAlive(time.Now()), found.Revision(), nil
}

// List returns every entry, the newest first; one that nobody can read is [Unreadable].
func (j *Journal) List(ctx context.Context) (entries []*Entry, err error) {
	const keys = "$KV." + stream.Replays + "."
	err = stream.Scan(ctx, j.js, "KV_"+stream.Replays, keys+">", func(m *jetstream.RawStreamMsg) error {
		e := &Entry{ID: strings.TrimPrefix(m.Subject, keys)}
		if m.Header.Get("KV-Operation") != "" { // it was removed
			return nil
		}
		if err := json.Unmarshal(m.Data, e); err != nil {
			e.State, e.Error = Unreadable, fmt.Errorf("%w of %s: %w", errUnreadable, e.ID, err).Error()
		}
		e.ID = strings.TrimPrefix(m.Subject, keys)
		entries = append(entries, e.lookAlive(time.Now()))
		return nil
	})
	slices.SortFunc(entries, func(a, b *Entry) int { return -cmp.Compare(a.ID, b.ID) })
	return entries, err
}

// Begin enters a replay as running. It gives it its id.
func (j *Journal) Begin(ctx context.Context, e Entry) (*Record, error) {
	now := time.Now().UTC()
	e.ID, e.Started = newID(now), now
	r := &Record{journal: j, entry: e}
	return r, r.write(ctx, Running)
}

// Resume enters a replay as running again. The error says so when it is done, or runs elsewhere.
func (j *Journal) Resume(ctx context.Context, id, by string) (*Record, error) {
	e, revision, err := j.get(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case e.Resumable() != nil:
		return nil, e.Resumable()
	}
	e.By, e.Error = by, ""
	r := &Record{journal: j, entry: *e, revision: revision}
	return r, r.write(ctx, Running)
}

// Stop asks a running replay to end, which its process does within a second; one that is not running stays resumable
// all the same. What it has queued for its team already is not touched, see [Purge].
func (j *Journal) Stop(ctx context.Context, id string) (*Entry, error) {
	for {
		e, revision, err := j.get(ctx, id)
		if err != nil || e.State == Done || e.State == Stopped {
			return e, err
		}
		e.State = Stopped
		text, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		if _, err = j.bucket.Update(ctx, id, text, revision); !isConflict(err) {
			return e, err
		}
	}
}

// isConflict knows that somebody else wrote the entry meanwhile.
func isConflict(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence
}
