package worker

import (
	"errors"
	"time"

	"github.com/sluicehq/sluice/internal/secure"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/tracing"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// Common are the settings of every consumer, whether it takes its events with [Run] or by itself.
type Common struct {
	NATSURL    string `env:"NATS_URL" envDefault:"nats://127.0.0.1:4222" secret:"url" help:"nats://host:4222, or several, separated by commas; the default is the embedded NATS of a gateway on this machine"`
	NATSCreds  string `env:"NATS_CREDS" reads:"true" help:"credentials file for NATS"`
	NATSTLS    secure.NATS
	Admin      string `env:"SLUICE_ADMIN" listen:"unix" help:"address for /healthz, /readyz, /metrics and /debug/pprof, such as 127.0.0.1:3011, or unix:/path for this user alone; one that other machines reach needs SLUICE_ADMIN_TOKEN; unset: none"`
	AdminToken string `env:"SLUICE_ADMIN_TOKEN" secret:"true" file:"true" help:"token for the admin address, at least 16 characters, sent as Authorization: Bearer; without it /healthz and the bare status of /readyz are told; unset: everybody on this machine may ask, and there are no profiles"`
	Log        string `env:"SLUICE_LOG" envDefault:"info" oneof:"debug,info,warn,error" help:"lowest level that is logged; debug logs every event or file"`
	Start      Start  `env:"SLUICE_START" envDefault:"beginning" help:"where a new team starts: beginning (the oldest event kept), now, or a time such as 2026-01-31T08:00:00Z; an existing team continues where it was"`

	Traces tracing.Settings
}

// Check returns what is wrong with NATS_URL and the admin address.
func (c *Common) Check() error {
	return errors.Join(stream.CheckURL(c.NATSURL), telemetry.CheckAdmin(c.Admin, c.AdminToken))
}

// Settings are what a deployment chooses about any team's consumer. [Run] reads them itself; a consumer embeds them in
// its own settings so that its --help and --check show them.
type Settings struct {
	Common

	Concurrency int           `env:"SLUICE_CONCURRENCY" envDefault:"16" min:"1" max:"1024" help:"maximum events that this process handles at once"`
	Timeout     time.Duration `env:"SLUICE_TIMEOUT" envDefault:"15m" min:"1s" max:"24h" help:"time limit of an attempt; beyond it, the handler's context is cancelled and the event is tried again"`
	Attempts    int           `env:"SLUICE_ATTEMPTS" envDefault:"16" min:"1" max:"1000" help:"attempts before an event is dead-lettered"`
	BackoffMin  time.Duration `env:"SLUICE_BACKOFF_MIN" envDefault:"1s" min:"10ms" max:"1h" help:"maximum backoff before the second attempt; it doubles with each attempt; the actual backoff is random, up to that maximum"`
	BackoffMax  time.Duration `env:"SLUICE_BACKOFF_MAX" envDefault:"1h" min:"10ms" max:"24h" help:"maximum backoff between attempts"`
}

func (s *Settings) policy() policy {
	return policy{attempts: s.Attempts, least: s.BackoffMin, most: s.BackoffMax}
}
