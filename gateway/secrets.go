package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sluicehq/sluice/gateway/ingest"
	"github.com/sluicehq/sluice/pkg/settings"
	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// secrets are read again on SIGHUP, for a rotation without a restart.
type secrets struct {
	path    *ingest.Path
	admin   *telemetry.Admin
	log     *slog.Logger
	unwatch func() // ends what /readyz says about a file that is wrong
}

const secretsRemedy = "correct ZORIO_WEBHOOK_SECRET or its file, gateway --check names the mistake, and send SIGHUP again: a restart would fail"

// reloadOnHangup reads again, on SIGHUP, what may be changed while the gateway runs.
func reloadOnHangup(ctx context.Context, systemd *manager, reload ...func()) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		defer signal.Stop(hangup)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangup:
				systemd.reload(func() {
					for _, read := range reload {
						read()
					}
				})
			}
		}
	}()
}

// reload keeps the secrets of before where the new ones are wrong, and says so until they are right.
func (s *secrets) reload() {
	keys, err := readSecrets()
	s.unwatch()
	s.unwatch = func() {}
	if err != nil {
		wrong := telemetry.Health{Status: telemetry.Degraded, Since: time.Now(), Detail: "still using the previous secrets: " + err.Error(), Remedy: secretsRemedy}
		s.unwatch = s.admin.Watch("secrets", func() telemetry.Health { return wrong })
		s.log.Error("SIGHUP: keeping the secrets as they were", "error", err, "remedy", secretsRemedy)
		return
	}
	s.path.SetKeys(keys)
	s.log.Info("SIGHUP: read the secrets again", "secrets", keys.IDs())
}

func readSecrets() (*signature.Keys, error) {
	var s Secrets
	if err := settings.Load(&s); err != nil {
		return nil, err
	}
	return signature.Parse(s.Secret)
}
