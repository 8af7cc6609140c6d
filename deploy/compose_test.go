// Package deploy holds what a deployment is configured with. Its tests start the same files and the same environment as
// processes.
package deploy

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/access"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/zorio"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

// Others reach Caddy and nothing else. Every container is checked, bounded, and can do as little as possible.
func TestEveryContainerIsCheckedBoundedAndUnprivileged(t *testing.T) {
	t.Parallel()
	_, dotenv := environment(t)
	p := readCompose(t, dotenv, "*", whole)
	pinned := regexp.MustCompile(`^(sluice|[a-z/]+:v?\d+\.\d+(\.\d+)?(-[a-z]+)?)$`)
	for name, s := range p.Services {
		for _, port := range s.Ports {
			if name != "caddy" && port.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes a port to others", name)
			}
		}
		switch {
		case len(s.HealthCheck.Test) == 0:
			t.Errorf("%s has no health check", name)
		case s.Memory == "" || s.CPUs == 0 || s.PIDs == 0:
			t.Errorf("%s has no limit of memory, of processors or of processes", name)
		case !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true"):
			t.Errorf("%s can do more than it needs", name)
		case s.User == "" || strings.HasPrefix(s.User, "0:"):
			t.Errorf("%s runs as the user %q", name, s.User)
		case !pinned.MatchString(s.Image):
			t.Errorf("%s has the image %s: pin its version", name, s.Image)
		}
		for network := range s.Networks {
			if outside := !p.Networks[network].Internal; outside && !slices.Contains([]string{"caddy", "archive", "forward", "grafana", "console"}, name) {
				t.Errorf("%s reaches the internet", name)
			}
		}
	}
}

// No secret is in the environment, where whoever may list processes or inspect containers reads it.
func TestSecretsAreFilesOfOneUserAlone(t *testing.T) {
	t.Parallel()
	folder, dotenv := environment(t)
	p := readCompose(t, dotenv, "*", whole)
	var files []string
	for _, pattern := range []string{"secrets/*", "access/users/*"} {
		some, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, some...)
	}
	unused := slices.DeleteFunc(slices.Clone(files), func(file string) bool {
		return slices.ContainsFunc(slices.Collect(maps.Values(p.Secrets)), func(s secretFile) bool { return s.File == file })
	})
	if len(files) != len(p.Secrets)+len(unused) || len(unused) != 1 || unused[0] != accessIn(folder).Seed(access.Monitor) {
		t.Errorf("`make env` writes %d secrets, and the compose file has %d: it does not use %s", len(files), len(p.Secrets), unused)
	}
	for _, file := range append(files, dotenv) {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %o", file, info.Mode().Perm())
		}
	}
	for name, s := range p.Services {
		for variable, value := range s.Environment {
			if value == nil {
				continue
			}
			for _, file := range files {
				if secret := read(t, file); strings.Contains(*value, secret) {
					t.Errorf("%s has the secret %s in %s", name, filepath.Base(file), variable)
				}
			}
		}
	}
}

// Each program is asked to check the environment that it gets in its container: addresses here are all on loopback, and
// some settings depend on who reaches them.
func TestEveryProgramTakesItsEnvironment(t *testing.T) {
	t.Parallel()
	for _, files := range [][]string{{whole}, {whole, small}} {
		c := compose(t, files...)
		for name, s := range c.services {
			if !strings.HasPrefix(s.Image, "sluice") || s.program() == "/sluicectl" { // which has no --check
				continue
			}
			s.places = newPlaces("", nil)
			if name == "forward" {
				put(t, filepath.Join(c.folder, "targets/targets.yaml"), "targets: [{name: crm, url: https://crm.internal/, secret: 0123456789abcdef}]")
			}
			s.mount(c)
			check := exec.Command(path(t, s.program()), "--check")
			check.Env = s.environment()
			if output, err := check.CombinedOutput(); err != nil || strings.Contains(string(output), "is no setting") {
				t.Errorf("%s of %s: %v\n%s", name, files, err, output)
			}
		}
	}
}

