package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/zorio"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

const (
	gatewaySecret = "0123456789abcdefghijABCDEFGHIJ01"
	targetSecret  = "ABCDEFGHIJabcdefghij0123456789-" // and the target's name: each has its own
)

// receiver is one of the sample receivers, as a process.
type receiver struct {
	*rig.Process
	name, address string
	remembers     bool // deliveries: what comes again is answered Duplicate
}

// startReceiver starts a sample with a database of its own in Redis, which is where it recognises repetitions.
func startReceiver(t *testing.T, redis *rig.Redis, database int, name, kind string, env ...string) *receiver {
	t.Helper()
	address := rig.Address(t)
	_, port, _ := strings.Cut(address, ":")
	dir := filepath.Join(rig.Root(t), "consumer/forward/testdata/receivers", kind)
	var command []string
	switch kind {
	case "node":
		command = []string{"node", filepath.Join(dir, "receiver.js")}
	case "php":
		command = []string{"php", "-S", address, filepath.Join(dir, "receiver.php")}
	case "python":
		command = []string{"/usr/bin/python3", filepath.Join(dir, "receiver.py")} // the distribution's, which has the packages
	case "go":
		command = []string{rig.Build(t, "./consumer/forward/testdata/receivers/go")}
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		t.Fatalf("%v: `make deps` installs it", err)
	}
	env = append(env, "PORT="+port, "ZORIO_WEBHOOK_SECRET="+targetSecret+name, fmt.Sprintf("REDIS_URL=%s/%d", redis.URL(), database))
	r := &receiver{rig.Start(t, path, command[1:], rig.Environment(env...)), name, address, kind != "go"}
	r.Listening(address)
	return r
}

func (r *receiver) restart() {
	r.Start()
	r.Listening(r.address)
}

var tookLine = regexp.MustCompile(`took (\S+) (\S+)`)

// took is how often the receiver took each delivery as a new one, and the events' names.
func (r *receiver) took() (deliveries map[string]int, events map[string]bool) {
	deliveries, events = map[string]int{}, map[string]bool{}
	for _, line := range tookLine.FindAllStringSubmatch(r.Output(), -1) {
		deliveries[line[1]]++
		events[line[2]] = true
	}
	return deliveries, events
}

func (r *receiver) count() int {
	deliveries, _ := r.took()
	return len(deliveries)
}

// entry is the receiver's in the file of targets.
func (r *receiver) entry(more string) string {
	return fmt.Sprintf("  - {name: %s, url: \"http://%s/webhook\", secret_env: SECRET_%s%s}\n", r.name, r.address, r.name, more)
}

// edge is a gateway with NATS inside.
type edge struct {
	t         *testing.T
	url, nats string
}

func startGateway(t *testing.T) *edge {
	t.Helper()
	listen, hub := rig.Address(t), rig.Address(t)
	rig.Start(t, rig.Build(t, "./gateway"), nil, rig.Environment("ZORIO_WEBHOOK_SECRET="+gatewaySecret, "SLUICE_LISTEN="+listen,
		"SLUICE_HUB_LISTEN="+hub, "SLUICE_DATA="+t.TempDir(), "SLUICE_ADMIN="+rig.Address(t))).Listening(listen)
	return &edge{t, "http://" + listen + "/webhook", "nats://" + hub}
}

// send sends one of each kind of event, or so many of all kinds.
func (e *edge) send(count int) {
	e.t.Helper()
	send := exec.Command(rig.Build(e.t, "./sluicectl"), "send", "--all", "--nats", "", "--url", e.url, "--secret", gatewaySecret, "--count", fmt.Sprint(count))
	if output, err := send.CombinedOutput(); err != nil {
		e.t.Fatalf("%v\n%s", err, output)
	}
}

// startForward starts the real consumer with a file of targets of these entries.
func (e *edge) startForward(admin string, entries ...string) *rig.Process {
	e.t.Helper()
	file := filepath.Join(e.t.TempDir(), "targets.yaml")
	if err := os.WriteFile(file, []byte("targets:\n"+strings.Join(entries, "")), 0o600); err != nil {
		e.t.Fatal(err)
	}
	env := rig.Environment("NATS_URL="+e.nats, "SLUICE_TARGETS="+file, "SLUICE_ADMIN="+admin, "SLUICE_BACKOFF_MAX=1s")
	for _, name := range []string{"node", "php", "python", "go", "audit"} {
		env = append(env, "SECRET_"+name+"="+targetSecret+name)
	}
	return rig.Start(e.t, rig.Build(e.t, "./consumer/forward"), nil, env)
}

// messages counts what a stream holds.
func (e *edge) messages(name string) uint64 {
	e.t.Helper()
	nc, err := stream.Connect(e.t.Context(), stream.Options{URL: e.nats, Creds: rig.Credentials(e.nats)})
	if err != nil {
		e.t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		e.t.Fatal(err)
	}
	return rig.Messages(e.t, js, name)
}

