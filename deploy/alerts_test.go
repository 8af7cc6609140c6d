package deploy

import (
	"context"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/worker"
)

// alarms are faults, each in an installation of its own, and the alerts that they set off: these and no other.
var alarms = map[string]struct {
	fault func(*installation)
	fires []string
}{
	"a secret was rotated on one side":  {rotated, []string{"SluiceFailingRun"}},
	"somebody guesses at the secret":    {guessed, []string{"SluiceRefusalStorm"}},
	"the sender is silent":              {silent, []string{"SluiceSilence"}},
	"NATS is killed":                    {natsKilled, []string{"SluiceNATSAway"}},
	"the journal fills while it is":     {journalFills, []string{"SluiceJournalFilling", "SluiceNATSAway"}}, // which it follows from, and is a reason to hurry
	"Redis is killed":                   {redisKilled, []string{"SluiceRedisAway"}},
	"teams do badly":                    {teams, []string{"SluiceDeadLetters forward-picky", "SluiceTeamBlocked forward-dead", "SluiceTeamGone gone", "SluiceTeamLag forward-slow", "SluiceTeamOld forward-stuck", "SluiceTeamPaused paused"}},
	"retention drops what a team lacks": {atRisk, []string{"SluiceTeamAtRisk paused"}},
	"disk":                              {diskFills, []string{"SluiceDiskFilling", "SluiceNotDurable"}}, // the small disk is in memory
	"a certificate is not renewed":      {oldCertificate, []string{"SluiceCertificateExpires"}},
	"a certificate is not valid yet":    {earlyCertificate, []string{"SluiceCertificateWrong"}},
	"the gateway is killed":             {gatewayKilled, []string{"SluiceGatewayDown"}},
	"a consumer is stopped":             {consumerStopped, []string{"SluiceTeamGone pbx"}},
	"a record of a journal is damaged":  {journalDamaged, []string{"SluiceJournalDamaged"}},
	"the sender sends what is no event": {quarantined, []string{"SluiceQuarantine"}},
	"a handler ignores its time limit":  {handlerStuck, []string{"SluiceHandlersStuck deaf", "SluiceTeamOld deaf"}}, // its event waits all the while
	"a consumer is not to be reached":   {notScraped, []string{"SluiceConsumerNotScraped"}},
}

var everyAlert = flag.Bool("alerts", false, "make each fault, and see its alert fire")

// Each fault is made, in processes, and Prometheus fires what it should, once, and nothing else.
func TestEachFaultFiresItsAlertAndNoOther(t *testing.T) {
	if !*everyAlert {
		t.Skip("a dozen installations at once: `make alerts-test` runs it; the rules by themselves are tested by promtool's tests")
	}
	t.Parallel()
	night := startNight(t, shorter(alerts(t)))
	rig.Build(t, "./gateway")
	rig.Eventually(t, 30*time.Second, "without a gateway Prometheus fires SluiceMetricsAbsent", func() bool {
		time.Sleep(lookEvery)
		return len(night.Query(`ALERTS{alertname="SluiceMetricsAbsent", alertstate="firing"}`)) == 1
	})
	for name, alarm := range alarms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := &installation{T: t, stack: name, night: night}
			alarm.fault(i)
			slices.Sort(alarm.fires)
			deadline := time.Now().Add(90 * time.Second)
			for ; len(i.missing(alarm.fires)) > 0 && time.Now().Before(deadline); time.Sleep(lookEvery) {
			}
			time.Sleep(2 * time.Second) // for what else may fire
			if got := i.fired(); !slices.Equal(got, alarm.fires) {
				t.Errorf("%s fired, want %s", strings.Join(got, ", "), strings.Join(alarm.fires, ", "))
			}
			for _, a := range night.Alerts() {
				if said := a.Annotations["summary"]; a.Labels["stack"] == name && !isSentence(said) {
					t.Errorf("%s says %q", a.Labels["alertname"], said)
				}
			}
		})
	}
}

// isSentence reports whether a template came out as text for people.
func isSentence(text string) bool {
	return strings.HasSuffix(text, ".") && !strings.Contains(text, "<") && !strings.Contains(text, "%!") && !strings.Contains(text, "{")
}

func (i *installation) missing(alerts []string) []string {
	fired := i.fired()
	return slices.DeleteFunc(slices.Clone(alerts), func(a string) bool { return slices.Contains(fired, a) })
}

