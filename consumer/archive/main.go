// The archive consumer keeps every event in Parquet files by source, event and hour, in a folder or a bucket, for
// analysis.
package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/settings"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/worker"
)

// Settings are everything that a deployment can choose about this consumer.
type Settings struct {
	NATSURL   string `env:"NATS_URL" envDefault:"nats://127.0.0.1:4222" secret:"url" help:"nats://host:4222, or several, separated by commas; the default is the embedded NATS of a gateway on this machine"`
	NATSCreds string `env:"NATS_CREDS" reads:"true" help:"credentials file for NATS"`
	Admin     string `env:"SLUICE_ADMIN" listen:"true" exposes:"metrics, profiles and the state of everything" help:"address for /healthz, /readyz, /metrics and /debug/pprof, such as 127.0.0.1:3011; unset: none"`
	Log       string `env:"SLUICE_LOG" envDefault:"info" oneof:"debug,info,warn,error" help:"lowest level that is logged; debug logs every file"`

	Archive string         `env:"SLUICE_ARCHIVE" envDefault:"./data/archive" secret:"url" help:"where files are written: a folder, or an S3 bucket such as s3://name/folder?region=eu-central-1, with &endpoint=https://host if it is not Amazon's; credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the machine's role"`
	Events  int            `env:"SLUICE_ARCHIVE_EVENTS" envDefault:"20000" min:"1" max:"1000000" help:"events in memory before files are written"`
	Bytes   settings.Bytes `env:"SLUICE_ARCHIVE_BYTES" envDefault:"64MiB" min:"64KiB" max:"4GiB" help:"bytes of events in memory before files are written"`
	Every   time.Duration  `env:"SLUICE_ARCHIVE_EVERY" envDefault:"1m" min:"1s" max:"1h" help:"longest time an event waits in memory before files are written"`
	Start   worker.Start   `env:"SLUICE_START" envDefault:"beginning" help:"where a new team starts: beginning (the oldest event kept), now, or a time such as 2026-01-31T08:00:00Z; an existing team continues where it was"`
}

// Check refuses a place that no file can go to, and what is no address of NATS.
func (s *Settings) Check() error {
	return errors.Join(checkPlace(s.Archive), stream.CheckURL(s.NATSURL))
}

func main() {
	var s Settings
	settings.Main("archive", "keeps every event in Parquet files, for analysis", &s, func(ctx context.Context) error {
		return run(ctx, &s)
	})
}

func run(ctx context.Context, s *Settings) error {
	log, err := telemetry.Logger(os.Stderr, s.Log)
	if err != nil {
		return err
	}
	admin, err := telemetry.NewAdmin("archive", s.Admin)
	if err != nil {
		return err
	}
	go admin.Serve()
	defer admin.Shutdown(context.WithoutCancel(ctx))
	files, err := openStore(ctx, s.Archive)
	if err != nil {
		return err
	}
	defer files.Close()
	from := newSource(s, log, ackWait, standbyAfter)
	defer from.close()
	admin.Watch("nats", from.nats.Health)
	if err := from.open(ctx); err != nil {
		if ctx.Err() != nil { // stopped before NATS was there
			return nil
		}
		return err
	}
	a := newArchiver(s, files, from, log, admin)
	defer admin.Stopping()
	return a.run(ctx)
}
