// Package deploy holds what a deployment is configured with. Its tests start the same files and the same environment as
// processes.
package deploy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/zorio"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

// service is what the tests look at of one of the compose file's services.
type service struct {
	Environment map[string]string
	Ports       []any
	HealthCheck struct{ Test []string }
	Volumes     []struct{ Type, Target string }
}

// load reads the compose file as docker compose does.
func load(t *testing.T) map[string]service {
	t.Helper()
	read := exec.Command(rig.Tool(t, "./compose"), filepath.Join(rig.Root(t), "docker-compose.yml"))
	text, err := read.Output()
	if err != nil {
		var failed *exec.ExitError
		errors.As(err, &failed)
		t.Fatalf("%v\n%s", err, failed.Stderr)
	}
	var project struct{ Services map[string]service }
	if err := json.Unmarshal(text, &project); err != nil || len(project.Services) == 0 {
		t.Fatalf("%d services: %v", len(project.Services), err)
	}
	return project.Services
}

func TestOnlyTheGatewayIsPublishedAndEveryServiceIsCheckedAndKeepsItsData(t *testing.T) {
	for name, service := range load(t) {
		if published := len(service.Ports) > 0; published != (name == "gateway") {
			t.Errorf("%s: published %v", name, published)
		}
		if len(service.HealthCheck.Test) == 0 {
			t.Errorf("%s has no health check", name)
		}
		if _, set := service.Environment["ZORIO_WEBHOOK_SECRET"]; set {
			t.Errorf("%s has a secret in its environment", name)
		}
		if writes := name != "forward"; writes && !keeps(service) {
			t.Errorf("%s loses its data with its container", name)
		}
	}
}

// keeps reports whether /data of a service is a volume.
func keeps(s service) bool {
	for _, v := range s.Volumes {
		if v.Type == "volume" && v.Target == "/data" {
			return true
		}
	}
	return false
}

const webhookSecret = "0123456789abcdefghijABCDEFGHIJ01"

// The containers' addresses become free ports on loopback; everything else is as the files say.
func TestTheComposedServicesTakeAnEventThrough(t *testing.T) {
	services := load(t)
	root, dir := rig.Root(t), t.TempDir()
	redis, nats, monitor, listen, admin := rig.Address(t), rig.Address(t), rig.Address(t), rig.Address(t), rig.Address(t)
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte(webhookSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	port := func(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }
	found, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("%v: `make deps` installs it", err)
	}
	conf, err := os.ReadFile(filepath.Join(root, "deploy/nats.conf"))
	if err != nil {
		t.Fatal(err)
	}
	natsConf := filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(natsConf, []byte(strings.Replace(string(conf), "/data", dir, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	rig.Start(t, found, []string{filepath.Join(root, "deploy/redis.conf"), "--port", port(redis), "--bind", "127.0.0.1", "--dir", dir}, rig.Environment()).Listening(redis)
	rig.Start(t, rig.NatsServer(t), []string{"-c", natsConf, "-a", "127.0.0.1", "-p", port(nats), "-m", port(monitor)}, rig.Environment()).Listening(nats)

	places := strings.NewReplacer("nats:4222", nats, "nats:8222", monitor, "redis:6379", redis, "/run/secrets/zorio_webhook_secret", secret, "/data", dir)
	start := func(name, pkg string, more ...string) *rig.Process {
		environment := rig.Environment()
		for key, value := range services[name].Environment {
			environment = append(environment, key+"="+places.Replace(value))
		}
		return rig.Start(t, rig.Build(t, pkg), nil, append(environment, more...))
	}
	gateway := start("gateway", "./gateway", "SLUICE_LISTEN="+listen, "SLUICE_ADMIN="+admin)
	gateway.WaitFor("listening", 20*time.Second)
	var consumers []*rig.Process
	for _, name := range []string{"pbx", "telesales", "autocall"} {
		p := start(name, "./consumer/"+name, "SLUICE_ADMIN="+rig.Address(t))
		p.WaitFor("working", 20*time.Second)
		consumers = append(consumers, p)
	}
	for event, team := range map[string]string{"pbx.call.hangup": "pbx", "telesales.lead.created": "telesales", "autocall.dtmf.pressed": "autocall"} {
		send := exec.Command(rig.Build(t, "./sluicectl"), "send", event, "--url", "http://"+listen+"/webhook", "--nats", "nats://"+nats, "--wait", "10s")
		send.Env = rig.Environment("ZORIO_WEBHOOK_SECRET_FILE=" + secret)
		output, err := send.CombinedOutput()
		if err != nil || !strings.Contains(string(output), "processed by "+team) {
			t.Errorf("%v\n%s", err, output)
		}
	}
	if answer := largest(t, "http://"+listen+"/webhook"); answer != "200 OK" {
		t.Errorf("the largest body is answered %s: is max_payload of NATS large enough?", answer)
	}
	if !syncsAlways(t, monitor) {
		t.Error("NATS does not sync every write")
	}
	for _, p := range append(consumers, gateway) {
		if strings.Contains(p.Output(), "is no setting") {
			t.Errorf("the composed environment has a setting that nobody knows:\n%s", p.Output())
		}
	}
	if code := gateway.Stop(10 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// largest delivers a body of 1 MiB, the most that the gateway takes by default, and returns the answer.
func largest(t *testing.T, url string) string {
	t.Helper()
	begin, end := `{"event":"pbx.cdr.created","data":{"notes":"`, `"}}`
	body := []byte(begin + strings.Repeat("x", 1<<20-len(begin)-len(end)) + end)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header = zorio.Headers(webhookSecret, "pbx.cdr.created", "largest", time.Now(), body)
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

// syncsAlways asks NATS itself: what the gateway logs when the machine is busy is about the moment, and not about the files.
func syncsAlways(t *testing.T, monitor string) bool {
	t.Helper()
	answer, err := http.Get("http://" + monitor + "/jsz")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var said struct {
		Config struct {
			SyncAlways bool `json:"sync_always"`
		} `json:"config"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
		t.Fatal(err)
	}
	return said.Config.SyncAlways
}
