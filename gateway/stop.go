package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sluicehq/sluice/gateway/ingest"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// serve answers until ctx ends or the hub fails, and then the requests in flight.
func serve(ctx context.Context, path *ingest.Path, limits ingest.Limits, webhooks *listener, failed <-chan error, admin *telemetry.Admin, log *slog.Logger) (err error) {
	server, ended := path.Server(limits), make(chan error, 1)
	go func() {
		defer close(ended)
		ended <- server.Serve(path.Listener(webhooks, limits))
	}()
	select {
	case err = <-ended:
		err = fmt.Errorf("the webhook server stopped by itself: %w", err)
	case err = <-failed:
	case <-ctx.Done():
		admin.Stopping()
		log.Info("stopping: accepting no more, answering the requests in flight")
		leave(path, server, webhooks, log)
	}
	admin.Stopping()
	finish(path, server, webhooks, ended)
	return err
}

// Times of a stop, each at most: how long clients have to come again on the connections that they keep, which is the pause
// between two deliveries on the same one; how long it takes to connect through a network; how long a request may then be
// on its way into this process, and the last answers out of it into the kernel, which sends them by itself.
const (
	farewell     = time.Second
	connecting   = 200 * time.Millisecond
	lastRequests = 100 * time.Millisecond
	lastWrites   = 5 * time.Millisecond
)

// leave still answers everybody, and sees to it that they go elsewhere: a connection that is closed while a client sends
// on it costs that client a delivery.
func leave(path *ingest.Path, server *fasthttp.Server, webhooks *listener, log *slog.Logger) {
	path.Leave()
	untilNone(server, farewell, 0)
	if !webhooks.shared {
		return
	}
	if err := webhooks.leave(); err != nil {
		log.Warn("cannot keep new connections away from this process: those opened while it stops may be reset", "error", err)
	}
	time.Sleep(connecting)
}

// finish stops listening and answers the requests in flight as soon as it can: until this process ends nobody takes its
// place. It does not wait as fasthttp does, which looks every 100 ms, and for connections on which nothing was asked.
func finish(path *ingest.Path, server *fasthttp.Server, webhooks net.Listener, accepting <-chan error) {
	path.Leave()
	_ = webhooks.Close()  // its error, if any, is told when it is closed again
	for range accepting { // until it ends
	}
	atOnce, cancel := context.WithCancel(context.Background())
	cancel()
	_ = server.ShutdownWithContext(atOnce) // closes what is idle
	untilNone(server, lastRequests, 1)
	path.Stop()
	untilNone(server, lastWrites, 1)
}

// untilNone waits until no connection is open any more, and not for longer than that. The server takes its listener off
// what it counts, also when it has ended.
func untilNone(server *fasthttp.Server, atMost time.Duration, ended int32) {
	for deadline := time.Now().Add(atMost); server.GetOpenConnectionsCount()+ended > 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}
