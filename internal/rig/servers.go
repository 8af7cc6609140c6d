package rig

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Redis is a redis-server.
type Redis struct {
	*Process
	Address string
}

// StartRedis starts a redis-server on a free port, with further arguments ("--requirepass", "x").
func StartRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	address := Address(t)
	_, port, _ := strings.Cut(address, ":")
	base := []string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir(), "--daemonize", "no"}
	r := &Redis{Start(t, find(t, "redis-server"), append(base, args...), Environment()), address}
	r.Listening(address)
	return r
}

// StartTLSRedis starts a redis-server that takes TLS alone, and no client without a certificate of this authority. Its own
// is the file redis of the authority. A configuration file may be the first of further arguments.
func StartTLSRedis(t testing.TB, a *Authority, args ...string) *Redis {
	t.Helper()
	address := Address(t)
	_, port, _ := strings.Cut(address, ":")
	a.Issue("redis")
	own := []string{"--port", "0", "--tls-port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--tls-replication", "yes", "--tls-auth-clients", "yes",
		"--tls-cert-file", a.File("redis"), "--tls-key-file", a.File("redis-key"), "--tls-ca-cert-file", a.File("ca")}
	r := &Redis{Start(t, find(t, "redis-server"), append(args, own...), Environment()), address}
	r.Listening(address)
	return r
}

// StartSentinel starts a Redis Sentinel that watches one master under the name main. A replica, if there is one, takes
// over a second after the master is gone.
func StartSentinel(t testing.TB, master *Redis) *Redis {
	t.Helper()
	address := Address(t)
	_, port, _ := strings.Cut(address, ":")
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("port %s\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 %s 1\n"+
		"sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n", port, master.Port())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &Redis{Start(t, find(t, "redis-server"), []string{file, "--sentinel"}, Environment()), address}
	r.Listening(address)
	return r
}

// Host is its address without the port.
func (r *Redis) Host() string { host, _, _ := strings.Cut(r.Address, ":"); return host }

// Port is that of its address.
func (r *Redis) Port() string { _, port, _ := strings.Cut(r.Address, ":"); return port }

// URL is its REDIS_URL.
func (r *Redis) URL() string { return "redis://" + r.Address }

// Restart starts it again after a Kill or Stop, and waits until it listens.
func (r *Redis) Restart() {
	r.t.Helper()
	r.Start()
	r.Listening(r.Address)
}

// Command sends it one command and returns the answer.
func (r *Redis) Command(args ...string) string {
	r.t.Helper()
	output, err := exec.Command(find(r.t, "redis-cli"), append([]string{"-p", r.Port()}, args...)...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("redis-cli %v: %v: %s", args, err, output)
	}
	return strings.TrimSpace(string(output))
}

// Nats is a nats-server, with JetStream and its monitoring port.
type Nats struct {
	*Process
	Address, Monitor string

	file, more string // its configuration file, and what a test added to it
	store      string // its data folder
	route      string // where the other servers of its cluster reach it
}

// StartNats starts a nats-server with JetStream on free ports, which syncs every write; config is added to its
// configuration file.
func StartNats(t testing.TB, config string) *Nats {
	t.Helper()
	return startNats(t, "always", config)
}

// StartQuickNats is one that leaves syncing to the kernel, where nobody cuts the power.
func StartQuickNats(t testing.TB, config string) *Nats {
	t.Helper()
	return startNats(t, "2m", config)
}

func startNats(t testing.TB, sync, config string) *Nats {
	t.Helper()
	dir := t.TempDir()
	n := &Nats{Address: Address(t), Monitor: Address(t), more: config, store: filepath.Join(dir, "store"), file: filepath.Join(dir, "nats.conf")}
	n.Process = &Process{t: t}
	n.configure("max_payload: 2MB", sync)
	n.Process = Start(t, NatsServer(t), []string{"-c", n.file}, Environment())
	n.Listening(n.Address)
	return n
}

