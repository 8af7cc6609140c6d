package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluicehq/sluice/gateway/drain"
	"github.com/sluicehq/sluice/gateway/ingest"
	"github.com/sluicehq/sluice/gateway/journal"
)

// journals are the gateway's own journal, and those that others have left on this machine with something in them. Each lies
// in a numbered folder, so that a new version may start while the old one still runs.
type journals struct {
	settings *Settings
	log      *slog.Logger
	own      *journal.Journal
	folder   string       // of the own one
	into     drain.Config // of all
	draining *drain.Drain // the own one
	adopted  sync.Map     // by folder
	tried    sync.Map     // folders of others that have something set aside
	failed   atomic.Pointer[failure]
	unwell   atomic.Int64 // when it was not well last, or started; Unix nanoseconds
}

// failure is why the journal did not take a group.
type failure struct {
	error
	at time.Time
}

const (
	mostJournals = 16
	adoptEvery   = 10 * time.Second
	spillRate    = 20_000                 // entries a second that go to a NATS elsewhere beside live deliveries
	emptyWithin  = 500 * time.Millisecond // at a stop: what is left is for the next start
	oldAfter     = 5 * time.Second        // an entry that waits for longer is worth a word
	failedFor    = 10 * time.Second       // after a failure: with NATS back nothing may be kept that would show its end
)

// openJournals opens the first journal that no other process has; nil where the deployment wants none.
func openJournals(s *Settings, log *slog.Logger) (*journals, error) {
	j := &journals{settings: s, log: log}
	if s.Journal == "off" {
		j.warnOfLeft()
		return nil, nil
	}
	if err := os.MkdirAll(s.Data, 0o755); err != nil {
		return nil, fmt.Errorf("SLUICE_DATA=%q: %w: name a folder that this user may write; or set SLUICE_JOURNAL=off for a machine without a persistent disk", s.Data, err)
	}
	j.unwell.Store(time.Now().UnixNano())
	for n := 1; n <= mostJournals; n++ {
		own, err := j.open(j.path(n))
		if err == nil {
			j.own, j.folder = own, j.path(n)
			return j, nil
		}
		if !isInUse(err) {
			return nil, fmt.Errorf("SLUICE_DATA=%q: %w; or set SLUICE_JOURNAL=off for a machine without a persistent disk", s.Data, err)
		}
	}
	return nil, fmt.Errorf("SLUICE_DATA=%q: %d gateways use it already: give this one a folder of its own", s.Data, mostJournals)
}

// warnOfLeft names what lies in journals that nobody publishes while they are off.
func (j *journals) warnOfLeft() {
	for n := 1; n <= mostJournals; n++ {
		if !isThere(j.path(n)) {
			continue
		}
		left, err := j.open(j.path(n))
		if err != nil {
			continue // another gateway has it
		}
		if left.Depth() > 0 {
			j.log.Error("a journal has deliveries that are not published", "deliveries", left.Depth(), "folder", j.path(n), "remedy", "start the gateway once without SLUICE_JOURNAL=off")
		}
		_ = left.Close() // all of it is synced
	}
}

func (j *journals) path(n int) string {
	return filepath.Join(j.settings.Data, "journal", fmt.Sprintf("%02d", n))
}

func (j *journals) open(folder string) (*journal.Journal, error) {
	return journal.Open(journal.Options{Dir: folder, MaxBytes: j.limit(), Log: j.log})
}

// limit is what the deployment allows, and on a small disk less: the embedded NATS needs most of it for the streams.
func (j *journals) limit() int64 {
	limit, share := int64(j.settings.JournalMaxBytes), int64(2)
	if j.settings.NATSURL == "" {
		share = 8
	}
	if _, size, err := diskOf(j.settings.Data); err == nil {
		limit = min(limit, size/share)
	}
	return max(limit, journal.LeastBytes)
}

func isInUse(err error) bool { return errors.Is(err, syscall.EWOULDBLOCK) }

// Append implements [ingest.Journal], and remembers whether there was room.
func (j *journals) Append(group [][]byte) (first uint64, err error) {
	if first, err = j.own.Append(group); err != nil {
		j.failed.Store(&failure{err, time.Now()})
		return first, err
	}
	if j.failed.Load() != nil {
		j.failed.Store(nil)
	}
	return first, nil
}

// use is nil where there is no journal.
func (j *journals) use() ingest.Journal {
	if j == nil {
		return nil
	}
	return j
}

// left is how many bytes more the own journal may take.
func (j *journals) left() int64 {
	if j == nil {
		return 0
	}
	return j.own.Left()
}

// kept wakes the drain.
func (j *journals) kept() { j.draining.Wake() }

// close is called when nothing is kept or handed over any more.
func (j *journals) close() error {
	if j == nil {
		return nil
	}
	return j.own.Close()
}
