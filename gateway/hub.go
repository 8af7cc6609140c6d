package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/gateway/ingest"
	"github.com/sluicehq/sluice/pkg/mask"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// hub is NATS, be it inside this process or elsewhere.
type hub struct {
	url     string
	nc      *nats.Conn
	js      jetstream.JetStream
	maxBody int // bytes; what SLUICE_MAX_BODY allows and a message has room for

	embedded *stream.Server // nil with a NATS of one's own
	state    atomic.Pointer[telemetry.Health]
	stop     context.CancelFunc
	watched  chan struct{}
}

const (
	declareTimeout = 15 * time.Second         // a cluster elects leaders for new streams
	headerRoom     = ingest.MaxHeader + 4<<10 // the sender's headers and our own
	watchEvery     = 2 * time.Second
)

// openHub connects to NATS, or runs it, and declares the streams.
func openHub(ctx context.Context, s *Settings, log *slog.Logger) (*hub, error) {
	h := &hub{watched: make(chan struct{})}
	if err := h.connect(ctx, s, log); err != nil {
		h.disconnect()
		return nil, err
	}
	bounded, cancel := context.WithTimeout(ctx, declareTimeout)
	defer cancel()
	if err := stream.Declare(bounded, h.js, stream.Settings{
		Replicas: s.Replicas, MaxAge: s.EventsMaxAge, MaxBytes: int64(s.EventsMaxBytes),
	}); err != nil {
		h.disconnect()
		return nil, err
	}
	h.fitBodies(s, log)
	if h.embedded == nil {
		h.warnUnlessSynced(ctx, s, log)
	}
	h.watch(ctx)
	return h, nil
}

func (h *hub) connect(ctx context.Context, s *Settings, log *slog.Logger) (err error) {
	options := stream.Options{URL: s.NATSURL, Creds: s.NATSCreds, Name: "sluice gateway", InboxPrefix: "_INBOX_gw", Log: log}
	if s.NATSURL == "" {
		if h.embedded, err = stream.Embed(stream.EmbedOptions{Dir: s.Data, Listen: s.HubListen, Log: log}); err != nil {
			return err
		}
		options.URL, options.InProcess = h.embedded.URL(), h.embedded
	}
	h.url = mask.Address(options.URL)
	if h.nc, err = stream.Connect(ctx, options); err != nil {
		return err
	}
	h.js, err = jetstream.New(h.nc)
	return err
}

// fitBodies lowers the body limit to what a message has room for.
func (h *hub) fitBodies(s *Settings, log *slog.Logger) {
	h.maxBody = int(s.MaxBody)
	if room := int(h.nc.MaxPayload()) - headerRoom; room < h.maxBody {
		h.maxBody = room
		log.Warn(fmt.Sprintf("bodies of more than %d bytes are answered 413: NATS takes messages of at most %d; set max_payload: 2MB in its configuration, or lower SLUICE_MAX_BODY",
			room, h.nc.MaxPayload()))
	}
}

// warnUnlessSynced says what a 200 is worth on a server that does not sync every write.
func (h *hub) warnUnlessSynced(ctx context.Context, s *Settings, log *slog.Logger) {
	worth := "a 200 survives a crash of the process, not a power cut"
	if s.Replicas > 1 {
		worth = "a 200 survives the loss of one server, not a power cut of all"
	}
	switch synced, err := stream.SyncsAlways(ctx, h.nc, s.NATSMonitor); {
	case err != nil:
		log.Warn("cannot tell whether NATS syncs every write; without it "+worth, "error", err,
			"remedy", "set sync_interval: always in its jetstream block, and SLUICE_NATS_MONITOR to its monitoring address")
	case !synced:
		log.Warn(worth + ": set sync_interval: always in the jetstream block of NATS")
	}
}

// watch asks for the stream from time to time: a connection alone does not say that JetStream can store.
func (h *hub) watch(ctx context.Context) {
	ctx, h.stop = context.WithCancel(context.WithoutCancel(ctx))
	h.note(nil)
	go func() {
		defer close(h.watched)
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				h.note(h.check(ctx))
			}
		}
	}()
}

func (h *hub) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, watchEvery)
	defer cancel()
	events, err := h.js.Stream(ctx, stream.Events)
	if err != nil {
		return err
	}
	if cluster := events.CachedInfo().Cluster; cluster != nil && cluster.Leader == "" {
		return fmt.Errorf("stream %s has no leader", stream.Events)
	}
	return nil
}

// note keeps the state and since when it lasts.
func (h *hub) note(err error) {
	now := telemetry.Health{Status: telemetry.OK, Since: time.Now()}
	if err != nil {
		now.Status, now.Detail = telemetry.Down, err.Error()
		now.Remedy = "deliveries are answered 503 and the sender comes back: start NATS at " + h.url + ", or see why it has no leader"
	}
	if before := h.state.Load(); before != nil && before.Status == now.Status {
		now.Since = before.Since
	}
	h.state.Store(&now)
}

func (h *hub) health() telemetry.Health { return *h.state.Load() }

func (h *hub) close() {
	h.stop()
	<-h.watched
	h.disconnect()
}

func (h *hub) disconnect() {
	if h.nc != nil {
		h.nc.Close()
	}
	if h.embedded != nil {
		h.embedded.Shutdown()
	}
}