const wrongSecret = "abcdefghijABCDEFGHIJ0123456789ab"

// rotated is taken for the sender's when nothing authentic has come for 10 s.
func rotated(i *installation) {
	i.start()
	i.keep(500*time.Millisecond, func() { i.send(wrongSecret, "pbx.call.hangup", "") })
}

func guessed(i *installation) {
	i.start()
	i.keep(100*time.Millisecond, func() {
		i.send(rig.Secret, "pbx.call.hangup", fmt.Sprint(i.sent))
		i.send(wrongSecret, "pbx.call.hangup", "")
		i.send(wrongSecret, "pbx.call.hangup", "")
	})
}

func silent(i *installation) {
	i.start("SLUICE_SILENCE=2s")
	for range 20 {
		i.send(rig.Secret, "pbx.call.hangup", fmt.Sprint(i.sent))
		time.Sleep(100 * time.Millisecond)
	}
}

func natsKilled(i *installation) {
	nats := rig.StartNats(i.T, "")
	i.start("NATS_URL="+nats.URL(), "SLUICE_NATS_MONITOR=http://"+nats.Monitor)
	i.consume("pbx", nats.URL())
	i.send(rig.Secret, "pbx.call.hangup", "")
	nats.Kill()
	i.send(rig.Secret, "pbx.call.hangup", "another")
}

func journalFills(i *installation) {
	nats := rig.StartNats(i.T, "")
	i.start("NATS_URL="+nats.URL(), "SLUICE_NATS_MONITOR=http://"+nats.Monitor, "SLUICE_JOURNAL_MAX_BYTES=64MiB")
	nats.Kill()
	large := strings.Repeat("x", 1000<<10)
	for n := range 48 {
		i.send(rig.Secret, "pbx.call.hangup", fmt.Sprint(n, large))
	}
}

func redisKilled(i *installation) {
	redis := rig.StartRedis(i.T)
	i.start("REDIS_URL=" + redis.URL())
	redis.Kill()
	i.keep(200*time.Millisecond, func() { i.send(rig.Secret, "pbx.call.hangup", fmt.Sprint(i.sent)) })
}

// receivers of the consumer forward; each gets the events that its target in teams names.
func receivers(i *installation) string {
	answers := http.NewServeMux()
	release := make(chan struct{})
	answers.HandleFunc("/slow", func(http.ResponseWriter, *http.Request) { time.Sleep(110 * time.Millisecond) })
	answers.HandleFunc("/stuck", func(http.ResponseWriter, *http.Request) { <-release })
	answers.HandleFunc("/picky", func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); strings.Contains(string(body), "bad") {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	server := httptest.NewServer(answers)
	i.Cleanup(func() { close(release); server.Close() })
	file := filepath.Join(i.TempDir(), "targets.yaml")
	write(i.T, file, strings.ReplaceAll(fmt.Sprintf(`targets:
  - {name: slow, url: "%s/slow", secret: SECRET, concurrency: 1, events: [slow.>]}
  - {name: stuck, url: "%s/stuck", secret: SECRET, concurrency: 1, timeout: 5m, events: [stuck.>]}
  - {name: picky, url: "%s/picky", secret: SECRET, attempts: 1, events: [picky.>]}
  - {name: dead, url: "http://%s", secret: SECRET, events: [dead.>]}
`, server.URL, server.URL, server.URL, rig.Address(i.T)), "SECRET", rig.Secret))
	return file
}

func teams(i *installation) {
	i.start()
	i.consume("forward", "nats://"+i.gateway.Hub, "SLUICE_TARGETS="+receivers(i), "SLUICE_TIMEOUT=6m")
	i.team("gone")
	i.pause(i.team("paused"))
	n := 0
	i.keep(100*time.Millisecond, func() {
		i.send(rig.Secret, "slow.event", fmt.Sprint(n))
		if n++; n%5 == 0 {
			for _, name := range []string{"stuck.event", "dead.event", "picky.event"} {
				i.send(rig.Secret, name, fmt.Sprint(n))
			}
		}
		if n%50 == 0 {
			i.send(rig.Secret, "picky.event", fmt.Sprint("bad", n))
		}
	})
}

func atRisk(i *installation) {
	i.start("SLUICE_EVENTS_MAX_BYTES=100KiB")
	i.pause(i.team("paused"))
	i.keep(100*time.Millisecond, func() { i.send(rig.Secret, "pbx.call.hangup", fmt.Sprint(i.sent, strings.Repeat("x", 1000))) })
}

func diskFills(i *installation) {
	disk := rig.SmallDisk(i.T, 256<<20)
	i.start("SLUICE_DATA=" + disk.Path)
	disk.Fill(30 << 20)
}

func oldCertificate(i *installation) {
	a := rig.NewAuthority(i.T)
	a.Issue("gateway", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(10 * 24 * time.Hour) })
	i.start("SLUICE_TLS_CERT="+a.File("gateway"), "SLUICE_TLS_KEY="+a.File("gateway-key"))
}

