package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
)

// Two cells behind the proxy that the page shows: both get deliveries, and each repetition finds the first attempt.
func TestCellsShareTheLoad(t *testing.T) {
	t.Parallel()
	proxy, admin := rig.Address(t), rig.Address(t)
	one, two := rig.StartGateway(t, rig.Launch{}), rig.StartGateway(t, rig.Launch{})
	shown := regexp.MustCompile("(?s)```caddy\n(.*?)```").FindStringSubmatch(rig.Pages(t)["docs/scale.md"])[1]
	config := strings.NewReplacer(":8080", "http://"+proxy, "10.0.1.1:3000", one.Address, "10.0.2.1:3000", two.Address).Replace(shown)
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte("{\n\tadmin "+admin+"\n}\n"+config), 0o600); err != nil {
		t.Fatal(err)
	}
	rig.Start(t, rig.Caddy(t), []string{"run", "--config", file}, rig.Environment("XDG_CONFIG_HOME="+t.TempDir(), "XDG_DATA_HOME="+t.TempDir())).Listening(proxy)
	one.Ready()
	two.Ready()

	url := "http://" + proxy + "/webhook"
	deliver(t, url, "200 OK", 0, 40)
	deliver(t, url, "200 Duplicate", 0, 40)
	first, second := rig.JetStream(t, "nats://"+one.Hub), rig.JetStream(t, "nats://"+two.Hub)
	rig.Eventually(t, 20*time.Second, "the cells have 40 events, each of them some", func() bool {
		a, b := rig.Messages(t, first, stream.Events), rig.Messages(t, second, stream.Events)
		return a > 0 && b > 0 && a+b == 40
	})
}
