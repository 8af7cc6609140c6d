package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

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
	a := rig.Messages(t, rig.JetStream(t, "nats://"+one.Hub), stream.Events)
	b := rig.Messages(t, rig.JetStream(t, "nats://"+two.Hub), stream.Events)
	if a == 0 || b == 0 || a+b != 40 {
		t.Errorf("the cells have %d and %d events", a, b)
	}
}
