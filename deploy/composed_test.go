package deploy

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/access"
	"github.com/sluicehq/sluice/internal/rig"
)

// composed is what the compose files describe, as processes in the place of containers. Each has an address of its own on
// loopback, on which its ports are those of the files.
type composed struct {
	t        testing.TB
	folder   string             // of `make env`
	files    string             // configuration files and secrets, as this run has them
	host     func(n int) string // addresses of its network
	services map[string]*service
}

// service is one of the compose file's services.
type service struct {
	Image       string
	Entrypoint  []string
	Command     []string
	Environment map[string]*string
	Ports       []struct {
		HostIP            string `json:"host_ip"`
		Target, Published any
	}
	HealthCheck struct{ Test []string }
	Volumes     []mount
	Secrets     []mount
	DependsOn   map[string]struct{ Condition string } `json:"depends_on"`
	StopSignal  string                                `json:"stop_signal"`
	Networks    map[string]any
	User        string
	ReadOnly    bool     `json:"read_only"`
	CapDrop     []string `json:"cap_drop"`
	SecurityOpt []string `json:"security_opt"`
	Memory      string   `json:"mem_limit"`
	CPUs        float64  `json:"cpus"`
	PIDs        int64    `json:"pids_limit"`

	name, address string
	places        *places
	*rig.Process
}

// mount is a file or a folder that a container has at another path.
type mount struct{ Source, Target string }

const (
	whole = "docker-compose.yml"
	small = "deploy/compose/small.yml" // over the whole
)

// environment writes what `make env` writes, to a folder of the test's, with an account for the consumer forward, and returns
// the folder and the .env.
func environment(t testing.TB, settings ...string) (folder, dotenv string) {
	t.Helper()
	dir := t.TempDir()
	folder, dotenv = filepath.Join(dir, "stack"), filepath.Join(dir, ".env")
	sluicectl := rig.Build(t, "./sluicectl")
	write := exec.Command(filepath.Join(rig.Root(t), "deploy/compose/env"), folder)
	write.Env = rig.Environment(append(settings, "ENV_FILE="+dotenv, "SLUICECTL="+sluicectl)...)
	if output, err := write.CombinedOutput(); err != nil {
		t.Fatalf("deploy/compose/env: %v\n%s", err, output)
	}
	add := exec.Command(sluicectl, "team", "add", "forward", "--target", "crm", "--files", "--folder", string(accessIn(folder)))
	if output, err := add.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return folder, dotenv
}

// accessIn is where `make env` keeps who may do what in NATS.
func accessIn(folder string) access.Folder {
	return access.Folder(filepath.Join(folder, "access"))
}

// readCompose reads compose files as docker compose does, with what `make env` wrote.
func readCompose(t testing.TB, dotenv, profile string, files ...string) (p project) {
	t.Helper()
	read := exec.Command(rig.Tool(t, "./compose"), append([]string{"-env-file", dotenv, "-profile", profile}, files...)...)
	read.Dir = rig.Root(t)
	text, err := read.Output()
	if err != nil {
		var failed *exec.ExitError
		errors.As(err, &failed)
		t.Fatalf("%v\n%s", err, failed.Stderr)
	}
	if err := json.Unmarshal(text, &p); err != nil || len(p.Services) == 0 {
		t.Fatalf("%d services: %v", len(p.Services), err)
	}
	return p
}

// project is what compose files say.
type project struct {
	Services map[string]*service
	Networks map[string]struct{ Internal bool }
	Secrets  map[string]secretFile
}

type secretFile struct{ File string }

// compose prepares the services of compose files. Nothing of it runs until it is started.
func compose(t testing.TB, files ...string) *composed {
	t.Helper()
	host := rig.Network(t)
	folder, dotenv := environment(t, "SLUICE_SITE="+host(1))
	p := readCompose(t, dotenv, "forward", files...)
	c := &composed{t: t, host: host, folder: folder, files: t.TempDir(), services: p.Services}
	names := slices.Sorted(maps.Keys(p.Services))
	slices.SortFunc(names, func(a, b string) int { // Caddy has the address that it is called by
		return strings.Compare(strings.Replace(a, "caddy", " ", 1), strings.Replace(b, "caddy", " ", 1))
	})
	addresses := map[string]string{}
	for n, name := range names {
		addresses[name] = host(n + 1)
	}
	for name, s := range p.Services {
		s.name, s.address = name, addresses[name]
		for _, secret := range s.Secrets {
			s.Volumes = append(s.Volumes, mount{p.Secrets[secret.Source].File, secret.Target})
		}
		s.places = newPlaces(s.address, addresses)
	}
	rig.Guarded(c.natsURL(), accessIn(folder))
	return c
}

