package worker

import (
	"time"

	"github.com/sluicehq/sluice/internal/stream"
)

// Settings are what a deployment chooses about any team's consumer. [Run] reads them itself; a consumer embeds them in
// its own settings so that its --help and --check show them.
type Settings struct {
	NATSURL   string `env:"NATS_URL" envDefault:"nats://127.0.0.1:4222" secret:"url" help:"nats://host:4222, several separated by commas; the default is where a gateway on this machine runs its own"`
	NATSCreds string `env:"NATS_CREDS" reads:"true" help:"credentials file for NATS"`
	Admin     string `env:"SLUICE_ADMIN" listen:"true" exposes:"metrics, profiles and the state of everything" help:"address for /healthz, /readyz, /metrics and /debug/pprof, such as 127.0.0.1:3011; unset: none"`
	Log       string `env:"SLUICE_LOG" envDefault:"info" oneof:"debug,info,warn,error" help:"least level that is logged; debug has a line per event"`

	Concurrency int           `env:"SLUICE_CONCURRENCY" envDefault:"16" min:"1" max:"1024" help:"events handled at once by this process"`
	Timeout     time.Duration `env:"SLUICE_TIMEOUT" envDefault:"15m" min:"1s" max:"24h" help:"time limit of one attempt; a handler that takes longer is cancelled through its context and tried again"`
	Attempts    int           `env:"SLUICE_ATTEMPTS" envDefault:"16" min:"1" max:"1000" help:"attempts before an event goes to DEAD"`
	BackoffMin  time.Duration `env:"SLUICE_BACKOFF_MIN" envDefault:"1s" min:"10ms" max:"1h" help:"longest pause before the second attempt; it doubles with each one, and the pause is drawn at random below it"`
	BackoffMax  time.Duration `env:"SLUICE_BACKOFF_MAX" envDefault:"1h" min:"10ms" max:"24h" help:"longest pause between attempts"`
	Start       Start         `env:"SLUICE_START" envDefault:"beginning" help:"where a new team starts: beginning (what is still kept), now, or a time such as 2026-01-31T08:00:00Z; a team that is there goes on where it was"`
}

// Check refuses what is no address of NATS.
func (s *Settings) Check() error { return stream.CheckURL(s.NATSURL) }

func (s *Settings) policy() policy {
	return policy{attempts: s.Attempts, least: s.BackoffMin, most: s.BackoffMax}
}
