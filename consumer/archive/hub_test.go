package main

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/parquet-go/parquet-go"

	"github.com/sluicehq/sluice/consumer/archive/files"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/worker"
	"github.com/sluicehq/sluice/pkg/zorio"
)

func TestMain(m *testing.M) {
	_, _ = os.Setenv("AWS_ACCESS_KEY_ID", rig.S3Access), os.Setenv("AWS_SECRET_ACCESS_KEY", rig.S3Secret)
	os.Exit(rig.Main(m))
}

// hub is a NATS with the streams, and a folder for the files.
type hub struct {
	t    *testing.T
	nats *rig.Nats
	js   jetstream.JetStream
	root string
	sent int

	standby time.Duration // how soon another instance takes over
}

func newHub(t *testing.T) *hub {
	t.Helper()
	h := &hub{t: t, nats: rig.StartNats(t, ""), root: t.TempDir(), standby: 300 * time.Millisecond}
	h.js = h.nats.Declared()
	return h
}

// publish stores events of several names, received about the turn of an hour.
func (h *hub) publish(count int) {
	h.t.Helper()
	turn := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	for range count {
		h.sent++
		name := []string{"pbx.call.ringing", "pbx.call.hangup", "autocall.lead.added"}[h.sent%3]
		msg := nats.NewMsg(event.Subject(zorio.Source, name))
		msg.Header.Set(event.HeaderID, fmt.Sprintf("id-%d/0123456789abcdef", h.sent))
		msg.Header.Set(event.HeaderReceived, turn.Add(time.Duration(h.sent%5-2)*time.Minute).Format(time.RFC3339Nano))
		msg.Data = bodyOf(h.sent)
		if _, err := h.js.PublishMsg(h.t.Context(), msg); err != nil {
			h.t.Fatal(err)
		}
	}
}

func bodyOf(n int) []byte { return fmt.Appendf(nil, `{"event": "x", "n": %d}`, n) }

// archiverOf is an archive in this process, whose events come again soon.
func (h *hub) archiverOf(files files.Store, change ...func(*Settings)) *archiver {
	h.t.Helper()
	s := &Settings{Common: worker.Common{NATSURL: h.nats.URL()}, Archive: h.root, Events: 20, Bytes: 1 << 20, Every: 100 * time.Millisecond}
	for _, c := range change {
		c(s)
	}
	from := newSource(s, slog.New(slog.DiscardHandler), 500*time.Millisecond, h.standby)
	h.t.Cleanup(from.close)
	if err := from.open(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	admin, err := telemetry.NewAdmin("archive", "", "")
	if err != nil {
		h.t.Fatal(err)
	}
	return newArchiver(s, files, from, from.log, admin)
}

// start runs an archive until the test ends or the returned function has stopped it.
func (h *hub) start(a *archiver) (stop func()) {
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := a.run(ctx); err != nil {
			h.t.Error(err)
		}
	}()
	stop = func() { cancel(); <-done }
	h.t.Cleanup(stop)
	return stop
}

// open is the folder, as a process that starts finds it.
func (h *hub) open() files.Store {
	h.t.Helper()
	files, err := files.Open(h.t.Context(), h.root)
	if err != nil {
		h.t.Fatal(err)
	}
	return files
}

func (h *hub) info() *jetstream.ConsumerInfo {
	h.t.Helper()
	durable, err := h.js.Consumer(h.t.Context(), stream.Events, team)
	if err != nil {
		h.t.Fatal(err)
	}
	return durable.CachedInfo()
}

func (h *hub) done() {
	h.t.Helper()
	rig.Eventually(h.t, 3*time.Minute, "every event is acknowledged", func() bool {
		info := h.info() // what is pending the server may count only later
		return info.NumPending == 0 && info.NumAckPending == 0 && info.Delivered.Stream >= uint64(h.sent)
	})
}

// balance reads every file, and holds what is in them against what was sent: each once, in its folder, as it was.
func (h *hub) balance() (found int) {
	h.t.Helper()
	times := map[int64]int{}
	h.files(func(path string, rows []files.Row) {
		found++
		for i, r := range rows {
			times[r.Sequence]++
			hour := fmt.Sprintf("/date=2026-11-24/hour=%02d/", r.Received.Hour())
			if string(r.Body) != string(bodyOf(int(r.Sequence))) || !strings.Contains(path, hour) || i > 0 && rows[i-1].Sequence >= r.Sequence {
				h.t.Errorf("%s has %+v", path, r)
			}
		}
	})
	for n := int64(1); n <= int64(h.sent); n++ {
		if times[n] != 1 {
			h.t.Errorf("event %d is there %d times", n, times[n])
		}
	}
	if len(times) != h.sent {
		h.t.Errorf("%d events of %d", len(times), h.sent)
	}
	return found
}

// files reads every file that is complete.
func (h *hub) files(each func(path string, rows []files.Row)) {
	h.t.Helper()
	err := filepath.WalkDir(h.root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != files.Extension {
			return err
		}
		rows, err := parquet.ReadFile[files.Row](path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		each(path, rows)
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// binary starts the real archive.
func (h *hub) binary(more ...string) *rig.Process {
	h.t.Helper()
	return rig.Start(h.t, rig.Build(h.t, "./consumer/archive"), nil, rig.Environment(append(more, "NATS_URL="+h.nats.URL(), "SLUICE_ARCHIVE=file://"+h.root)...))
}
