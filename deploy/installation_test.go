package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// installation is a gateway with what belongs to it, which a Prometheus sees as a stack of its own.
type installation struct {
	*testing.T
	stack   string
	night   *night
	gateway *rig.Gateway // the one that was started last

	gateways, sent int
}

// night is a Prometheus that is configured as the one of this folder, and looks every second.
type night struct {
	*rig.Prometheus
	targets string // a folder with a file for each target, which it reads when they change
}

var (
	staticTargets = regexp.MustCompile(`(?m)^    static_configs:\n(?:      .*\n)+`)
	rangeOver     = regexp.MustCompile(`\[(\d+)m\]`)
)

// lookEvery is often enough for what changes once a second.
const lookEvery = 500 * time.Millisecond

// startNight starts one with these rules.
func startNight(t *testing.T, rules string) *night {
	t.Helper()
	dir, n := t.TempDir(), &night{targets: t.TempDir()}
	config := strings.ReplaceAll(textOf(t, "prometheus/prometheus.yml"), "15s", "1s")
	config = strings.ReplaceAll(config, "    authorization: {credentials_file: /run/secrets/sluice_admin_token}\n", "") // those here listen on loopback alone
	config = staticTargets.ReplaceAllStringFunc(config, func(string) string { return "    file_sd_configs: [{files: [FILES]}]\n" })
	for _, job := range []string{"gateway", "consumer"} {
		config = strings.Replace(config, "FILES", fmt.Sprintf("%q", n.targets+"/*."+job+".json"), 1)
	}
	write(t, filepath.Join(dir, "prometheus.yml"), config)
	write(t, filepath.Join(dir, "alerts.yml"), rules)
	n.Prometheus = rig.StartPrometheus(t, filepath.Join(dir, "prometheus.yml"))
	return n
}

// alerts are the rules of this folder.
func alerts(t *testing.T) string { return textOf(t, "prometheus/alerts.yml") }

// shorter are rules in which what takes minutes takes seconds. How full the disk of this machine is, is not looked at.
func shorter(rules string) string {
	return rangeOver.ReplaceAllString(strings.NewReplacer(
		"for: 1m", "for: 2s", "for: 2m", "for: 2s", "for: 3m", "for: 15s", "for: 5m", "for: 5s", "for: 15m", "for: 5s", "for: 1h", "for: 5s",
		"for: 10m", "for: 25s", // longer than the gateway takes to ask how the teams are
		"* 60", "* 0.7", "> 10000", "> 10", "sluice_data_disk_free_bytes", `sluice_data_disk_free_bytes{stack="disk"}`,
	).Replace(rules), "[${1}s]")
}

func textOf(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start starts the installation's gateway.
func (i *installation) start(settings ...string) {
	i.Helper()
	i.gateway = rig.StartGateway(i.T, rig.Launch{}, settings...)
	i.gateway.Ready()
	i.gateways++
	i.watch("gateway", fmt.Sprint("gateway-", i.gateways), i.gateway.Admin)
}

// consumer is one of its consumers.
type consumer struct {
	*rig.Process
	admin string
}

// consume starts one of its consumers.
func (i *installation) consume(name, nats string, settings ...string) consumer {
	i.Helper()
	admin := rig.Address(i.T)
	p := rig.Start(i.T, rig.Build(i.T, "./consumer/"+name), nil, rig.Environment(append(settings, "NATS_URL="+nats, "SLUICE_ADMIN="+admin, "SLUICE_DATA="+i.TempDir())...))
	p.Listening(admin)
	i.watch("consumer", name, admin)
	return consumer{p, admin}
}

// watch lets Prometheus scrape a program, under its name, and waits until it does.
func (i *installation) watch(job, name, address string) {
	i.Helper()
	i.target(job, name, address)
	scraped := fmt.Sprintf("up{stack=%q, instance=%q} == 1", i.stack, name)
	rig.Eventually(i.T, time.Minute, "Prometheus scrapes "+name, func() bool {
		time.Sleep(lookEvery)
		return len(i.night.Query(scraped)) == 1
	})
}

// target tells Prometheus where a program is, by its name.
func (i *installation) target(job, name, address string) {
	i.Helper()
	target, err := json.Marshal([]any{map[string]any{"targets": []string{address}, "labels": map[string]string{"stack": i.stack, "instance": name}}})
	if err != nil {
		i.Fatal(err)
	}
	file := filepath.Join(i.night.targets, fmt.Sprintf("%s-%s.%s.json", i.stack, name, job))
	write(i.T, file+".new", string(target))
	if err := os.Rename(file+".new", file); err != nil {
		i.Fatal(err)
	}
}

// send delivers an event, signed with a secret.
func (i *installation) send(secret, name, data string) {
	i.Helper()
	i.sent++
	i.post(i.gateway, secret, name, fmt.Sprint(i.stack, "-", i.sent), fmt.Appendf(nil, `{"event":%q,"timestamp":"2026-11-25T03:00:00Z","data":%q}`, name, data))
}

// post delivers a body to a gateway; what that answers is seen in its metrics.
func (i *installation) post(to *rig.Gateway, secret, name, delivery string, body []byte) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, to.URL(), bytes.NewReader(body))
	if err != nil {
		i.Error(err)
		return
	}
	request.Header = zorio.Headers(secret, name, delivery, time.Now(), body)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		i.Error(err)
		return
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
}

// keep does something again and again until the test ends.
func (i *installation) keep(every time.Duration, do func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for tick := time.NewTicker(every); ; {
			select {
			case <-tick.C:
				do()
			case <-done:
				tick.Stop()
				return
			}
		}
	}()
	i.Cleanup(func() { close(done); <-ended })
}

// team makes the position of a team that has no process here.
func (i *installation) team(name string) *team.Team {
	i.Helper()
	js := i.js()
	if _, err := js.CreateConsumer(i.Context(), stream.Events, jetstream.ConsumerConfig{Durable: name, FilterSubject: event.Filter("pbx.>"), AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		i.Fatal(err)
	}
	made, err := team.Find(i.Context(), js, name)
	if err != nil {
		i.Fatal(err)
	}
	return made
}

func (i *installation) pause(t *team.Team) {
	i.Helper()
	if err := t.Pause(context.Background(), i.js(), "a test", time.Now()); err != nil {
		i.Fatal(err)
	}
}

func (i *installation) js() jetstream.JetStream { return rig.JetStream(i.T, "nats://"+i.gateway.Hub) }

// fired are the alerts that were firing at any time, with their team where they have one.
func (i *installation) fired() (all []string) {
	i.Helper()
	for _, s := range i.night.Query(fmt.Sprintf(`max by (alertname, team) (max_over_time(ALERTS{stack=%q, alertstate="firing"}[10m]))`, i.stack)) {
		all = append(all, strings.TrimSpace(s.Metric["alertname"]+" "+s.Metric["team"]))
	}
	slices.Sort(all)
	return all
}