func TestTheFourSampleReceiversWorkBehindForwardUnchanged(t *testing.T) {
	t.Parallel()
	redis, gateway := rig.StartRedis(t), startGateway(t)
	var receivers []*receiver
	var entries []string
	for database, kind := range []string{"node", "php", "python", "go"} {
		r := startReceiver(t, redis, database, kind, kind)
		receivers, entries = append(receivers, r), append(entries, r.entry(""))
	}
	gateway.startForward("", entries...)
	gateway.send(1)
	for _, r := range receivers {
		rig.Eventually(t, time.Minute, r.name+" has one of each kind", func() bool { return r.count() == len(zorio.Names()) })
		if _, events := r.took(); len(events) != len(zorio.Names()) {
			t.Errorf("%s took %v", r.name, events)
		}
	}

	gateway.sendLarge(150_000)
	for _, r := range receivers[1:] {
		rig.Eventually(t, time.Minute, r.name+" has the large one", func() bool { return r.count() == len(zorio.Names())+1 })
	}
	rig.Eventually(t, time.Minute, "what is too large for Node is a dead letter", func() bool { return gateway.messages(stream.Dead) == 1 })
	letter, err := stream.Get(t.Context(), rig.JetStream(t, gateway.nats), stream.Dead, 1)
	if err != nil {
		t.Fatal(err)
	}
	h := letter.Header
	if why := h.Get(event.HeaderError); h.Get(event.HeaderTeam) != "forward-node" || h.Get(event.HeaderReason) != event.ReasonPermanent ||
		!strings.Contains(why, "it answered 413") || !strings.Contains(why, "raise the receiver's limit") {
		t.Errorf("%v", h)
	}
	if node := receivers[0]; node.count() != len(zorio.Names()) {
		t.Errorf("node took %d", node.count())
	}
}

// sendLarge sends one delivery with a body of so many bytes.
func (e *edge) sendLarge(size int) {
	e.t.Helper()
	file := filepath.Join(e.t.TempDir(), "large.json")
	body := fmt.Appendf(nil, `{"event":"pbx.cdr.created","data":{"notes":%q}}`, strings.Repeat("x", size))
	if err := os.WriteFile(file, body, 0o600); err != nil {
		e.t.Fatal(err)
	}
	send := exec.Command(rig.Build(e.t, "./sluicectl"), "send", "pbx.cdr.created", "--body", file, "--nats", "", "--url", e.url, "--secret", gatewaySecret)
	if output, err := send.CombinedOutput(); err != nil {
		e.t.Fatalf("%v\n%s", err, output)
	}
}

func TestADeadASlowAndAGoneTargetDelayNobodyElseAndLoseNothing(t *testing.T) {
	t.Parallel()
	const events = 240
	redis, gateway := rig.StartRedis(t), startGateway(t)
	gone := filepath.Join(t.TempDir(), "gone")
	if err := os.WriteFile(gone, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	node := startReceiver(t, redis, 0, "node", "node")
	audit := startReceiver(t, redis, 1, "audit", "go")
	dead := startReceiver(t, redis, 2, "php", "php")
	slow := startReceiver(t, redis, 3, "python", "python", "SLOW=0.05")
	leaving := startReceiver(t, redis, 4, "go", "go", "GONE="+gone)
	all := []*receiver{node, audit, dead, slow, leaving}
	dead.Kill()
	admin := rig.Address(t)
	forward := gateway.startForward(admin, node.entry(""), audit.entry(""), dead.entry(""), slow.entry(", concurrency: 4"), leaving.entry(""))
	gateway.send(events)

	for _, r := range []*receiver{node, audit} {
		rig.Eventually(t, time.Minute, r.name+" has all", func() bool { return r.count() == events })
	}
	if dead.count() != 0 || leaving.count() != 0 {
		t.Errorf("dead took %d, gone took %d", dead.count(), leaving.count())
	}
	rig.Eventually(t, time.Minute, "/readyz and /metrics say how they are", func() bool {
		ready, scraped := readiness(t, admin), rig.Get(t, "http://"+admin+"/metrics")
		return ready.Status == "degraded" && strings.Contains(fmt.Sprint(ready), "go is paused: it answered 410 Gone") && strings.Contains(fmt.Sprint(ready), "SIGHUP") &&
			strings.Contains(scraped, `sluice_forward_paused{target="go"} 1`) && strings.Contains(scraped, `sluice_forward_paused{target="node"} 0`) &&
			strings.Contains(scraped, `sluice_forward_answers_total{answer="none",target="php"}`)
	})

	js := rig.JetStream(t, gateway.nats)
	rig.Eventually(t, time.Minute, "who looks at the teams sees that it is blocked, and that a process runs", func() bool {
		all, err := team.Statuses(t.Context(), js, 0)
		at := slices.IndexFunc(all, func(s *team.Status) bool { return s.Team == "forward-go" })
		return err == nil && at >= 0 && all[at].State == team.Blocked && all[at].Runs && strings.Contains(all[at].Why, "410 Gone")
	})

	dead.restart()
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	forward.Signal(syscall.SIGHUP)
	for _, r := range all {
		rig.Eventually(t, 2*time.Minute, r.name+" has all", func() bool { return r.count() == events })
		for delivery, times := range first(r.took()) {
			if times != 1 && r.remembers {
				t.Errorf("%s took %s %d times", r.name, delivery, times)
			}
		}
	}
	rig.Eventually(t, time.Minute, "nothing waits any more", func() bool { return gateway.messages(stream.Retry) == 0 })
	if n := gateway.messages(stream.Dead); n != 0 {
		t.Errorf("%d dead letters", n)
	}
	rig.Eventually(t, time.Minute, "/readyz says that all is well", func() bool { return readiness(t, admin).Status == "ready" })
	if code := forward.Stop(30 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if strings.Contains(forward.Output(), targetSecret) {
		t.Error("a secret is in the log")
	}
}

func first[A, B any](a A, _ B) A { return a }

func readiness(t *testing.T, admin string) (r telemetry.Readiness) {
	t.Helper()
	if err := json.Unmarshal([]byte(rig.Get(t, "http://"+admin+"/readyz")), &r); err != nil {
		t.Fatal(err)
	}
	return r
}
