package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// A second one in the same place must not take the first one's gateway for its own.
func TestASecondRunNamesTheFirstAndStartsNothing(t *testing.T) {
	t.Parallel()
	first := runEverything(t)
	second := rig.Start(t, rig.Build(t, "./sluicectl"), []string{"run"}, append(first.environment, "SLUICE_DATA="+t.TempDir(), "NATS_URL="))
	if code := second.Wait(20 * time.Second); code != 1 {
		t.Errorf("exit code %d", code)
	}
	said := second.Output()
	for _, want := range []string{"(SLUICE_LISTEN) by gateway, process ", "(SLUICE_ADMIN) by gateway, process ", "(SLUICE_HUB_LISTEN) by gateway, process ", "Ctrl-C"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in:\n%s", want, said)
		}
	}
	if strings.Contains(said, "Sluice is up") || strings.Contains(said, " | ") || strings.Contains(said, "generated a webhook secret") {
		t.Errorf("it did something first:\n%s", said)
	}
	if output, code := first.ctl("send", "pbx.call.hangup", "--url", first.url); code != 0 || !strings.Contains(output, "processed by pbx") {
		t.Errorf("the first one: exit code %d\n%s", code, output)
	}
}

// Nor may its consumers join a NATS that is somebody else's.
func TestARunDoesNotJoinANATSThatIsThere(t *testing.T) {
	there := rig.StartNats(t, "")
	js := there.Declared()
	rig.Build(t, "./gateway")
	rig.Build(t, "./console")
	for _, team := range teams {
		rig.Build(t, "./consumer/"+team)
	}
	run := rig.Start(t, rig.Build(t, "./sluicectl"), []string{"run"}, rig.Environment("SLUICE_LISTEN="+rig.Address(t), "SLUICE_ADMIN="+rig.Address(t),
		"SLUICE_HUB_LISTEN="+there.Address, "SLUICE_DATA="+t.TempDir()))
	if code := run.Wait(20 * time.Second); code != 1 || !strings.Contains(run.Output(), "(SLUICE_HUB_LISTEN) by nats-server, process ") {
		t.Errorf("exit code %d", code)
	}
	for name := range js.StreamNames(t.Context()).Name() {
		s, err := js.Stream(t.Context(), name)
		if err != nil || s.CachedInfo().State.Consumers != 0 {
			t.Errorf("%s has consumers: %v", name, err)
		}
	}
}

// Between the look at the addresses and its own start another may come first: its word is no word of ours.
func TestTheReadinessOfAnotherProcessDoesNotCount(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(telemetry.Readiness{Status: "ready", PID: os.Getpid()})
	}))
	defer other.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "gateway"), []byte("#!/bin/sh\necho cannot listen: choose another port\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r := &runner{bin: dir, out: &out, ended: make(chan error, 1)}
	c, err := r.start("gateway", strings.TrimPrefix(other.URL, "http://"), nil)
	if err != nil {
		t.Fatal(err)
	}
	err = r.waitReady(t.Context(), c)
	if err == nil || !strings.Contains(err.Error(), "gateway has ended by itself") || !strings.Contains(out.String(), "choose another port") {
		t.Errorf("%v\n%s", err, &out)
	}
}
