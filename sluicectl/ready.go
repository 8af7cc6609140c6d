package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/settings"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

const defaultAdmin = "127.0.0.1:3001"

func readyCommand() *cobra.Command {
	admin := cmp.Or(os.Getenv("SLUICE_ADMIN"), defaultAdmin)
	var output string
	var degradedOK bool
	c := &cobra.Command{
		Use: "ready", Short: "Ask a gateway or consumer whether it is ready, and what is wrong", Args: cobra.NoArgs,
		Long: `Ask a gateway or consumer whether it is ready, and what is wrong.

It exits with 0 if the process is ready, with 5 if it works but something is degraded, and with 1 if it does not work or
does not answer. With --degraded-ok, degraded exits with 0 too: use that for the health check of a container. Where the
process has a token (SLUICE_ADMIN_TOKEN or SLUICE_ADMIN_TOKEN_FILE) it tells more than its status to those who set it too.`,
		Example: "  sluicectl ready\n  sluicectl ready --admin 127.0.0.1:3001 --degraded-ok\n  sluicectl ready -o json",
	}
	outputFlag(c, &output)
	c.RunE = func(c *cobra.Command, _ []string) error {
		s := &session{output: output}
		s.attach(c)
		token, err := adminToken()
		if err == nil {
			err = s.ready(c.Context(), admin, token)
		}
		if degradedOK && errors.Is(err, errDegraded) {
			return nil
		}
		return err
	}
	c.Flags().StringVar(&admin, "admin", admin, "admin address of the process, host:port or unix:/path (SLUICE_ADMIN)")
	c.Flags().BoolVar(&degradedOK, "degraded-ok", false, "exit with 0 when something is degraded, too")
	return c
}

// ready asks a process's /readyz.
func (s *session) ready(ctx context.Context, admin, token string) error {
	r, err := telemetry.Ask(ctx, reachable(admin), token)
	if err != nil {
		return err
	}
	if s.json() {
		err = object(s.out, r)
	} else {
		s.showReadiness(r)
	}
	switch {
	case err != nil:
		return err
	case !r.Works():
		return fmt.Errorf("%s is not ready: see above what to do", admin)
	case r.Status == "degraded":
		return alias{fmt.Errorf("%s works but is degraded: see above what to do", admin), errDegraded}
	}
	return nil
}

// adminToken is the token for admin addresses by the environment; empty where there is none.
func adminToken() (string, error) {
	var s struct {
		Token string `env:"SLUICE_ADMIN_TOKEN" secret:"true" file:"true"`
	}
	err := settings.Load(&s)
	return s.Token, err
}

// showReadiness prints a line about everything, one about what has more to say, and two about what is not well.
func (s *session) showReadiness(r telemetry.Readiness) {
	var all []string
	for _, d := range r.Dependencies {
		all = append(all, printable(d.Name)+" "+string(d.Status))
	}
	fmt.Fprintln(s.out, strings.TrimSuffix(r.Status+": "+strings.Join(all, ", "), ": "))
	if r.Withheld {
		fmt.Fprintln(s.out, "  the rest is for those who have its token: set SLUICE_ADMIN_TOKEN, or SLUICE_ADMIN_TOKEN_FILE")
	}
	for _, d := range r.Dependencies {
		if d.Status == telemetry.OK {
			if d.Detail != "" {
				fmt.Fprintf(s.out, "  %s: %s\n", printable(d.Name), printable(d.Detail))
			}
			continue
		}
		since := ""
		if !d.Since.IsZero() {
			since = " since " + clock(d.Since)
		}
		fmt.Fprintf(s.out, "  %s is %s%s: %s\n    → %s\n", printable(d.Name), d.Status, since, printable(d.Detail), printable(d.Remedy))
	}
}
