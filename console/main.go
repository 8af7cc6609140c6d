package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/settings"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

func main() {
	var s Settings
	settings.Main("console", "shows operators in a browser what sluicectl knows", &s, func(ctx context.Context) error { return run(ctx, &s) })
}

// run serves the console until ctx ends. NATS may come later, and go.
func run(ctx context.Context, s *Settings) error {
	log, err := telemetry.Logger(os.Stderr, s.Log)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s (SLUICE_CONSOLE_LISTEN): %w: stop what is there, or choose another port", s.Listen, err)
	}
	nc, err := stream.Connect(ctx, stream.Options{URL: s.NATSURL, Creds: s.NATSCreds, TLS: s.NATSTLS.Files(), Name: "console", Behind: true, Log: log})
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	log.Info("console", "url", "http://"+listener.Addr().String())
	server := newServer(s, js, log)
	defer server.runs.close()
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { server.watch.run(ctx, watchOften, server.busy) })
	return serve(ctx, listener, server.handler(), log)
}

// Timings of connections. Pages that live take as long as they are open, see [server.follow].
const (
	headersWithin = 5 * time.Second
	bodyWithin    = 10 * time.Second
	answerTakes   = 30 * time.Second
	idleFor       = time.Minute
	stopWithin    = 2 * time.Second
)

// serve answers until ctx ends, which ends pages that live too.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	web := &http.Server{
		Handler: handler, ReadHeaderTimeout: headersWithin, ReadTimeout: bodyWithin, WriteTimeout: answerTakes, IdleTimeout: idleFor, MaxHeaderBytes: 32 << 10,
		BaseContext: func(net.Listener) context.Context { return ctx }, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if err := web.Shutdown(stopping); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return web.Close()
}
