package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	archive "github.com/sluicehq/sluice/consumer/archive/files"
	"github.com/sluicehq/sluice/internal/ops/replay"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// archived writes events as the archive does.
func archived(t *testing.T, place string, first, n int) {
	t.Helper()
	store, err := archive.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	var rows []archive.Row
	for i := range n {
		e := &event.Event{Source: "zorio", Name: "pbx.call.hangup", Sequence: uint64(first + i), Identity: "old/0123456789abcdef", Delivery: "old", Body: []byte("{}")}
		rows = append(rows, archive.RowOf(e, time.Now().Add(-90*24*time.Hour)))
	}
	content, err := archive.Encode(rows, "zorio", "pbx.call.hangup")
	if err != nil {
		t.Fatal(err)
	}
	span := archive.Span{First: uint64(first), Last: uint64(first + n - 1)}
	if err := store.Write(t.Context(), archive.FolderOf("zorio", "pbx.call.hangup", rows[0].Received)+span.FileName(0), content); err != nil {
		t.Fatal(err)
	}
}

func TestAReplayComesFromTheArchiveToo(t *testing.T) {
	t.Parallel()
	place := t.TempDir()
	archived(t, place, 1, 25)
	g := newStage(t, Settings{Archive: place})
	g.team("pbx", "pbx.>")
	if _, html := g.page("/replay/new"); !strings.Contains(html, "from the archive") {
		t.Errorf("%s", html)
	}
	asked, said, _ := g.visitor().does("/replay/start?team=pbx&archive=1&rate=0")
	if !strings.Contains(asked, "25 events would go to pbx") || !strings.Contains(asked, "from the archive") || !strings.Contains(said, "The replay has begun") {
		t.Fatalf("%s\n%s", asked, said)
	}
	if e := g.newest(replay.Done, replay.Failed); e.State != replay.Done || e.Archive != place || g.messages(stream.Replay) != 25 {
		t.Errorf("%+v, %d copies", e, g.messages(stream.Replay))
	}
	g.s.settings.Archive = ""
	if status, html := g.page("/replay/start?team=pbx&archive=1&rate=0"); status != http.StatusBadRequest || !strings.Contains(html, "set SLUICE_ARCHIVE") {
		t.Errorf("%d %s", status, html)
	}
}