func earlyCertificate(i *installation) {
	a := rig.NewAuthority(i.T)
	a.Issue("gateway", func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(24*time.Hour), time.Now().Add(90*24*time.Hour)
	})
	i.start("SLUICE_TLS_CERT="+a.File("gateway"), "SLUICE_TLS_KEY="+a.File("gateway-key"))
}

func gatewayKilled(i *installation) {
	i.start()
	i.gateway.Kill()
}

func consumerStopped(i *installation) {
	i.start()
	i.consume("pbx", "nats://"+i.gateway.Hub).Stop(10 * time.Second)
}

// journalDamaged has deliveries in the journal of a gateway that is killed, and changes one of them.
func journalDamaged(i *installation) {
	nats := rig.StartNats(i.T, "")
	settings := []string{"NATS_URL=" + nats.URL(), "SLUICE_NATS_MONITOR=http://" + nats.Monitor}
	i.gateway = rig.StartGateway(i.T, rig.Launch{}, settings...)
	i.gateway.Ready()
	nats.Kill()
	for n := range 10 {
		i.send(rig.Secret, "pbx.call.hangup", fmt.Sprint("kept-", n))
	}
	i.gateway.Kill()
	data := i.gateway.Data
	files, err := filepath.Glob(filepath.Join(data, "journal", "*", "*.log"))
	if err != nil || len(files) == 0 {
		i.Fatalf("%d files in the journal: %v", len(files), err)
	}
	for _, file := range files {
		write(i.T, file, strings.Replace(textOf(i.T, file), "kept-4", "kept-!", 1))
	}
	nats.Restart()
	i.start(append(settings, "SLUICE_DATA="+data)...)
}

func quarantined(i *installation) {
	i.start()
	i.keep(500*time.Millisecond, func() {
		i.send(rig.Secret, "pbx.call.hangup", fmt.Sprint(i.sent))
		i.post(i.gateway, rig.Secret, "pbx.call.hangup", fmt.Sprint("odd-", i.sent), fmt.Append(nil, "not JSON ", i.sent))
	})
}

// handlerStuck has a team whose handler does not return for one event, whatever its context says.
func handlerStuck(i *installation) {
	i.start()
	address, hub := rig.Address(i.T), "nats://"+i.gateway.Hub
	admin, err := telemetry.NewAdmin("deaf", address, "")
	if err != nil {
		i.Fatal(err)
	}
	go admin.Serve()
	release := make(chan struct{})
	host := worker.Host{Log: slog.New(slog.DiscardHandler), Admin: admin, Settings: worker.Settings{
		Common: worker.Common{NATSURL: hub, NATSCreds: rig.Credentials(hub)}, Concurrency: 4, Timeout: time.Second, Attempts: 3, BackoffMin: time.Second, BackoffMax: time.Second,
	}}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		err := host.Run(ctx, worker.Team{Name: "deaf"}, func(_ context.Context, e *event.Event) error {
			if strings.Contains(string(e.Body), "hang") {
				<-release
			}
			return nil
		})
		if err != nil {
			i.Error(err)
		}
	})
	i.Cleanup(func() { close(release); stop(); running.Wait(); admin.Shutdown(context.Background()) })
	i.watch("consumer", "deaf", address)
	i.send(rig.Secret, "any.event", "hang")
	i.keep(500*time.Millisecond, func() { i.send(rig.Secret, "any.event", fmt.Sprint(i.sent)) })
}

// notScraped has a consumer that works, and whose admin address is another than Prometheus is told.
func notScraped(i *installation) {
	i.start()
	i.consume("pbx", "nats://"+i.gateway.Hub)
	i.target("consumer", "pbx", rig.Address(i.T))
}
