package deploy

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// The addresses of the pods become free ports on loopback, everything else is as the files say.
func TestTheGatewayOfKubernetesStoresOnThreeDisksAndAnswersItsProbes(t *testing.T) {
	t.Parallel()
	c := overlays(t)["production"]
	names, nats := startNats(t, c)
	redis, listen, admin := rig.Address(t), rig.Address(t), rig.Address(t)
	startRedis(t, c, redis)
	names = append(names, "redis:6379", redis, "0.0.0.0:3000", listen, "0.0.0.0:3001", admin)

	pod := c.find("StatefulSet", "gateway").pod()
	files, data, environment := c.files(t, pod), t.TempDir(), []string{}
	put(t, filepath.Join(files, "redis_url"), strings.NewReplacer(names...).Replace(secrets["redis_url"]))
	for _, v := range pod.Containers[0].Env {
		environment = append(environment, v.Name+"="+strings.NewReplacer(names...).Replace(here(v.Value, files, data)))
	}
	monitors := strings.NewReplacer(names...).Replace("http://nats-0.nats-pods:8222,http://nats-1.nats-pods:8222,http://nats-2.nats-pods:8222")
	gateway := rig.Start(t, rig.Build(t, "./gateway"), nil, rig.Environment(append(environment, "SLUICE_NATS_MONITOR="+monitors)...))
	gateway.WaitFor("listening", 2*time.Minute)
	rig.Eventually(t, 2*time.Minute, "all is well, and an event is on three disks", func() bool {
		ready, err := telemetry.Ask(t.Context(), admin, secrets["admin_token"])
		return err == nil && ready.Status == "ready" && strings.Contains(fmt.Sprint(ready.Dependencies), "on 3 disks, synced")
	})
	startOperator(t, c, names)
	send := exec.Command(rig.Build(t, "./sluicectl"), "send", "pbx.call.hangup", "--url", "http://"+listen+"/webhook")
	send.Env = rig.Environment("ZORIO_WEBHOOK_SECRET=" + webhookSecret)
	if output, err := send.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	answers(t, pod.Containers[0], admin)
	answers(t, c.find("StatefulSet", "nats").pod().Containers[0], nats)
}

func startRedis(t *testing.T, c cluster, address string) {
	t.Helper()
	pod := c.find("StatefulSet", "redis").pod()
	program, err := exec.LookPath(pod.Containers[0].Command[0])
	if err != nil {
		t.Fatalf("%v: `make deps` installs it", err)
	}
	_, port, _ := strings.Cut(address, ":")
	replaced := strings.NewReplacer("/etc/redis", c.files(t, pod), "0.0.0.0", "127.0.0.1 --port "+port, "/data", t.TempDir())
	rig.Start(t, program, strings.Fields(replaced.Replace(strings.Join(pod.Containers[0].Command[1:], " "))), os.Environ()).Listening(address)
}

// startNats starts the StatefulSet's servers. It returns pairs of what they are called and where they are, and where the
// first is monitored.
func startNats(t *testing.T, c cluster) (names []string, monitor string) {
	t.Helper()
	pod := c.find("StatefulSet", "nats").pod()
	var clients, monitors []string
	for n := range 3 {
		client, peer := rig.Address(t), rig.Address(t)
		clients, monitors = append(clients, client), append(monitors, rig.Address(t))
		host := fmt.Sprintf("nats-%d.nats-pods", n)
		names = append(names, host+":4222", client, host+":6222", peer, host+":8222", monitors[n])
	}
	for n := range 3 {
		files, own := c.files(t, pod), fmt.Sprintf("nats-%d.nats-pods", n)
		ports := append([]string{"/data", t.TempDir(), "0.0.0.0:4222", clients[n], "0.0.0.0:8222", monitors[n], "0.0.0.0:6222", strings.NewReplacer(names...).Replace(own + ":6222")}, names...)
		for _, name := range []string{"nats.conf", "routes.conf"} {
			file := filepath.Join(files, name)
			put(t, file, strings.NewReplacer(ports...).Replace(content(t, file)))
		}
		arguments := strings.Fields(strings.ReplaceAll(strings.Join(pod.Containers[0].Command[1:], " "), "/etc/nats", files))
		rig.Start(t, rig.NatsServer(t), arguments, append(os.Environ(), fmt.Sprintf("POD_NAME=nats-%d", n)))
	}
	return names, monitors[0]
}

// startOperator starts the Deployment that makes the teams' places, and waits until its probe says that they are made.
func startOperator(t *testing.T, c cluster, names []string) {
	t.Helper()
	pod := c.find("Deployment", "operator").pod()
	container, files := pod.Containers[0], c.files(t, pod)
	environment := rig.Environment()
	for _, v := range container.Env {
		environment = append(environment, v.Name+"="+strings.NewReplacer(names...).Replace(here(v.Value, files, "")))
	}
	words := func(command []string) []string {
		return strings.Fields(strings.ReplaceAll(strings.Join(command[1:], " "), "/etc/sluice", files))
	}
	operator := rig.Start(t, rig.Build(t, "./sluicectl"), words(container.Command), environment)
	rig.Eventually(t, 2*time.Minute, "the probe finds every team's place", func() bool {
		probe := exec.Command(rig.Build(t, "./sluicectl"), words(container.ReadinessProbe.Exec.Command)...)
		probe.Env = environment
		return probe.Run() == nil
	})
	operator.WaitFor("autocall: takes autocall.>", time.Minute)
}

// answers fails the test where a probe of the container is not answered 200.
func answers(t *testing.T, c container, address string) {
	t.Helper()
	for _, probe := range []*probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		rig.Eventually(t, time.Minute, c.Name+" answers "+probe.HTTPGet.Path+" with 200", func() bool {
			answer, err := http.Get("http://" + address + probe.HTTPGet.Path)
			if err != nil {
				return false
			}
			defer answer.Body.Close()
			return answer.StatusCode == http.StatusOK
		})
	}
}