func (n *Nats) configure(limits, sync string) {
	n.t.Helper()
	text := fmt.Sprintf("listen: %q\nhttp: %q\n%s\njetstream { store_dir: %q, sync_interval: %q }\n%s\n", n.Address, n.Monitor, limits, n.store, sync, n.more)
	if err := os.WriteFile(n.file, []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
}

// AsItComes takes away, from its next start on, what Sluice asks for: it syncs every two minutes, and takes messages of 1 MB.
func (n *Nats) AsItComes() { n.t.Helper(); n.configure("", "2m") }

// Reload changes what was added to its configuration, while it runs.
func (n *Nats) Reload(config string) {
	n.t.Helper()
	n.more = config
	n.configure("max_payload: 2MB", "always")
	before := strings.Count(n.Output(), "Reloaded server configuration")
	n.Signal(syscall.SIGHUP)
	Eventually(n.t, time.Minute, "nats-server reloads its configuration", func() bool {
		return strings.Count(n.Output(), "Reloaded server configuration") > before
	})
}

// Wipe kills it, removes all that it stored, and starts it again.
func (n *Nats) Wipe() {
	n.t.Helper()
	n.Lose()
	n.Restart()
}

// Lose kills it, and removes all that it stored.
func (n *Nats) Lose() {
	n.t.Helper()
	n.Kill()
	if err := os.RemoveAll(n.store); err != nil {
		n.t.Fatal(err)
	}
}

// URL is its NATS_URL.
func (n *Nats) URL() string { return "nats://" + n.Address }

// Restart starts it again after a Kill or Stop, and waits until it listens.
func (n *Nats) Restart() {
	n.t.Helper()
	n.Start()
	n.Listening(n.Address)
}

// StartAt starts it again at another address for its clients, after a Kill or Stop.
func (n *Nats) StartAt(address string) {
	n.t.Helper()
	n.args = []string{"-c", n.file, "-a", strings.Split(address, ":")[0], "-p", strings.Split(address, ":")[1]}
	n.Start()
	n.Listening(address)
}

// Postgres is a PostgreSQL server with one empty database.
type Postgres struct {
	*Process
	Address string
	Socket  string // the folder of its unix socket
}

// postgresPlaces is where Debian puts what it keeps out of the PATH.
const postgresPlaces = "/usr/lib/postgresql/*/bin/"

// PostgresLaunch is how a PostgreSQL is started; what is left empty is its own.
type PostgresLaunch struct {
	Address  string
	User     string   // who owns everything; sluice when left out
	Password string   // of that user where it comes by the network; none is asked for when left out
	Args     []string // of postgres
}

// StartPostgres starts a PostgreSQL server on a free port. It does not run as root: as root, the tests run it as the
// user postgres of the distribution's package.
func StartPostgres(t testing.TB) *Postgres {
	t.Helper()
	return LaunchPostgres(t, PostgresLaunch{})
}

// LaunchPostgres is [StartPostgres], as somebody else has it.
func LaunchPostgres(t testing.TB, l PostgresLaunch) *Postgres {
	t.Helper()
	dir, err := os.MkdirTemp("", "sluice-postgres-") // not t.TempDir: the other user could not reach it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &Postgres{Address: cmp.Or(l.Address, Address(t)), Socket: dir}
	credential := postgresUser(t, dir)
	data := initPostgres(t, dir, l, credential)
	host, port, _ := strings.Cut(p.Address, ":")
	p.Process = &Process{
		t: t, name: "postgres", path: findPostgres(t, "postgres"), user: credential, env: Environment("LC_ALL=C"),
		args: append([]string{"-D", data, "-p", port, "-h", host, "-k", dir}, l.Args...),
	}
	p.Start()
	t.Cleanup(p.cleanup)
	p.Ready()
	return p
}

// initPostgres makes a cluster in a folder below dir. Whoever may use its socket there is trusted.
func initPostgres(t testing.TB, dir string, l PostgresLaunch, credential *syscall.Credential) (data string) {
	t.Helper()
	data = filepath.Join(dir, "data")
	initdb := exec.Command(findPostgres(t, "initdb"), "-D", data, "-U", cmp.Or(l.User, "sluice"), "-E", "UTF8", "--no-sync", "--auth-local=trust")
	if l.Password == "" {
		initdb.Args = append(initdb.Args, "--auth-host=trust")
	} else {
		file := filepath.Join(dir, "password")
		if err := os.WriteFile(file, []byte(l.Password), 0o644); err != nil { //nolint:gosec // only that other user gets as far as it
			t.Fatal(err)
		}
		initdb.Args = append(initdb.Args, "--auth-host=scram-sha-256", "--pwfile="+file)
	}
	initdb.SysProcAttr, initdb.Dir = &syscall.SysProcAttr{Credential: credential}, dir
	initdb.Env = Environment("LC_ALL=C")
	if output, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, output)
	}
	return data
}

// Ready waits until it takes queries.
func (p *Postgres) Ready() {
	p.t.Helper()
	Eventually(p.t, 2*time.Minute, "postgres is ready: "+p.Output(), func() bool {
		return strings.Contains(p.Output(), "ready to accept connections")
	})
	p.Listening(p.Address)
}

// URL is its DATABASE_URL.
func (p *Postgres) URL() string { return "postgres://sluice@" + p.Address + "/postgres" }

func findPostgres(t testing.TB, program string) string {
	t.Helper()
	places, _ := filepath.Glob(postgresPlaces + program)
	return find(t, program, places...)
}

func postgresUser(t testing.TB, dir string) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		t.Fatalf("PostgreSQL does not run as root, and there is no user postgres: %v: `make deps` installs the distribution's package", err)
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	if err := os.Chown(dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// Include is the line of a configuration that includes a file, by its absolute path.
func Include(file string) string {
	return fmt.Sprintf("include %q\n", strings.Repeat("../", 32)+file) // nats-server looks for it beside its own file
}
