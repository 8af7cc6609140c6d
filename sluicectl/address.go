package main

import (
	"cmp"
	"net"
	"os"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/pkg/settings"
)

// addressFlag is a flag whose value may have a password in it, which --help does not show.
func addressFlag(c *cobra.Command, address *string, name, standard, usage string) {
	c.Flags().StringVar(address, name, standard, usage)
	c.Flags().Lookup(name).DefValue = mask.Address(standard)
}

// redisFlag is the address of the gateway's Redis; what it is without the flag says [redisURL].
func redisFlag(c *cobra.Command, address *string, usage string) {
	addressFlag(c, address, "redis", os.Getenv("REDIS_URL"), usage+" (REDIS_URL or REDIS_URL_FILE)")
}

// redisURL is what the flag says, or else what is in the file that the environment names.
func redisURL(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	var s struct {
		URL string `env:"REDIS_URL" secret:"url" file:"true"`
	}
	err := settings.Load(&s)
	return s.URL, err
}

// hubURL is where NATS is by the environment, which may be the gateway's: without a NATS_URL it runs one itself.
func hubURL() string {
	return cmp.Or(os.Getenv("NATS_URL"), "nats://"+reachable(cmp.Or(os.Getenv("SLUICE_HUB_LISTEN"), defaultHub)))
}

// reachable is where what listens on an address is reached from this machine.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listen
}
