package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
)

// A second region has a copy of every event. When the first one is lost, the copy becomes the stream of a gateway there:
// what it had is a duplicate still, and its teams get all of it.
func TestASecondRegionTakesOver(t *testing.T) {
	t.Parallel()
	configs := regexp.MustCompile("(?s)```conf\n(.*?)```").FindAllStringSubmatch(rig.Pages(t)["docs/scale.md"], -1)
	at := rig.Address(t)
	leaf := strings.NewReplacer("0.0.0.0:7422", at, "nats.one:7422", at)
	one := startRegion(t, leaf.Replace(configs[0][1]))
	two := startRegion(t, leaf.Replace(configs[1][1]))
	first := rig.StartGateway(t, rig.Launch{}, "NATS_URL="+one.url)
	first.Ready()
	d := newDesk(t, []string{"NATS_URL=" + two.url})
	if err := os.Symlink(filepath.Join(rig.Root(t), "deploy"), filepath.Join(d.dir, "deploy")); err != nil {
		t.Fatal(err)
	}
	copies, takes := theTwo(t, rig.Shown(t, "docs/scale.md"))

	deliver(t, first.URL(), "200 OK", 0, 40)
	d.types(copies)
	deliver(t, first.URL(), "200 OK", 40, 80)
	js := rig.JetStream(t, two.url)
	rig.Eventually(t, time.Minute, "the copy is complete", func() bool { return rig.Messages(t, js, stream.Events) == 80 })

	first.Kill()
	one.Kill()
	d.types(takes)
	second := rig.StartGateway(t, rig.Launch{}, "NATS_URL="+two.url)
	second.Ready()
	rig.Eventually(t, time.Minute, "its memory is filled", func() bool {
		return strings.Contains(rig.Get(t, "http://"+second.Admin+"/metrics"), "sluice_seen_entries 80")
	})
	deliver(t, second.URL(), "200 Duplicate", 0, 80)
	deliver(t, second.URL(), "200 OK", 80, 100)
	startPBX(t, "NATS_URL="+two.url).has(100)
}

type region struct {
	*rig.Process
	url string
}

// startRegion starts a NATS with a configuration that a page shows.
func startRegion(t *testing.T, config string) region {
	t.Helper()
	dir, address := t.TempDir(), rig.Address(t)
	file := filepath.Join(dir, "nats.conf")
	text := fmt.Sprintf("listen: %q\n%s", address, strings.ReplaceAll(config, "/data", dir))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	n := region{rig.Start(t, rig.NatsServer(t), []string{"-c", file}, rig.Environment()), "nats://" + address}
	n.Listening(address)
	return n
}
