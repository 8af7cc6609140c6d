package deploy

import (
	"context"
	"crypto/x509"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/sluicehq/sluice/internal/access"
	"github.com/sluicehq/sluice/internal/rig"
)

var (
	serve = flag.Bool("serve", false, "start the whole stack, and run it until Ctrl-C")
	load  = flag.Duration("load", 0, "how long the whole stack is under load while every part of it is replaced")
	rate  = flag.Int("rate", 500, "events a second of that load")
)

// notStarted are the services that the distribution has no program for.
var notStarted = []string{"grafana"}

// startStack starts the whole stack, with a receiver behind the consumer forward.
func startStack(t testing.TB) (*composed, *receiver) {
	t.Helper()
	c := compose(t, whole)
	r := startReceiver(t, c)
	for _, name := range c.names() {
		c.start(name)
	}
	for _, name := range c.names() {
		c.healthy(name)
	}
	return c, r
}

// names are those of the services that are started.
func (c *composed) names() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(c.services)), func(name string) bool { return slices.Contains(notStarted, name) })
}

func (c *composed) url() string { return "https://" + c.services["caddy"].address + ":8443/webhook" }

func (c *composed) natsURL() string {
	return c.services["pbx"].places.in(*c.services["pbx"].Environment["NATS_URL"])
}

// authority is the file of who signed Caddy's certificate, which Caddy does itself where it is called by an address.
func (c *composed) authority() string {
	return filepath.Join(c.folder, "data/caddy/caddy/pki/authorities/local/root.crt")
}

func (c *composed) roots() *x509.CertPool {
	c.t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(read(c.t, c.authority()))) {
		c.t.Fatalf("%s has no certificate", c.authority())
	}
	return roots
}

func TestServe(t *testing.T) {
	if !*serve {
		t.Skip("`make stack` runs it")
	}
	ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	c, _ := startStack(t)
	fmt.Println(c.whereEverythingIs())
	<-ctx.Done()
	for _, name := range []string{"caddy", "gateway-1", "gateway-2"} {
		c.stop(name)
	}
}

// whereEverythingIs are the addresses of all, and a command to begin with.
func (c *composed) whereEverythingIs() string {
	var said strings.Builder
	fmt.Fprintf(&said, "\nThe stack is up, without %s:\n\n", strings.Join(notStarted, ", "))
	table := tabwriter.NewWriter(&said, 0, 0, 3, ' ', 0)
	fmt.Fprintf(table, "    webhooks\t%s\n    data\t%s\n", c.url(), c.folder)
	for _, name := range c.names() {
		fmt.Fprintf(table, "    %s\t%s\n", name, c.services[name].address)
	}
	_ = table.Flush() // a strings.Builder takes everything
	fmt.Fprintf(&said, "\nPorts are those of docker-compose.yml: Prometheus is http://%s:9090. In another terminal:\n\n"+
		"    SSL_CERT_FILE=%s ZORIO_WEBHOOK_SECRET_FILE=%s/secrets/zorio_webhook_secret NATS_CREDS=%s \\\n    bin/sluicectl send pbx.call.hangup --url %s --nats %s\n\nCtrl-C stops everything.\n",
		c.services["prometheus"].address, c.authority(), c.folder, accessIn(c.folder).Seed(access.Operator), c.url(), c.natsURL())
	return said.String()
}

// kinds are the events of the load: those of each team in turns.
var kinds = []string{"pbx.call.hangup", "telesales.lead.created", "autocall.lead.added"}

// Under load every part is replaced, in turn: asked to stop, or killed, and started again when it has ended. No request
// fails, nothing that was answered 2xx is lost, and each event has its effect once in each team that takes it.
func TestTheStackOutlivesTheReplacementOfEveryPart(t *testing.T) {
	if *load == 0 {
		t.Skip("`make stack-test` runs it")
	}
	c, r := startStack(t)
	teams := c.arm()
	secret := read(t, filepath.Join(c.folder, "secrets", "zorio_webhook_secret"))
	sender := rig.StartSender(t, rig.Sending{URL: c.url(), Rate: *rate, Scale: 10, Events: kinds, Secret: secret, Roots: c.roots()})
	c.replaceEverything(*load)
	sender.End()
	attempts := sender.Attempts()
	t.Logf("%d requests: p50 %s, p99 %s, slowest %s", len(attempts), rig.Quantile(attempts, 0.5), rig.Quantile(attempts, 0.99), rig.Quantile(attempts, 1))
	failures(t, attempts)
	a := &account{c: c, js: rig.JetStream(t, c.natsURL()), taken: sender.Taken(), teams: teams, receiver: r}
	c.watched()
	if strings.Contains(c.services["caddy"].Output(), "error matching request for retry") {
		t.Error("Caddy cannot tell what to send again")
	}
	a.balance()
	c.mustNotWarn()
}

// failures fails the test for requests that the sender counts as failed.
func failures(t *testing.T, attempts []rig.Attempt) {
	t.Helper()
	answers := map[string]int{}
	for _, a := range attempts {
		if a.Failed() {
			answers[a.Answer]++
			if answers[a.Answer] <= 3 {
				t.Logf("%s at %s, after %s", a.Answer, a.Begin.Format(clock), a.Took)
			}
		}
	}
	for answer, times := range answers {
		t.Errorf("%d requests failed: %s", times, answer)
	}
}

const clock = "15:04:05.000"

// parts are replaced in this order. A server of NATS has caught up before the next one's turn.
var parts = []string{
	"nats-1", "gateway-1", "pbx", "redis", "nats-2", "telesales", "postgres", "gateway-2", "archive", "nats-3", "autocall", "forward", "prometheus", "operator", "console",
}

// replaceEverything replaces each part while the load lasts. In the first half of it every other part is killed, and in the
// second the others are.
func (c *composed) replaceEverything(lasts time.Duration) {
	c.t.Helper()
	begin := time.Now()
	for n := range 2 * len(parts) {
		time.Sleep(time.Until(begin.Add(lasts * time.Duration(n) / time.Duration(2*len(parts))))) // the load lasts that long
		c.replace(parts[n%len(parts)], n%2 == 0)
	}
	time.Sleep(time.Until(begin.Add(lasts)))
}

// replace ends a part, starts it again at once, and waits until it is healthy.
func (c *composed) replace(name string, kill bool) {
	c.t.Helper()
	how, begin := "stopped", time.Now()
	if kill {
		how = "killed"
		c.services[name].Kill()
	} else {
		c.stop(name)
	}
	ended := time.Since(begin)
	c.services[name].Start()
	c.healthy(name)
	c.t.Logf("%s %s %s: ended after %s, healthy after %s", begin.Format(clock), name, how, ended.Round(time.Millisecond), time.Since(begin).Round(time.Millisecond))
}

// receiver is an HTTP receiver behind the consumer forward.
type receiver struct {
	counts
}

func startReceiver(t testing.TB, c *composed) *receiver {
	t.Helper()
	r := &receiver{counts{all: map[string]int{}}}
	address := c.host(250) + ":8000"
	server := &http.Server{Addr: address, ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		r.add(q.Header.Get("X-Zorio-Delivery"))
	})}
	go func() { _ = server.ListenAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown(context.Background()) })
	targets := fmt.Sprintf("targets: [{name: crm, url: 'http://%s/', secret: 0123456789abcdef}]\n", address)
	if err := os.WriteFile(filepath.Join(c.folder, "targets/targets.yaml"), []byte(targets), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}
