package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

// A whole way with certificates on both sides: the gateway to NATS and Redis, and this command after it.
func TestNATSAndRedisMayAskForCertificates(t *testing.T) {
	t.Parallel()
	a, other := rig.NewAuthority(t), rig.NewAuthority(t)
	a.Issue("nats")
	a.Issue("client")
	nats := rig.StartNats(t, fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }", a.File("nats"), a.File("nats-key"), a.File("ca")))
	redis := rig.StartTLSRedis(t, a)
	settings := []string{"NATS_URL=" + nats.URL(), "NATS_CA=" + a.File("ca"), "NATS_CERT=" + a.File("client"), "NATS_KEY=" + a.File("client-key"),
		"SLUICE_NATS_MONITOR=http://" + nats.Monitor,
		"REDIS_URL=rediss://" + redis.Address, "REDIS_CA=" + a.File("ca"), "REDIS_CERT=" + a.File("client"), "REDIS_KEY=" + a.File("client-key")}
	g := rig.StartGateway(t, rig.Launch{}, settings...)
	g.WaitFor(`"msg":"listening"`, 30*time.Second) // the streams are there
	for want, args := range map[string][]string{
		"stored as EVENTS #":                 {"send", "pbx.call.hangup", "--url", g.URL()},
		"NATS_CA=" + other.File("ca"):        {"stats", "--nats-ca", other.File("ca")},
		"set NATS_CERT and NATS_KEY":         {"stats", "--nats-cert=", "--nats-key="},
		"redis         answers within":       {"doctor", "--admin", g.Admin},
		"REDIS_CA=" + other.File("ca") + " ": {"doctor", "--admin", g.Admin, "--redis-ca", other.File("ca")},
	} {
		rig.Eventually(t, time.Minute, fmt.Sprintf("%v says %s", args, want), func() bool { // a handshake may take a busy machine too long
			c := exec.Command(rig.Build(t, "./sluicectl"), args...)
			c.Env = rig.Environment(append(settings, "ZORIO_WEBHOOK_SECRET="+rig.Secret, "SLUICE_DATA="+g.Data)...)
			said, _ := c.CombinedOutput()
			return strings.Contains(string(said), want)
		})
	}
}
