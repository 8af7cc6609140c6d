package main

import (
	"github.com/sluicehq/sluice/internal/secure"
	"github.com/sluicehq/sluice/internal/stream"
)

// Settings are what a deployment chooses about the console.
type Settings struct {
	Listen    string `env:"SLUICE_CONSOLE_LISTEN" envDefault:"127.0.0.1:3002" listen:"true" help:"address of the console"`
	NATSURL   string `env:"NATS_URL" envDefault:"nats://127.0.0.1:4222" secret:"url" help:"nats://host:4222, or several, separated by commas; the default is the embedded NATS of a gateway on this machine"`
	NATSCreds string `env:"NATS_CREDS" reads:"true" help:"credentials file for NATS"`
	NATSTLS   secure.NATS
	Log       string `env:"SLUICE_LOG" envDefault:"info" oneof:"debug,info,warn,error" help:"lowest level that is logged"`
}

// Check returns what is wrong with NATS_URL.
func (s *Settings) Check() error { return stream.CheckURL(s.NATSURL) }
