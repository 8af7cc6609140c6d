package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAServerRefusesWhatIsTaken(t *testing.T) {
	dir := t.TempDir()
	s, err := Start(Options{Dir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Start(Options{Dir: dir, Listen: "127.0.0.1:0"})
	if err == nil || !strings.Contains(err.Error(), "in use by another gateway") {
		t.Errorf("the same folder: %v", err)
	}
	_, err = Start(Options{Dir: t.TempDir(), Listen: strings.TrimPrefix(s.URL(), "nats://")})
	if err == nil || !strings.Contains(err.Error(), "SLUICE_HUB_LISTEN") {
		t.Errorf("the same port: %v", err)
	}
	_, err = Start(Options{Dir: "/proc/no/folder", Listen: "127.0.0.1:0"})
	if err == nil || !strings.Contains(err.Error(), "SLUICE_DATA") {
		t.Errorf("a folder that cannot be made: %v", err)
	}
	s.Shutdown()
	again, err := Start(Options{Dir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatalf("after the first has stopped: %v", err)
	}
	again.Shutdown()
}

// nats-server tries whether it may write. What a power cut leaves of that is no missing account, for which the store would
// be started again and again.
func TestWhatAPowerCutLeftOfATrialIsNoBrokenStore(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "jetstream"), 0o700), os.WriteFile(filepath.Join(dir, "jetstream", "_test_1234"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	s, err := Start(Options{Dir: dir, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	if err := s.broken(); err != nil {
		t.Error(err)
	}
}
