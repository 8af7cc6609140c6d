package main

import (
	"cmp"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/gateway/seen"
	"github.com/sluicehq/sluice/internal/ops/doctor"
	"github.com/sluicehq/sluice/internal/secure"
)

func doctorCommand() *cobra.Command {
	s := &session{}
	o := doctor.Options{Gateway: doctor.FindGateway(), Monitor: os.Getenv("SLUICE_NATS_MONITOR")}
	c := &cobra.Command{
		Use: "doctor", Short: "Check settings, the gateway, its certificate, Redis, NATS, streams, permissions, clock and disk, and say what to do", Args: cobra.NoArgs,
		Long: `Check settings, the gateway, its certificate, Redis, NATS, streams, permissions, clock and disk, and say what to do.

Run it with the gateway's environment. It changes nothing. It exits with 1 if something does not work.`,
		Example: "  sluicectl doctor\n  sluicectl doctor -o json\n  sluicectl doctor --url https://hooks.example.com/webhook",
	}
	s.natsFlags(c)
	outputFlag(c, &s.output)
	var redis string
	var redisTLS secure.Redis
	redisTLSFlags(c, &redisTLS)
	redisFlag(c, &redis, "the gateway's Redis")
	c.Flags().StringVar(&o.Data, "data", cmp.Or(os.Getenv("SLUICE_DATA"), "./data"), "the gateway's data folder (SLUICE_DATA)")
	c.Flags().StringVar(&o.Admin, "admin", cmp.Or(os.Getenv("SLUICE_ADMIN"), defaultAdmin), "the gateway's admin address, host:port or unix:/path (SLUICE_ADMIN)")
	c.Flags().StringVar(&o.URL, "url", registeredURL(), "URL that is registered with the sender, to examine its certificate from here (SLUICE_TLS_ACME)")
	c.Flags().StringVar(&o.Authorities, "ca", "", "file with certificates (PEM) to trust beside those of this machine, for --url")
	completeFiles(c, "ca")
	complete(c, "data", cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs))
	c.RunE = func(c *cobra.Command, _ []string) (err error) {
		s.attach(c)
		if o.Token, err = adminToken(); err != nil {
			return err
		}
		if redis, err = redisURL(redis); err != nil {
			return err
		}
		o.NATSURL, o.Creds, o.TLS, o.Settings, o.Admin = s.url, s.creds, s.tls.Files(), madeSecret(), reachable(o.Admin)
		o.Redis = redisAt(redis, redisTLS.Files())
		return s.tellFindings(doctor.Examine(c.Context(), o), "something does not work, see above")
	}
	return c
}

// registeredURL is where the sender posts to, as far as the gateway's environment tells.
func registeredURL() string {
	if acmeName() == "" {
		return ""
	}
	return webhookURL()
}

// redisAt is how the doctor connects to Redis; nil where there is no address.
func redisAt(url string, files secure.Files) func() (doctor.Redis, error) {
	if url == "" {
		return nil
	}
	return func() (doctor.Redis, error) {
		return seen.NewRedis(url, files, seen.Small, slog.New(slog.DiscardHandler))
	}
}

// madeSecret is the secret that `make run` keeps, where the environment has none.
func madeSecret() []string {
	text, err := os.ReadFile(secretFile())
	if err != nil || secretIsSet() {
		return nil
	}
	return []string{secretVariable + "=" + strings.TrimSpace(string(text))}
}
