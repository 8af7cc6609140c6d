package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/access"
	"github.com/sluicehq/sluice/internal/ops/audit"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/worker"
)

// joining is how a team is added.
type joining struct {
	folder  string
	events  []string
	targets []string
	start   string
	files   bool
}

func teamsAddCommand() *cobra.Command {
	j, s := &joining{}, &session{}
	c := &cobra.Command{
		Use: "add <team>...", Short: "Give a team an account in NATS of its own, credentials, and its place in the streams", Args: cobra.MinimumNArgs(1),
		Long: `Give a team an account in NATS of its own, credentials, and its place in the streams. For a team that is there
--events and --target set anew which events it takes; without them nothing changes.

With the account a team reads its own events, retries and replays, writes its own dead letters, and reaches nothing
else. The gateway with an embedded NATS knows the account at once. A nats-server of your own includes the file
accounts.conf of the folder, and is told to reload its configuration.`,
		Example: "  sluicectl team add billing --events pbx.call.hangup\n  sluicectl team add forward --target crm --target erp='pbx.>'\n  sluicectl team add pbx telesales autocall archive --files --folder ./nats",
		RunE: func(c *cobra.Command, args []string) error {
			s.attach(c)
			return j.run(c.Context(), s, args)
		},
	}
	s.natsFlags(c)
	folderFlag(c, &j.folder)
	c.Flags().StringSliceVar(&j.events, "events", nil, "patterns of the events that it takes, such as 'pbx.>' (default: those of the team's name for Sluice's own consumers, else all)")
	c.Flags().StringArrayVar(&j.targets, "target", nil, "for forward: a target by its name, as `name` or name=pattern,pattern; once for each")
	c.Flags().StringVar(&j.start, "start", "beginning", "where a new team starts: beginning, now, or a time such as 2026-01-31T08:00:00Z")
	c.Flags().BoolVar(&j.files, "files", false, "write the files only, and make the place in the streams later, with sluicectl team sync")
	return c
}

func folderFlag(c *cobra.Command, folder *string) {
	c.Flags().StringVar(folder, "folder", string(access.In(dataFolder())), "folder of accounts and credentials (SLUICE_DATA)")
	completeFiles(c, "folder")
}

var teamName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (j *joining) run(ctx context.Context, s *session, names []string) error {
	var start worker.Start
	if err := start.UnmarshalText([]byte(j.start)); err != nil {
		return misused("--start: %v", err)
	}
	if len(j.events)+len(j.targets) > 0 && len(names) > 1 {
		return misused("--events and --target are about one team: add one at a time")
	}
	folder := access.Folder(j.folder)
	if err := j.belongs(folder); err != nil {
		return err
	}
	if err := folder.Make(); err != nil {
		return err
	}
	for _, name := range names {
		t, err := j.team(folder, name)
		if err != nil {
			return err
		}
		if err := folder.Add(t); err != nil {
			return err
		}
		fmt.Fprintf(s.out, "%s: credentials %s for its NATS_CREDS\n", name, folder.Seed(name))
	}
	if j.files {
		return sayInclude(s.out, folder)
	}
	return s.admit(ctx, folder, names, start.Apply)
}

// belongs is an error where no gateway has its accounts: new keys there would let nobody in.
func (j *joining) belongs(folder access.Folder) error {
	if _, err := os.Stat(folder.Seed(access.Operator)); errors.Is(err, fs.ErrNotExist) && !j.files {
		return fmt.Errorf("no accounts are in %s: name the folder nats of the gateway's data with --folder, or the data itself with SLUICE_DATA; with a NATS of your own, write the files with --files first", folder)
	}
	return nil
}

// team is a team by what was asked for it, or else as it is, or else by what Sluice's own consumers are like.
func (j *joining) team(folder access.Folder, name string) (t access.Team, err error) {
	if have, found, err := folder.Team(name); err != nil || found && len(j.events)+len(j.targets) == 0 {
		return have, err
	}
	if !teamName.MatchString(name) {
		return t, misused("the team's name %q cannot name a consumer: use letters, digits, _ and -, at most 64", name)
	}
	t.Name = name
	for _, target := range j.targets {
		target, patterns, _ := strings.Cut(target, "=")
		t.Places = append(t.Places, access.Place{Durable: team.TargetPrefix + target, Events: orAll(strings.Split(patterns, ","))})
	}
	if len(j.targets) == 0 {
		t.Places = []access.Place{{Durable: name, Events: j.events, Pinned: name == "archive"}}
	}
	for i := range t.Places {
		p := &t.Places[i]
		if len(p.Events) == 0 {
			p.Events = usual(name)
		}
		if !teamName.MatchString(p.Durable) {
			return t, misused("the target's name in %q cannot name a consumer: use letters, digits, _ and -", p.Durable)
		}
		for _, pattern := range p.Events {
			if !event.ValidPattern(pattern) {
				return t, misused("%q is not a pattern of event names: use names such as pbx.call.hangup, with * for one part, or > at the end for all that follow", pattern)
			}
		}
	}
	return t, nil
}

