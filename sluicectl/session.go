package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/secure"
	"github.com/sluicehq/sluice/internal/stream"
)

// connectWithin bounds the search for a NATS that may not be there.
const connectWithin = 5 * time.Second

// session is a command that runs: its terminal, how it prints, and NATS.
type session struct {
	in       io.Reader
	out, err io.Writer
	output   string // table, json, or what else the command knows

	url, creds string
	tls        secure.NATS
	nc         *nats.Conn
	js         jetstream.JetStream
}

// connected makes c a command that talks to NATS: it has the flags for that, and do runs with an open session.
// Formats are what -o takes beside table and json.
func connected(c *cobra.Command, do func(ctx context.Context, s *session, args []string) error, formats ...string) *cobra.Command {
	s := &session{}
	s.natsFlags(c)
	outputFlag(c, &s.output, formats...)
	c.RunE = func(c *cobra.Command, args []string) error {
		s.attach(c)
		if err := s.open(c.Context()); err != nil {
			return err
		}
		defer s.nc.Close()
		return do(c.Context(), s, args)
	}
	return c
}

func (s *session) natsFlags(c *cobra.Command) {
	addressFlag(c, &s.url, "nats", hubURL(), "address of NATS (NATS_URL, or SLUICE_HUB_LISTEN)")
	c.Flags().StringVar(&s.creds, "creds", os.Getenv("NATS_CREDS"), "credentials file for NATS (NATS_CREDS)")
	completeFiles(c, "creds")
	natsTLSFlags(c, &s.tls)
}

// natsTLSFlags are the files of TLS to NATS, by default those of the environment.
func natsTLSFlags(c *cobra.Command, files *secure.NATS) {
	tlsFlags(c, "nats", "NATS", &files.CA, &files.Cert, &files.Key)
}

// redisTLSFlags are those to Redis.
func redisTLSFlags(c *cobra.Command, files *secure.Redis) {
	tlsFlags(c, "redis", "Redis", &files.CA, &files.Cert, &files.Key)
}

func tlsFlags(c *cobra.Command, prefix, server string, ca, cert, key *string) {
	for _, f := range []struct {
		file       *string
		name, what string
	}{{ca, "ca", "authorities that sign the certificate of " + server}, {cert, "cert", "certificate to show to " + server}, {key, "key", "key of that certificate"}} {
		variable := strings.ToUpper(prefix + "_" + f.name)
		c.Flags().StringVar(f.file, prefix+"-"+f.name, os.Getenv(variable), f.what+" ("+variable+")")
		completeFiles(c, prefix+"-"+f.name)
	}
}

// outputFlag adds -o with the formats that there are beside table and json.
func outputFlag(c *cobra.Command, output *string, more ...string) {
	formats := append([]string{"table", "json"}, more...)
	c.Flags().StringVarP(output, "output", "o", "table", strings.Join(formats, ", ")+": json is for programs")
	complete(c, "output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	c.PreRunE = func(*cobra.Command, []string) error {
		for _, format := range formats {
			if *output == format {
				return nil
			}
		}
		return misused("-o %s: use %s", *output, strings.Join(formats, ", "))
	}
}

// attach takes the command's terminal.
func (s *session) attach(c *cobra.Command) {
	s.in, s.out, s.err = c.InOrStdin(), c.OutOrStdout(), c.ErrOrStderr()
}

func (s *session) open(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	log := slog.New(slog.NewTextHandler(s.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if s.nc, err = stream.Connect(ctx, stream.Options{URL: s.url, Creds: s.creds, TLS: s.tls.Files(), Name: "sluicectl", Log: log}); err != nil {
		return unreachable(err, s.url)
	}
	s.js, err = jetstream.New(s.nc)
	return err
}

// unreachable says in the words of this command what to do where NATS is not there.
func unreachable(err error, url string) error {
	var unsecured *secure.Error
	if !errors.Is(err, stream.ErrUnreachable) || errors.As(err, &unsecured) {
		return err
	}
	return alias{fmt.Errorf("NATS is not reachable at %s: start it, or the gateway that runs it, or say where it is with --nats or NATS_URL", mask.Address(url)), err}
}

func (s *session) json() bool { return s.output == "json" }

// confirm asks before something that cannot be undone. An answer that is not yes is an error.
func (s *session) confirm(yes bool, format string, v ...any) error {
	question := fmt.Sprintf(format, v...)
	if yes {
		fmt.Fprintln(s.err, question)
		return nil
	}
	fmt.Fprintf(s.err, "%s\ngo on? [y/N] ", question)
	answer, err := bufio.NewReader(s.in).ReadString('\n') // the end of the input is a no
	if err != nil {
		fmt.Fprintln(s.err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("not confirmed, and nothing was done: answer y, or use --yes")
}

// newBar is a progress bar on a terminal, and nothing elsewhere.
func newBar(out io.Writer, total int, what string) *progressbar.ProgressBar {
	return progressbar.NewOptions(total, progressbar.OptionSetDescription(what), progressbar.OptionSetWriter(out),
		progressbar.OptionSetVisibility(isTerminal(out)), progressbar.OptionShowCount(), progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("events"), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionOnCompletion(func() { fmt.Fprintln(out) }))
}

func isTerminal(out io.Writer) bool {
	file, isFile := out.(*os.File)
	return isFile && term.IsTerminal(int(file.Fd()))
}

// operator is who runs the command, as user@host, for what is written down about it.
func operator() string {
	name, host := "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return cmp.Or(os.Getenv("SUDO_USER"), name) + "@" + host
}
