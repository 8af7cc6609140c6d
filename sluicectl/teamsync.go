package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/access"
	"github.com/sluicehq/sluice/internal/stream"
)

func teamsSyncCommand() *cobra.Command {
	var folder string
	var wait, every time.Duration
	s := &session{}
	c := &cobra.Command{
		Use: "sync", Short: "Make the places in the streams that the teams of a folder lack", Args: cobra.NoArgs,
		Long: `Make the places in the streams that the teams of a folder lack: for a deployment whose files were written before its NATS
was there. It waits for NATS, and for the gateway to make the streams. With --every it goes on, and makes those of teams
that are added later.`,
		Example: "  sluicectl team sync\n  sluicectl team sync --folder ./nats --wait 5m\n  sluicectl team sync --folder ./nats --every 10s",
		RunE: func(c *cobra.Command, _ []string) error {
			s.attach(c)
			s.useFolder(access.Folder(folder))
			if every > 0 {
				return s.keepInSync(c.Context(), access.Folder(folder), every)
			}
			ctx, cancel := context.WithTimeoutCause(c.Context(), wait, fmt.Errorf("not within %s (--wait)", wait))
			defer cancel()
			return s.syncWhenThere(ctx, access.Folder(folder))
		},
	}
	s.natsFlags(c)
	folderFlag(c, &folder)
	c.Flags().DurationVar(&wait, "wait", time.Minute, "how long to wait for NATS and for the streams")
	c.Flags().DurationVar(&every, "every", 0, "repeat it so often, until it is stopped")
	return c
}

func (s *session) syncWhenThere(ctx context.Context, folder access.Folder) error {
	for {
		said, err := s.syncOnce(ctx, folder)
		if err == nil || !stream.Passes(err) {
			fmt.Fprint(s.out, said)
			return err
		}
		stream.Pause(ctx, time.Second)
		if ctx.Err() != nil {
			return errors.Join(err, context.Cause(ctx))
		}
	}
}

// keepInSync says what it did, or why it could not, when that has changed.
func (s *session) keepInSync(ctx context.Context, folder access.Folder, every time.Duration) error {
	for before := ""; ctx.Err() == nil; stream.Pause(ctx, every) {
		said, err := s.syncOnce(ctx, folder)
		if err != nil {
			said = fmt.Sprintf("not yet: %v\n", err)
		}
		if said != before && ctx.Err() == nil {
			fmt.Fprint(s.out, said)
		}
		before = said
	}
	return nil
}

func (s *session) syncOnce(ctx context.Context, folder access.Folder) (said string, err error) {
	if err := s.open(ctx); err != nil {
		return "", err
	}
	defer s.nc.Close()
	return s.sync(ctx, folder, nil, nil)
}