// What is there is somebody's, and stays; what is missing is added.
func TestMakeEnvOverwritesNothing(t *testing.T) {
	t.Parallel()
	folder, dotenv := environment(t)
	secret, gone := filepath.Join(folder, "secrets", "zorio_webhook_secret"), filepath.Join(folder, "secrets", "redis_url")
	put(t, secret, rig.Secret)
	put(t, dotenv, "SLUICE_SITE=hooks.example.com\n")
	before := read(t, gone)
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	again := exec.Command(filepath.Join(rig.Root(t), "deploy/compose/env"), folder)
	again.Env = rig.Environment("ENV_FILE="+dotenv, "SLUICECTL="+rig.Build(t, "./sluicectl"))
	if output, err := again.CombinedOutput(); err != nil || strings.Contains(string(output), secret) {
		t.Fatalf("%v\n%s", err, output)
	}
	if read(t, secret) != rig.Secret || read(t, dotenv) != "SLUICE_SITE=hooks.example.com" || read(t, gone) != before {
		t.Error("a file has changed")
	}
}

func read(t testing.TB, file string) string {
	t.Helper()
	return strings.TrimSpace(content(t, file))
}

func content(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The small stack, without what stands in front of it and what looks at it: `make stack-test` runs all of the whole one.
func TestTheSmallStackTakesAnEventThrough(t *testing.T) {
	t.Parallel()
	c := compose(t, whole, small)
	started := []string{"gateway-1", "operator", "pbx", "telesales", "autocall"}
	for _, name := range started {
		c.start(name)
	}
	for _, name := range started {
		c.healthy(name)
	}
	url, nats := "http://"+c.services["gateway-1"].address+":3000/webhook", c.natsURL()
	secret := filepath.Join(c.folder, "secrets", "zorio_webhook_secret")
	for event, team := range map[string]string{"pbx.call.hangup": "pbx", "telesales.lead.created": "telesales", "autocall.dtmf.pressed": "autocall"} {
		send := exec.Command(rig.Build(t, "./sluicectl"), "send", event, "--url", url, "--nats", nats, "--wait", "60s")
		send.Env = rig.Environment("ZORIO_WEBHOOK_SECRET_FILE="+secret, "NATS_CREDS="+rig.Credentials(nats))
		if output, err := send.CombinedOutput(); err != nil || !strings.Contains(string(output), "processed by "+team) {
			t.Errorf("%v\n%s", err, output)
		}
	}
	if answer := largest(t, url, read(t, secret)); answer != "200 OK" {
		t.Errorf("the largest body is answered %s: is max_payload of NATS large enough?", answer)
	}
	doctor := exec.Command(path(t, "/sluicectl"), "doctor") // as an operator types it
	doctor.Env = c.services["operator"].environment()
	if output, err := doctor.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	c.mustNotWarn()
	c.stop("gateway-1")
}

// mustNotWarn fails when a service has a setting that it does not know, or an address that is not here.
func (c *composed) mustNotWarn() {
	c.t.Helper()
	for name, s := range c.services {
		if s.Process != nil && strings.Contains(s.Output(), "is no setting") {
			c.t.Errorf("%s has a setting that nobody knows:\n%s", name, s.Output())
		}
	}
}

// largest delivers a body of 1 MiB, the most that the gateway takes by default, and returns the answer.
func largest(t *testing.T, url, secret string) string {
	t.Helper()
	begin, end := `{"event":"pbx.cdr.created","data":{"notes":"`, `"}}`
	body := []byte(begin + strings.Repeat("x", 1<<20-len(begin)-len(end)) + end)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = zorio.Headers(secret, "pbx.cdr.created", "largest", time.Now(), body)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(answer.StatusCode, " ", string(text))
}