// mount decides where the service finds what its container would have mounted: data where it is, and a copy of every
// file that may name an address or a path.
func (s *service) mount(c *composed) {
	data := filepath.Join(c.folder, "data") + "/"
	s.places.move("/run/secrets", filepath.Join(c.files, s.name, "run/secrets")) // for who puts a name together
	for _, m := range s.Volumes {
		at := m.Source
		if !strings.HasPrefix(at, data) {
			at = filepath.Join(c.files, s.name, m.Target)
		}
		s.places.move(m.Target, at)
	}
	for _, m := range s.Volumes {
		if !strings.HasPrefix(m.Source, data) {
			s.copyFiles(c.t, m)
		}
	}
}

func (s *service) copyFiles(t testing.TB, m mount) {
	t.Helper()
	err := filepath.WalkDir(m.Source, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		to := s.places.in(m.Target + strings.TrimPrefix(file, m.Source))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		return os.WriteFile(to, []byte(s.places.in(string(text))), 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// environment is the service's, as a process here needs it.
func (s *service) environment() []string {
	all := rig.Environment()
	for name, value := range s.Environment {
		if value != nil {
			all = append(all, name+"="+s.places.in(*value))
		}
	}
	return all
}

// start starts a service, after all that it depends on: those are waited for that have to be healthy.
func (c *composed) start(name string) {
	c.t.Helper()
	s := c.services[name]
	if s.Process != nil {
		return
	}
	for needed := range s.DependsOn {
		c.start(needed)
	}
	for needed, how := range s.DependsOn {
		if how.Condition == "service_healthy" {
			c.healthy(needed)
		}
	}
	s.mount(c)
	if s.program() == "postgres" {
		c.startPostgres(s)
		return
	}
	s.Process = rig.Start(c.t, path(c.t, s.program()), s.arguments(), s.environment())
}

// program is what the service runs, by its name in the container.
func (s *service) program() string {
	switch {
	case len(s.Entrypoint) > 0:
		return s.Entrypoint[0]
	case strings.HasPrefix(s.Image, "nats:"):
		return "nats-server"
	case strings.HasPrefix(s.Image, "prom/prometheus:"):
		return "prometheus"
	case len(s.Command) > 0:
		return s.Command[0]
	}
	return s.name
}

// arguments are those of its program.
func (s *service) arguments() []string {
	all := slices.Concat(s.Entrypoint, s.Command)
	if len(all) > 0 && all[0] == s.program() {
		all = all[1:]
	}
	arguments := make([]string, len(all))
	for i, argument := range all {
		arguments[i] = s.places.in(argument)
	}
	return arguments
}

// path is where a container's program is on this machine.
func path(t testing.TB, program string) string {
	t.Helper()
	switch program {
	case "/gateway", "/sluicectl", "/console":
		return rig.Build(t, "."+program)
	case "/pbx", "/telesales", "/autocall", "/archive", "/forward":
		return rig.Build(t, "./consumer"+program)
	case "nats-server":
		return rig.NatsServer(t)
	case "caddy":
		return rig.Caddy(t)
	}
	return rig.Find(t, program)
}

// startPostgres does what the image's entrypoint does: it makes the databases once, with the script that is mounted.
func (c *composed) startPostgres(s *service) {
	c.t.Helper()
	password, err := os.ReadFile(s.places.in(*s.Environment["POSTGRES_PASSWORD_FILE"]))
	if err != nil {
		c.t.Fatal(err)
	}
	server := rig.LaunchPostgres(c.t, rig.PostgresLaunch{Address: s.address + ":5432", User: "postgres", Password: string(password), Args: s.arguments()})
	s.Process = server.Process
	script := exec.Command("sh", s.places.in("/docker-entrypoint-initdb.d/databases.sh"))
	script.Env = append(s.environment(), "PGHOST="+server.Socket)
	if output, err := script.CombinedOutput(); err != nil {
		c.t.Fatalf("the databases are not made: %v\n%s", err, output)
	}
}

const checkEvery = 100 * time.Millisecond

// healthy waits until a service's own health check says so.
func (c *composed) healthy(name string) {
	c.t.Helper()
	s := c.services[name]
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(checkEvery) {
		said, err := s.check(c.t).CombinedOutput()
		switch {
		case err == nil:
			return
		case !s.Running():
			c.t.Fatalf("%s has ended:\n%s", name, s.Output())
		case time.Now().After(deadline):
			c.t.Fatalf("%s is not healthy: %v\n%s", name, err, said)
		}
	}
}

// check is the service's health check.
func (s *service) check(t testing.TB) *exec.Cmd {
	t.Helper()
	kind, test := s.HealthCheck.Test[0], s.HealthCheck.Test[1:]
	words := make([]string, len(test))
	for i, word := range test {
		words[i] = s.places.in(word)
	}
	if kind == "CMD-SHELL" {
		words = []string{"sh", "-c", words[0]}
	}
	command := exec.Command(path(t, words[0]), words[1:]...)
	command.Env = s.environment()
	return command
}

// stop ends a service as docker compose does.
func (c *composed) stop(name string) {
	c.t.Helper()
	s := c.services[name]
	signal := syscall.SIGTERM
	if s.StopSignal == "SIGINT" {
		signal = syscall.SIGINT
	}
	s.Signal(signal)
	s.Wait(time.Minute)
}
