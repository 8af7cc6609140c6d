package consumer

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
)

// What a start would end with, or wait for in vain, is said by --check, without what is secret in it.
func TestCheckRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	const gateway, hidden = "./gateway", "GEHEIM"
	for _, c := range []struct {
		binary, setting, want string
		code                  int
	}{
		{"./consumer/pbx", "NATS_URL=http://u:GEHEIM@h", "nats://host:4222", 1},
		{"./consumer/pbx", "NATS_URL=u:GEHEIM@h", "nats://host:4222", 1},
		{"./consumer/pbx", "DATABASE_URL=mysql://u:GEHEIM@h/x", "postgres://user:password@host/database", 1},
		{"./consumer/pbx", "DATABASE_URL=host=h password=GEHEIM", "postgres://user:password@host/database", 1},
		{"./consumer/pbx", "NATS_CREDS=/no/such/file", "name a file that this user may read", 1},
		{"./consumer/pbx", "NATS_CA=/etc/hostname", "NATS_CA=/etc/hostname holds no certificate", 1},
		{gateway, "REDIS_CA=/etc/hostname", "REDIS_CA=/etc/hostname holds no certificate", 1},
		{"./consumer/pbx", "SLUICE_ADMIN=3011", "use host:port", 1},
		{"./consumer/pbx", "SLUICE_ADMIN=:3011", "set SLUICE_ADMIN_TOKEN", 1},
		{"./consumer/archive", "NATS_URL=http://u:GEHEIM@h", "nats://host:4222", 1},
		{gateway, "SLUICE_LISTEN=3000", "use host:port", 1},
		{gateway, "SLUICE_ADMIN=:3001", "set SLUICE_ADMIN_TOKEN", 1},
		{gateway, "SLUICE_HUB_LISTEN=:99999", "use host:port", 1},
		{gateway, "NATS_CREDS=/no/such/file", "name a file that this user may read", 1},
		{gateway, "SLUICE_NATS_MONITOR=http://u:GEHEIM@h:8222", "http://xxxxx@h:8222", 0},
	} {
		check := exec.Command(rig.Build(t, c.binary), "--check")
		check.Env = rig.Environment(c.setting, "ZORIO_WEBHOOK_SECRET=0123456789abcdefghijABCDEFGHIJ01")
		output, _ := check.CombinedOutput()
		if code := check.ProcessState.ExitCode(); code != c.code || !strings.Contains(string(output), c.want) || strings.Contains(string(output), hidden) {
			t.Errorf("%s with %s: exit code %d\n%s", c.binary, c.setting, code, output)
		}
	}
}
