package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/ops/audit"
	"github.com/sluicehq/sluice/internal/ops/migrate"
	"github.com/sluicehq/sluice/internal/stream"
)

// migrating is `sluicectl migrate` with its flags.
type migrating struct {
	to, toCreds         string
	replicas            int
	dryRun, yes, cancel bool
}

func migrateCommand() *cobra.Command {
	m := &migrating{}
	c := connected(&cobra.Command{
		Use: "migrate", Short: "Move all streams to another NATS, with the positions of all teams", Args: cobra.NoArgs,
		Long: `Move all streams to another NATS, with the positions of all teams: from the embedded NATS to a cluster, for one.

Stop the consumers first; the gateway goes on answering. From the start of a migration on it keeps what comes in its journal
(leave SLUICE_JOURNAL on). When the migration is done, start the gateway again with NATS_URL set to the other NATS and the
same SLUICE_DATA, and then the consumers with that NATS_URL. The gateway hands over its journal, and each team goes on where
it was. A migration that was interrupted is continued by the same command; --cancel takes it back.`,
		Example: "  sluicectl migrate --to nats://n1:4222,nats://n2:4222,nats://n3:4222 --replicas 3 --dry-run\n  sluicectl migrate --to nats://n1:4222,nats://n2:4222,nats://n3:4222 --replicas 3",
	}, func(ctx context.Context, s *session, _ []string) error { return m.do(ctx, s) })
	f := c.Flags()
	addressFlag(c, &m.to, "to", "", "address of the other NATS")
	f.StringVar(&m.toCreds, "to-creds", "", "credentials file for the other NATS")
	completeFiles(c, "to-creds")
	f.IntVar(&m.replicas, "replicas", 1, "copies of each stream there: 3 in a cluster")
	f.BoolVar(&m.dryRun, "dry-run", false, "say what would be moved, and what stands in the way")
	f.BoolVar(&m.yes, "yes", false, "do not ask for confirmation")
	f.BoolVar(&m.cancel, "cancel", false, "take back a migration that was interrupted: streams take events here again")
	return c
}

func (m *migrating) do(ctx context.Context, s *session) error {
	move := &migrate.Migration{From: s.js, Replicas: m.replicas, Say: func(stream, what string) { fmt.Fprintf(s.err, "%-12s %s\n", stream, what) }}
	if m.cancel {
		return m.takeBack(ctx, s, move)
	}
	if m.to == "" {
		return misused("--to is missing: say where the other NATS is")
	}
	nc, err := stream.Connect(ctx, stream.Options{URL: m.to, Creds: m.toCreds, TLS: s.tls.Files(), Name: "sluicectl"})
	if err != nil {
		return err
	}
	defer nc.Close()
	if move.To, err = jetstream.New(nc); err != nil {
		return err
	}
	all, busy, err := move.Streams(ctx)
	if err != nil {
		return err
	}
	s.showMoves(all)
	if err := stopped(busy); err != nil || m.dryRun {
		return err
	}
	if err := s.confirm(m.yes, "would hold EVENTS and QUARANTINE at %s, and copy %d streams to %s", mask.Address(s.url), len(all), mask.Address(m.to)); err != nil {
		return err
	}
	if begins, err := move.Begins(ctx); err != nil {
		return err
	} else if begins {
		s.record(ctx, audit.Entry{Action: audit.StreamsMigrate, What: fmt.Sprintf("from %s, to %s", mask.Address(s.url), mask.Address(m.to)), Count: len(all)})
	}
	if err := move.Run(ctx, all); err != nil {
		return fmt.Errorf("%w\nnothing is lost: the same command goes on, and --cancel takes the migration back", err)
	}
	fmt.Fprintf(s.err, "done: start the gateway with NATS_URL=%s and the same SLUICE_DATA, then the consumers\n", mask.Address(m.to))
	return nil
}

func (m *migrating) takeBack(ctx context.Context, s *session, move *migrate.Migration) error {
	err := move.Cancel(ctx)
	entry := audit.Entry{Action: audit.StreamsRelease, What: "at " + mask.Address(s.url)}
	entry.Failed(err)
	s.record(ctx, entry)
	if err == nil {
		fmt.Fprintf(s.err, "EVENTS and QUARANTINE take events here again: gateways hand over what they kept. Before another migration remove on the other side what was copied\n")
	}
	return err
}

func stopped(busy []migrate.Busy) error {
	var teams []string
	for _, b := range busy {
		teams = append(teams, b.Team+" ("+b.Stream+")")
	}
	if len(teams) > 0 {
		return errors.New("consumers still take events: stop them first, " + strings.Join(teams, ", "))
	}
	return nil
}

func (s *session) showMoves(all []migrate.Stream) {
	var rows [][]any
	for _, one := range all {
		rows = append(rows, []any{one.Name, one.Messages, one.Bytes, strings.Join(one.Teams, " ")})
	}
	table(s.out, []string{"STREAM", "MESSAGES", "BYTES", "TEAMS"}, rows)
}