func orAll(patterns []string) []string {
	if len(patterns) == 1 && patterns[0] == "" {
		return nil
	}
	return patterns
}

// usual are the events that a team takes where nobody says which.
func usual(name string) []string {
	switch name {
	case "pbx", "telesales", "autocall":
		return []string{name + ".>"}
	}
	return []string{">"}
}

// admit makes the places of teams in the streams, and finds out whether NATS lets them in.
func (s *session) admit(ctx context.Context, folder access.Folder, names []string, start func(*jetstream.ConsumerConfig)) error {
	s.useFolder(folder)
	if err := s.untilItPasses(ctx, func() error { return s.open(ctx) }); err != nil {
		return fmt.Errorf("%w; the files are written: run it again, or sluicectl team sync, when NATS is there", err)
	}
	defer s.nc.Close()
	err := s.untilItPasses(ctx, func() error {
		said, err := s.sync(ctx, folder, names, start)
		fmt.Fprint(s.out, said)
		return err
	})
	if err != nil {
		return err
	}
	s.record(ctx, audit.Entry{Action: audit.TeamAdd, Teams: names, Count: len(names)})
	for _, name := range names {
		if err := s.letIn(ctx, folder, name); err != nil {
			fmt.Fprintf(s.out, "%s: NATS does not know it yet (%v)\n", name, err)
			return sayInclude(s.out, folder)
		}
		fmt.Fprintf(s.out, "%s: NATS lets it in\n", name)
	}
	return nil
}

// useFolder takes the operator's credentials of a folder, where no others are given.
func (s *session) useFolder(folder access.Folder) {
	if _, err := os.Stat(folder.Seed(access.Operator)); err == nil && s.creds == "" && !strings.Contains(s.url, "@") {
		s.creds = folder.Seed(access.Operator)
	}
}

// sync makes what teams of a folder lack in the streams, and says what they take; without names, all of them.
func (s *session) sync(ctx context.Context, folder access.Folder, names []string, start func(*jetstream.ConsumerConfig)) (said string, err error) {
	teams, err := folder.Teams()
	if err != nil {
		return "", err
	}
	if len(teams) == 0 {
		said = fmt.Sprintf("%s has no team: sluicectl team add makes one\n", folder)
	}
	for _, t := range teams {
		if len(names) > 0 && !slices.Contains(names, t.Name) {
			continue
		}
		if err := t.Settle(ctx, s.js, start); err != nil {
			return said, err
		}
		for _, p := range t.Places {
			said += fmt.Sprintf("%s: takes %s\n", p.Durable, strings.Join(p.Events, " "))
		}
	}
	return said, nil
}

const (
	letInWithin = 5 * time.Second // the gateway looks at its folder twice a second, and requests fail while NATS takes it on
	letInAgain  = 100 * time.Millisecond
)

// untilItPasses repeats try for a while, as long as it fails for a reason that passes by itself.
func (s *session) untilItPasses(ctx context.Context, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, letInWithin)
	defer cancel()
	for {
		err := try()
		if err == nil || !stream.Passes(err) {
			return err
		}
		if stream.Pause(ctx, letInAgain); ctx.Err() != nil {
			return err
		}
	}
}

// letIn is why NATS does not let a team in to its place in the streams; nil when it does, soon.
func (s *session) letIn(ctx context.Context, folder access.Folder, name string) (err error) {
	t, found, err := folder.Team(name)
	if err != nil {
		return err
	}
	if !found {
		return errors.New("another has removed it meanwhile")
	}
	ctx, cancel := context.WithTimeout(ctx, letInWithin)
	defer cancel()
	for ; ctx.Err() == nil; stream.Pause(ctx, letInAgain) {
		if err = s.tryAs(ctx, folder.Seed(name), t.Places[0].Durable); err == nil {
			return nil
		}
	}
	return err
}

// tryAs looks at a durable with the credentials of a team.
func (s *session) tryAs(ctx context.Context, seed, durable string) error {
	nc, err := stream.Connect(ctx, stream.Options{URL: s.url, Creds: seed, TLS: s.tls.Files(), Name: "sluicectl"})
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err == nil {
		_, err = js.Consumer(ctx, stream.Events, durable)
	}
	return err
}

// sayInclude tells what a nats-server of one's own needs.
func sayInclude(out io.Writer, folder access.Folder) error {
	path, err := filepath.Abs(string(folder))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, `a nats-server of your own needs accounts.conf and teams.conf of %s. In its configuration, with the path from that file:

    include "access/accounts.conf"

and then, twice, because what is new in it works from the second time on: nats-server --signal reload
`, path)
	return nil
}
