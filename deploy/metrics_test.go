package deploy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

// labels are those that metrics of Sluice have. Each has as many values as there are in a list of the code's, in the
// configuration, or teams: none is a sender's to choose.
var labels = []string{"answer", "binary", "class", "dependency", "kept", "le", "name", "op", "outcome", "reason", "result", "secret", "source", "state", "status", "stream", "target", "team", "version"}

var labelOf = regexp.MustCompile(`(\w+)="`)

// What each binary shows on /metrics, with series in it, is what Prometheus's own tool takes for well named.
func TestMetricsAreAsPrometheusHasThem(t *testing.T) {
	t.Parallel()
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	t.Cleanup(receiver.Close)
	targets := filepath.Join(t.TempDir(), "targets.yaml")
	write(t, targets, fmt.Sprintf("targets: [{name: one, url: %q, secret: %s}]\n", receiver.URL, rig.Secret))
	i := &installation{T: t}
	redis := rig.StartRedis(t)
	i.gateway = rig.StartGateway(t, rig.Launch{}, "REDIS_URL="+redis.URL())
	i.gateway.Ready()
	shown := map[string]string{"gateway": i.gateway.Admin, "gateway without Redis": rig.StartGateway(t, rig.Launch{}).Admin}
	for _, name := range []string{"pbx", "telesales", "autocall", "archive", "forward"} {
		shown[name] = rig.Address(t)
		rig.Start(t, rig.Build(t, "./consumer/"+name), nil, rig.Environment("NATS_URL=nats://"+i.gateway.Hub, "SLUICE_ADMIN="+shown[name], "SLUICE_DATA="+t.TempDir(), "SLUICE_TARGETS="+targets, "SLUICE_ARCHIVE="+t.TempDir())).Listening(shown[name])
	}
	i.send(rig.Secret, "pbx.call.hangup", "")
	i.send(wrongSecret, "pbx.call.hangup", "")
	for name, admin := range shown {
		text := ""
		rig.Eventually(t, 30*time.Second, name+" shows its metrics", func() bool {
			time.Sleep(50 * time.Millisecond)
			text = rig.Get(t, "http://"+admin+"/metrics")
			return strings.Contains(text, map[string]string{"gateway": "sluice_team_state", "forward": "sluice_forward_answers_total{"}[name])
		})
		if err := rig.Promtool(t, text, "check", "metrics"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for line := range strings.Lines(text) {
			for _, label := range labelOf.FindAllStringSubmatch(line, -1) {
				if strings.HasPrefix(line, "sluice_") && !slices.Contains(labels, label[1]) {
					t.Errorf("%s: %s: is the label %s bounded?", name, strings.TrimSpace(line), label[1])
				}
			}
		}
	}
}
