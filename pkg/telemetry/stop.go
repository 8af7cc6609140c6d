package telemetry

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// StopContext ends at the first SIGINT or SIGTERM. A second one ends the process at once, with exit code 1.
func StopContext() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		fmt.Fprintf(os.Stderr, "%v again: leaving at once\n", <-signals)
		os.Exit(1)
	}()
	return ctx
}
