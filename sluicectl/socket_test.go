package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

// A gateway that has no port at all is reached all the same, and one with a token tells those who have it everything.
func TestAGatewayOnSocketsIsReached(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	webhooks, admin, token := "unix:"+filepath.Join(dir, "webhooks"), "unix:"+filepath.Join(dir, "admin"), filepath.Join(dir, "token")
	rig.Replace(t, token, []byte("0123456789abcdef\n"))
	settings := []string{"SLUICE_LISTEN=" + webhooks, "SLUICE_ADMIN=" + admin, "SLUICE_ADMIN_TOKEN_FILE=" + token}
	g := rig.StartGateway(t, rig.Launch{}, settings...)
	g.WaitFor("listening", 20*time.Second)

	ctl := func(more string, args ...string) string {
		c := exec.Command(rig.Build(t, "./sluicectl"), args...)
		c.Env = rig.Environment(append(settings, "ZORIO_WEBHOOK_SECRET="+rig.Secret, "SLUICE_HUB_LISTEN="+g.Hub, "SLUICE_DATA="+g.Data, more)...)
		output, _ := c.CombinedOutput() // what it says tells what became of it
		return string(output)
	}
	for _, c := range []struct {
		more string
		args []string
		want string
	}{
		{"", []string{"send", "pbx.call.hangup", "--url", webhooks}, "answered 200 OK"},
		{"", []string{"send", "pbx.call.hangup", "--url", webhooks + ":/webhook"}, "answered 200 OK"},
		{"", []string{"send", "pbx.call.hangup", "--url", webhooks + ":/elsewhere"}, "404 Not found"},
		{"", []string{"ready", "--degraded-ok"}, "journal ok"},
		{"SLUICE_ADMIN_TOKEN_FILE=", []string{"ready", "--degraded-ok"}, "set SLUICE_ADMIN_TOKEN"},
		{"SLUICE_ADMIN_TOKEN_FILE=/no/such/file", []string{"ready"}, "SLUICE_ADMIN_TOKEN_FILE"},
		{"", []string{"doctor"}, "gateway       durability: "},
	} {
		if said := ctl(c.more, c.args...); !strings.Contains(said, c.want) {
			t.Errorf("%s %v: %s", c.more, c.args, said)
		}
	}
}

func TestTheAddressesOfSocketsAreSaidAsTheyAreTyped(t *testing.T) {
	t.Setenv("SLUICE_LISTEN", "unix:/run/sluice/webhooks.sock")
	t.Setenv("SLUICE_PATH", "")
	if url := webhookURL(); url != "unix:/run/sluice/webhooks.sock:/webhook" || !strings.Contains(nextCommand(), "--url "+url) {
		t.Error(url, nextCommand())
	}
	for url, want := range map[string]string{
		"unix:/run/a": "http://sluice/webhook", "unix:/run/a:/x": "http://sluice/x", "https://h/x": "https://h/x",
	} {
		if to, _ := posting(url); to != want {
			t.Errorf("%s: %s, want %s", url, to, want)
		}
	}
}
