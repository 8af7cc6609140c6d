package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

// installed is a copy of the units as systemd would find them, with the binaries at another place.
func installed(t *testing.T, bin string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(rig.Root(t), "deploy", "systemd", "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(len(files), err)
	}
	dir, units := t.TempDir(), map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.Replace(filepath.Base(file), "@.", "@pbx.", 1)
		units[name] = filepath.Join(dir, name)
		put(t, units[name], strings.ReplaceAll(string(text), "/opt/sluice/bin", bin))
	}
	return units
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// What systemd does not know in a unit it ignores, with a line in its log.
func TestSystemdUnderstandsEveryLineOfTheUnits(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatal("systemd-analyze is not installed: `make deps` installs it")
	}
	bin := t.TempDir()
	for name, pkg := range map[string]string{"gateway": "./gateway", "pbx": "./consumer/pbx", "console": "./console"} {
		if err := os.Symlink(rig.Build(t, pkg), filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	arguments := []string{"verify", "--man=no"}
	for _, unit := range installed(t, bin) {
		arguments = append(arguments, unit)
	}
	if output, err := exec.Command(analyze, arguments...).CombinedOutput(); err != nil || len(output) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, output)
	}
}

// The environment of the unit is one that the gateway starts with, on the socket of the socket unit.
func TestTheGatewayRunsInItsUnit(t *testing.T) {
	t.Parallel()
	unit, err := os.ReadFile(installed(t, "")["sluice-gateway.service"])
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	put(t, secret, "0123456789abcdefghijABCDEFGHIJ01")
	environment := []string{"SLUICE_DATA=" + t.TempDir(), "SLUICE_ADMIN=" + rig.Address(t), "SLUICE_HUB_LISTEN=" + rig.Address(t)}
	for line := range strings.Lines(string(unit)) {
		if settings, found := strings.CutPrefix(line, "Environment="); found {
			environment = append(environment, strings.Fields(strings.ReplaceAll(settings, "/etc/sluice/zorio_webhook_secret", secret))...)
		}
	}
	socket := rig.Socket(t)
	g := rig.StartActivated(t, socket, rig.Build(t, "./gateway"), rig.Environment(environment...))
	g.WaitFor(rig.AddressOf(t, socket)+"/webhook", 20*time.Second)
	if strings.Contains(g.Output(), "is no setting") {
		t.Error(g.Output())
	}
}

// What is left: it has a network, with addresses anywhere, in the machine's file system. The worst would be 10.
func TestTheUnitsExposeLittle(t *testing.T) {
	t.Parallel()
	page := rig.Pages(t)["docs/deploy.md"]
	for unit, most := range map[string]string{"sluice-gateway.service": "1.2", "sluice-consumer@.service": "1.1"} {
		output, err := exec.Command("systemd-analyze", "security", "--offline=true", "--no-pager", filepath.Join(rig.Root(t), "deploy", "systemd", unit)).CombinedOutput()
		exposed := regexp.MustCompile(`Overall exposure level for .*: ([0-9.]+)`).FindSubmatch(output)
		if err != nil || exposed == nil {
			t.Fatalf("%s: %v\n%s", unit, err, output)
		}
		if got := string(exposed[1]); len(got) != len(most) || got > most {
			t.Errorf("%s: systemd-analyze security says %s, at most %s is expected\n%s", unit, got, most, output)
		}
		if !strings.Contains(page, "`"+unit+"` | "+most) {
			t.Errorf("docs/deploy.md does not say that the exposure of %s is %s", unit, most)
		}
	}
}
