package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/gateway/embedded"
	"github.com/sluicehq/sluice/gateway/ingest"
	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// hub is NATS, embedded or elsewhere. It opens in the background while the gateway starts, however long that takes.
type hub struct {
	settings  *Settings
	spills    bool // what it does not store in time is kept in the journal, and answered 200
	log       *slog.Logger
	options   stream.Options
	url       string
	embedded  *embedded.Server // nil with a NATS of one's own
	nc        *nats.Conn
	js        jetstream.JetStream
	publisher *stream.Publisher
	follow    func(created time.Time) // is told which stream EVENTS is; safe for concurrent use

	opened chan struct{}         // closed when the streams are there
	failed chan error            // takes why they never will be
	noRoom atomic.Pointer[error] // why it does not open, where that is a full disk
	absent atomic.Pointer[error] // why streams that vanished are not made again; nil where none are missing
	state  atomic.Pointer[telemetry.Health]
	stop   context.CancelFunc
	done   sync.WaitGroup
}

const (
	requestTimeout = 2 * time.Second          // of one request to JetStream; a cluster without a leader answers none
	openAgain      = 250 * time.Millisecond   // between two attempts
	headerRoom     = ingest.MaxHeader + 4<<10 // the sender's headers and our own
)

func newHub(s *Settings, j *journals, log *slog.Logger) (*hub, error) {
	h := &hub{settings: s, spills: j != nil, log: log, opened: make(chan struct{}), failed: make(chan error, 1)}
	h.options = stream.Options{URL: s.NATSURL, Creds: s.NATSCreds, TLS: s.NATSTLS.Files(), Name: "sluice gateway", InboxPrefix: "_INBOX_gw", Log: log, Behind: true}
	if s.NATSURL == "" {
		server, err := embedded.New(embedded.Options{Dir: s.Data, Listen: s.HubListen, Log: log, Beside: j.left()})
		if err != nil {
			return nil, err
		}
		h.embedded = server
		h.options.URL, h.options.InProcess, h.options.Auth = server.URL(), server, server.Auth()
	}
	h.url = mask.Address(h.options.URL)
	h.note(h.missed(), errStarting, h.startIt())
	return h, nil
}

// start makes the connection, which is not there yet when it returns, and opens the hub behind it. It tells follow when
// the stream EVENTS was made, zero while it is gone, before it opens and from time to time.
func (h *hub) start(ctx context.Context, follow func(created time.Time)) (err error) {
	h.follow = follow
	if h.nc, err = stream.Connect(ctx, h.options); err != nil {
		return err
	}
	if h.js, err = jetstream.New(h.nc, jetstream.WithDefaultTimeout(requestTimeout)); err != nil {
		return err
	}
	if h.publisher, err = stream.NewPublisher(h.nc); err != nil {
		return err
	}
	ctx, h.stop = context.WithCancel(context.WithoutCancel(ctx))
	h.done.Go(func() {
		if err := h.open(ctx); err != nil {
			h.failed <- err
			return
		}
		h.note(telemetry.OK, nil, "")
		close(h.opened)
		h.done.Go(func() { h.keepStreams(ctx) })
		h.watch(ctx)
	})
	return nil
}

// open makes everything that deliveries need, and waits where time will tell: for room on the disk, for NATS to start,
// for the election of a leader, for servers of a cluster.
func (h *hub) open(ctx context.Context) error {
	again := telemetry.NewLimiter(h.log, 30*time.Second)
	for {
		err := h.tryOpen(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil || !stream.Passes(err) {
			return err
		}
		h.noteClosed(err)
		again.Warn(err.Error(), "waiting for NATS: until it can store, "+h.meanwhile(), err, "the gateway goes on by itself")
		stream.Pause(ctx, openAgain)
	}
}

// noteClosed says why the hub does not open.
func (h *hub) noteClosed(err error) {
	if errors.Is(err, stream.ErrNoRoom) {
		h.noRoom.Store(&err)
		h.note(telemetry.Down, err, makeRoom)
		return
	}
	h.noRoom.Store(nil)
	h.note(h.missed(), err, h.startIt())
}

func (h *hub) tryOpen(ctx context.Context) error {
	if h.embedded == nil {
		if err := h.declare(ctx); err != nil {
			return err
		}
		h.warnOfSmallMessages()
		return nil
	}
	if h.embedded.Room() == nil {
		if err := h.embedded.Start(); err != nil {
			return err
		}
	}
	if err := h.declare(ctx); err != nil {
		return errors.Join(err, h.embedded.Room().Full()) // the reason, if it is
	}
	h.warnOfSmallMessages()
	return nil
}

func (h *hub) declare(ctx context.Context) error {
	if err := h.options.Connected(ctx, h.nc); err != nil {
		return err
	}
	s := stream.Settings{Replicas: h.settings.Replicas, MaxAge: h.settings.EventsMaxAge, MaxBytes: int64(h.settings.EventsMaxBytes)}
	if h.embedded != nil {
		s.Room = h.embedded.Room().Events()
	}
	if err := stream.Declare(ctx, h.js, s); err != nil {
		return err
	}
	_, err := h.events(ctx)
	return err
}

// wait returns when the hub is open, or the error of ctx when that ends before.
func (h *hub) wait(ctx context.Context) error {
	select {
	case <-h.opened:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// warnOfSmallMessages says what is refused although SLUICE_MAX_BODY allows it.
func (h *hub) warnOfSmallMessages() {
	if room := h.nc.MaxPayload() - headerRoom; room < int64(h.settings.MaxBody) {
		h.log.Warn(fmt.Sprintf("bodies of more than %d bytes may be answered 413: NATS takes messages of at most %d; set max_payload: 2MB in its configuration, or lower SLUICE_MAX_BODY",
			room, h.nc.MaxPayload()))
	}
}

// close ends what start began.
func (h *hub) close() {
	if h.stop != nil {
		h.stop()
	}
	h.done.Wait()
	if h.publisher != nil {
		h.publisher.Close()
	}
	if h.nc != nil {
		h.nc.Close()
	}
	if h.embedded != nil {
		h.embedded.Shutdown()
	}
}

// keep publishes what may be lost, while NATS is there and stores what counts.
func (h *hub) keep(m *nats.Msg) error {
	if !h.nc.IsConnected() {
		return nats.ErrDisconnected
	}
	if err := h.publisher.Outcome().Failing(time.Now()); err != nil {
		return err
	}
	return h.nc.PublishMsg(m)
}
