// The forward consumer posts each event to HTTP receivers as Zorio would: a receiver that was written for Zorio's
// webhooks works behind it unchanged.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/sluicehq/sluice/internal/tracing"
	_ "github.com/sluicehq/sluice/otel" // traces, where the environment names a collector
	"github.com/sluicehq/sluice/pkg/settings"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/worker"
)

// Settings are everything that a deployment can choose about this consumer, beside the file of targets.
type Settings struct {
	worker.Settings
	Targets string `env:"SLUICE_TARGETS" envDefault:"./targets.yaml" help:"file that lists the receivers, each with its url, secret and events; read again on SIGHUP"`

	targets  []target // what the file says
	warnings []string
}

// Check reads the file of targets, so that --check and the start name what is wrong in it.
func (s *Settings) Check() (err error) {
	s.targets, s.warnings, err = readTargets(s.Targets)
	return err
}

// Tell is what --check has to say beside the settings; see [settings.Teller].
func (s *Settings) Tell() (lines, warnings []string) {
	for _, t := range s.targets {
		lines = append(lines, t.line())
	}
	return lines, s.warnings
}

func main() {
	var s Settings
	settings.Main("forward", "posts each event to HTTP receivers as Zorio would, signed with the secret of each", &s, func(ctx context.Context) error {
		return run(ctx, &s)
	})
}

func run(ctx context.Context, s *Settings) error {
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, syscall.SIGHUP)
	log, err := telemetry.Logger(os.Stderr, s.Log)
	if err != nil {
		return err
	}
	admin, err := telemetry.NewAdmin("forward", s.Admin, s.AdminToken)
	if err != nil {
		return err
	}
	go admin.Serve()
	defer admin.Shutdown(context.WithoutCancel(ctx))
	f := newForwarder(s, log, admin)
	if f.tracer, err = tracing.Open(&s.Traces, tracing.Process{Name: "sluice-forward", Version: telemetry.Version(), Log: log}, admin.Registry()); err != nil {
		return err
	}
	defer tracing.Close(f.tracer)
	return f.run(ctx, s.targets, reload)
}
