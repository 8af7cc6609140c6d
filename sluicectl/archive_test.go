package main

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/consumer/archive/files"
	"github.com/sluicehq/sluice/internal/ops/replay"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// archived runs the real archive until its files have n events.
func (g *stage) archived(place string, n int) {
	g.t.Helper()
	archive := rig.Start(g.t, rig.Build(g.t, "./consumer/archive"), nil, rig.Environment("NATS_URL="+g.env["NATS_URL"], "SLUICE_DATA="+g.data, "SLUICE_ADMIN=127.0.0.1:0", "SLUICE_ARCHIVE="+place, "SLUICE_ARCHIVE_EVERY=1s"))
	var archived replay.Survey
	rig.Eventually(g.t, time.Minute, "the events are archived", func() bool {
		all, err := files.OpenEvents(g.t.Context(), place)
		if err != nil {
			return false
		}
		archived, err = replay.Selection{Archive: all}.Survey(g.t.Context(), g.js, nil)
		return err == nil && archived.Events == n
	})
	archive.Kill()
}

// copied puts the files of a folder into a store.
func copied(t *testing.T, folder, place string) {
	t.Helper()
	to, err := files.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != files.Extension {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(folder, path)
		return to.Write(t.Context(), name, content)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What the stream has dropped comes to a team from the archive's files, byte for byte, in order, and once, wherever the
// files are and however often the replay is resumed.
func TestAReplayFromTheArchiveBringsWhatTheStreamHasDropped(t *testing.T) {
	g := newStage(t)
	g.team("pbx", "pbx.>")
	for i := range 30 {
		g.event([]string{"pbx.call.hangup", "pbx.call.ringing", "telesales.lead.created"}[i%3])
	}
	events, err := g.js.Stream(t.Context(), stream.Events)
	if err != nil {
		t.Fatal(err)
	}
	before := map[uint64]*event.Event{}
	if err := stream.Read(t.Context(), g.js, stream.Events, stream.Range{}, func(m *jetstream.RawStreamMsg) error {
		e, err := event.Parse(m.Subject, m.Header, m.Data)
		before[m.Sequence] = e
		return err
	}); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	g.archived(folder, len(before))
	s3 := rig.StartS3(t)
	t.Setenv("AWS_ACCESS_KEY_ID", s3.Access)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3.Secret)
	bucket := "s3://" + s3.Bucket + "/deep?region=us-east-1&endpoint=http://" + s3.Address
	copied(t, folder, bucket)
	if err := events.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if stdout, stderr, code := g.ctl(t.Context(), "", "replay", "--team", "pbx", "--since", "1h", "--dry-run"); !strings.Contains(stdout+stderr, "no such events") {
		t.Errorf("without the archive: exit code %d\n%s%s", code, stdout, stderr)
	}
	for _, place := range []string{folder, bucket} {
		held := g.messages(stream.Replay)
		interrupted, interrupt := context.WithCancel(t.Context())
		former := g.theReplay().ID
		go func() {
			defer interrupt()
			for !g.begun(interrupted, former) {
				stream.Pause(interrupted, 20*time.Millisecond)
			}
		}()
		_, stderr, _ := g.ctl(interrupted, "", "replay", "--archive="+place, "--team", "pbx", "--since", "1h", "--rate", "5", "--wait", "0", "--yes") // progress is written each half second: seven times before it ends
		e := g.theReplay()
		if e.State != replay.Interrupted || e.Progress.Replayed == 0 || e.Progress.Replayed == e.Events {
			t.Fatalf("%s: %+v\n%s", place, e, stderr)
		}
		stdout, stderr, code := g.ctl(t.Context(), "", "replay", "resume", e.ID, "--wait", "0", "--yes")
		e = g.theReplay()
		if code != 0 || e.State != replay.Done || e.Progress.Replayed != e.Events || e.Archive != place || !strings.Contains(stderr+stdout, "replayed") {
			t.Fatalf("%s: exit code %d, %+v\n%s%s", place, code, e, stdout, stderr)
		}
		g.sameAs(before, &e, int(g.messages(stream.Replay)-held))
		if stdout, _, _ := g.ctl(t.Context(), "", "replay", "list"); !strings.Contains(stdout, "archive ") {
			t.Errorf("%s", stdout)
		}
		if stdout, stderr, code := g.ctl(t.Context(), "", "replay", "--archive="+place, "--team", "pbx", "--until", "1d", "--dry-run"); !strings.Contains(stdout+stderr, "no such events") {
			t.Errorf("%s, yesterday: exit code %d\n%s%s", place, code, stdout, stderr)
		}
	}
	if _, stderr, code := g.ctl(t.Context(), "", "replay", "--archive="+folder+"/nothing", "--team", "pbx", "--since", "1h", "--yes"); code == 0 || !strings.Contains(stderr, "there is no archive at") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// begun reports whether a replay after a former one has brought something, or nobody waits for it any more.
func (g *stage) begun(ctx context.Context, former string) bool {
	journal, err := replay.OpenJournal(ctx, g.js)
	if err != nil {
		return ctx.Err() != nil
	}
	all, err := journal.List(ctx)
	return ctx.Err() != nil || err == nil && len(all) > 0 && all[0].ID != former && all[0].Progress.Sequence > 0
}

// sameAs compares the copies of a replay with the events that there were.
func (g *stage) sameAs(before map[uint64]*event.Event, e *replay.Entry, copies int) {
	g.t.Helper()
	want, last := 0, uint64(0)
	for _, b := range before {
		if strings.HasPrefix(b.Name, "pbx.") {
			want++
		}
	}
	if copies != want || want < 20 {
		g.t.Errorf("%d copies, want %d", copies, want)
	}
	err := stream.Scan(g.t.Context(), g.js, stream.Replay, "replay.pbx.>", func(m *jetstream.RawStreamMsg) error {
		c, err := event.Parse(m.Subject, m.Header, m.Data)
		if err != nil || c.Replay != e.ID {
			return err
		}
		b := before[c.Sequence]
		if b == nil || string(c.Body) != string(b.Body) || c.Identity != b.Identity || c.Delivery != b.Delivery || !c.Received.Equal(b.Received) || c.Sequence <= last {
			g.t.Errorf("#%d after #%d: %+v, want %+v", c.Sequence, last, c, b)
		}
		last = c.Sequence
		return nil
	})
	if err != nil {
		g.t.Error(err)
	}
}
