// The archive consumer keeps every event in Parquet files by source, event and hour, in a folder or a bucket, for
// analysis.
package main

import (
	"context"
	"os"
	"time"

	"github.com/sluicehq/sluice/consumer/archive/files"
	"github.com/sluicehq/sluice/internal/tracing"
	_ "github.com/sluicehq/sluice/otel" // traces, where the environment names a collector
	"github.com/sluicehq/sluice/pkg/settings"
	"github.com/sluicehq/sluice/pkg/telemetry"
	"github.com/sluicehq/sluice/pkg/worker"
)

// Settings are everything that a deployment can choose about this consumer.
type Settings struct {
	worker.Common

	Archive string         `env:"SLUICE_ARCHIVE" envDefault:"./data/archive" secret:"url" help:"where files are written: a folder, or an S3 bucket such as s3://name/folder?region=eu-central-1, with &endpoint=https://host if it is not Amazon's; credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the machine's role"`
	Events  int            `env:"SLUICE_ARCHIVE_EVENTS" envDefault:"20000" min:"1" max:"1000000" help:"events in memory before files are written"`
	Bytes   settings.Bytes `env:"SLUICE_ARCHIVE_BYTES" envDefault:"64MiB" min:"64KiB" max:"4GiB" help:"bytes of events in memory before files are written"`
	Every   time.Duration  `env:"SLUICE_ARCHIVE_EVERY" envDefault:"1m" min:"1s" max:"1h" help:"longest time an event waits in memory before files are written"`
}

// Check refuses a place that no file can go to.
func (s *Settings) Check() error { return files.Check(s.Archive) }

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
	admin, err := telemetry.NewAdmin("archive", s.Admin, s.AdminToken)
	if err != nil {
		return err
	}
	go admin.Serve()
	defer admin.Shutdown(context.WithoutCancel(ctx))
	files, err := files.Open(ctx, s.Archive)
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
	if a.tracer, err = tracing.Open(&s.Traces, tracing.Process{Name: "sluice-archive", Version: telemetry.Version(), Log: log}, admin.Registry()); err != nil {
		return err
	}
	defer tracing.Close(a.tracer)
	defer admin.Stopping()
	return a.run(ctx)
}
