package embedded

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/access"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
)

// logged is a log that is read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A stream that is being made looks broken to nats-server: that is no reason to start the store again.
func TestMakingStreamsIsNoBrokenStore(t *testing.T) {
	var log logged
	dir := t.TempDir()
	s, err := Start(Options{Dir: dir, Listen: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	nc, err := stream.Connect(t.Context(), stream.Options{URL: s.URL(), InProcess: s, Creds: access.In(dir).Seed(access.Operator)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); time.Since(begin) < 6*storeEvery; {
		_ = stream.Declare(t.Context(), js, stream.Settings{}) // fails where nats-server still removes one of that name
		for info := range js.ListStreams(t.Context()).Info() {
			if err := js.DeleteStream(t.Context(), info.Config.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	rig.Eventually(t, 20*time.Second, "a stream is made, once the folder of the last one is removed", func() bool {
		_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "X"})
		return err == nil
	})
	if strings.Contains(log.String(), "its store") {
		t.Error(log.String())
	}
}
