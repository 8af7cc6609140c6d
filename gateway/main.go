// The gateway takes signed webhooks in: it verifies each one, deduplicates it and publishes it to NATS JetStream
// before it answers 200.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/sluicehq/sluice/gateway/ingest"
	"github.com/sluicehq/sluice/gateway/source"
	"github.com/sluicehq/sluice/internal/access"
	"github.com/sluicehq/sluice/internal/tracing"
	_ "github.com/sluicehq/sluice/otel" // traces, where the environment names a collector
	"github.com/sluicehq/sluice/pkg/settings"
	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

const summary = "takes signed webhooks in and stores each one in NATS JetStream before it answers 200"

func main() {
	var s Settings
	settings.Main("gateway", summary, &s, func(ctx context.Context) error { return run(ctx, &s) })
}

// run wires the gateway in the order that an event flows, serves until ctx ends, and takes it apart in the same order.
func run(ctx context.Context, s *Settings) (err error) {
	defer calmCollector()()
	log, err := telemetry.Logger(os.Stderr, s.Log)
	if err != nil {
		return err
	}
	fmt.Fprint(os.Stderr, settings.Effective(s))

	keys, err := signature.Parse(s.Secret)
	if err != nil {
		return fmt.Errorf("ZORIO_WEBHOOK_SECRET: %w", err)
	}
	webhooks, err := listen(s) // first of all: while the rest starts, the kernel holds the senders' connections
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closed(webhooks.Close())) }()
	shown, err := openCertificates(s, webhooks, log)
	if err != nil {
		return err
	}

	admin, err := telemetry.NewAdmin("gateway", s.Admin, s.AdminToken)
	if err != nil {
		return err
	}
	journals, err := openJournals(s, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, journals.close()) }()
	measureDisk(s.Data, admin.Registry())
	hub, err := newHub(s, journals, log)
	if err != nil {
		return err
	}
	admin.Watch("nats", hub.health)
	defer shown.keep(ctx, admin)()
	go admin.Serve()
	defer admin.Shutdown(context.WithoutCancel(ctx))

	defer hub.close()
	memory, err := openMemory(s, hub, admin, log)
	if err != nil {
		return err
	}
	defer memory.close()
	if err := hub.start(ctx, memory.of); err != nil {
		return err
	}
	defer watchLevels(hub, admin.Registry(), log)()

	tracer, err := tracing.Open(&s.Traces, tracing.Process{Name: "sluice-gateway", Version: telemetry.Version(), Log: log}, admin.Registry())
	if err != nil {
		return err
	}
	defer tracing.Close(tracer)
	path := ingest.New(ingest.Config{
		Source: source.Zorio, URLPath: s.Path, MaxInflight: s.MaxInflight, MaxBody: int(s.MaxBody), MaxBytes: int64(s.MaxInflightBytes),
		BodyIdentity: s.Identity == "body", MaxCopies: s.MaxCopies, AcceptLate: s.acceptLate(), TrustTrace: s.TrustTraceparent, Silence: s.Silence, Opened: hub.opened, Full: hub.full,
		Journal: journals.use(), JournalFirst: s.NATSURL == "", Kept: journals.kept, Shared: memory.shared,
	}, keys, memory.Seen, hub.publisher, &ingest.Instruments{
		Log: log, Refused: telemetry.NewLimiter(log, 10*time.Second), Registry: admin.Registry(), Keep: hub.keep, Tracer: tracer,
	})
	defer path.Close()
	defer journals.drain(hub, memory, path, admin, tracer)()
	defer watchDurability(hub, path.Spilling, admin, log)()
	admin.Watch("sender", path.Sender)
	defer report(hub, admin, s.Data)()
	systemd := newManager(ctx, path, admin)
	defer systemd.end()
	changing := &secrets{path: path, admin: admin, log: log, unwatch: func() {}}
	reloadOnHangup(ctx, systemd, changing.reload, shown.reload)

	limits := s.limits(log)
	limits.TLS = shown.config
	go func() {
		if hub.wait(ctx) == nil {
			if s.NATSURL == "" {
				log.Info("the embedded NATS lets in who may read the data folder", "nats", hub.url, "credentials", string(access.In(s.Data)))
			}
			if gap, ok := hub.usualGap(ctx); ok {
				path.Expect(gap)
			}
			log.Info("listening", "webhooks", shown.scheme()+webhooks.Addr().String()+s.Path, "admin", admin.Addr(), "nats", hub.url)
		}
	}()
	return serve(ctx, path, limits, webhooks, hub.failed, admin, log)
}
