package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/gateway/ingest"
	"github.com/sluicehq/sluice/gateway/seen"
	"github.com/sluicehq/sluice/internal/secure"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/tracing"
	"github.com/sluicehq/sluice/pkg/settings"
	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// Settings are everything that a deployment can choose about the gateway.
type Settings struct {
	Secrets

	Listen     string `env:"SLUICE_LISTEN" envDefault:":3000" listen:"socket" help:"address for webhooks: host:port, unix:/path, or systemd (socket activation); a socket from systemd is always used, whatever this says"`
	ListenMode string `env:"SLUICE_LISTEN_MODE" envDefault:"0660" help:"file mode of unix:/path, in octal: who may connect"`
	ReusePort  bool   `env:"SLUICE_LISTEN_REUSEPORT" help:"share host:port with another gateway of the same user (SO_REUSEPORT), to replace it without downtime; set it for both; needs NATS_URL"`

	TLSCert     string `env:"SLUICE_TLS_CERT" reads:"true" help:"certificate with its chain (PEM), to take HTTPS; read again when the file changes"`
	TLSKey      string `env:"SLUICE_TLS_KEY" reads:"true" help:"key of SLUICE_TLS_CERT (PEM, not encrypted)"`
	TLSACME     string `env:"SLUICE_TLS_ACME" help:"host names, separated by commas, whose certificates an ACME server issues and renews by itself; they are kept in SLUICE_DATA; to set it is to agree to the server's terms"`
	ACMEServer  string `env:"SLUICE_TLS_ACME_DIRECTORY" envDefault:"https://acme-v02.api.letsencrypt.org/directory" help:"directory URL of the ACME server"`
	ACMEContact string `env:"SLUICE_TLS_ACME_CONTACT" help:"e-mail address that the ACME server may write to"`
	ACMERoots   string `env:"SLUICE_TLS_ACME_CA" reads:"true" help:"certificates (PEM) that are trusted for the ACME server itself; unset: those of this machine"`
	TLSHTTP     string `env:"SLUICE_TLS_HTTP" envDefault:":80" help:"with SLUICE_TLS_ACME: address for plain HTTP, which answers the server's challenges and tells everybody else to use https; off: none, port 443 alone answers challenges"`

	TrustedProxies string `env:"SLUICE_TRUSTED_PROXIES" help:"proxies whose X-Forwarded-For is believed: addresses, networks such as 10.0.0.0/8, or unix for who connects to unix:/path, separated by commas; through them SLUICE_MAX_CONNECTIONS_PER_IP limits concurrent requests of each sender; unset: none"`
	ProxyProtocol  bool   `env:"SLUICE_PROXY_PROTOCOL" help:"the trusted proxies begin each connection with a header of the PROXY protocol, version 1 or 2, which says whose it is"`

	Path            string         `env:"SLUICE_PATH" envDefault:"/webhook" help:"path of the URL registered with Zorio"`
	Admin           string         `env:"SLUICE_ADMIN" envDefault:"127.0.0.1:3001" listen:"unix" help:"address for /healthz, /readyz, /metrics and /debug/pprof: host:port, or unix:/path for this user alone; one that other machines reach needs SLUICE_ADMIN_TOKEN"`
	AdminToken      string         `env:"SLUICE_ADMIN_TOKEN" secret:"true" file:"true" help:"token for the admin address, at least 16 characters, sent as Authorization: Bearer; without it /healthz and the bare status of /readyz are told; unset: everybody on this machine may ask, and there are no profiles"`
	Data            string         `env:"SLUICE_DATA" envDefault:"./data" help:"data folder: the journal, and the streams of the embedded NATS"`
	Journal         string         `env:"SLUICE_JOURNAL" envDefault:"on" oneof:"on,off" help:"keep a journal of deliveries on this machine's disk: with the embedded NATS of every delivery, before it is answered; with your own NATS of those that it does not acknowledge within half a second; off: for a machine without a persistent disk"`
	JournalMaxBytes settings.Bytes `env:"SLUICE_JOURNAL_MAX_BYTES" envDefault:"4GiB" min:"64MiB" help:"maximum bytes of the journal; beyond it, 503"`
	Log             string         `env:"SLUICE_LOG" envDefault:"info" oneof:"debug,info,warn,error" help:"lowest level that is logged; debug logs every event"`

	RedisURL    string `env:"REDIS_URL" secret:"url" file:"true" help:"redis://, rediss:// or unix://; several, separated by commas, are a Cluster; unset: the gateway remembers deliveries in memory, rebuilt from the stream at start"`
	RedisTLS    secure.Redis
	NATSURL     string `env:"NATS_URL" secret:"url" help:"nats://host:4222, or several, separated by commas; unset: the gateway runs an embedded NATS"`
	NATSCreds   string `env:"NATS_CREDS" reads:"true" help:"credentials file for NATS"`
	NATSTLS     secure.NATS
	NATSMonitor string `env:"SLUICE_NATS_MONITOR" secret:"url" help:"monitoring address of NATS, to check that it syncs every write; for a cluster one per server, separated by commas; unset: port 8222 of the hosts in NATS_URL"`
	HubListen   string `env:"SLUICE_HUB_LISTEN" envDefault:"127.0.0.1:4222" listen:"true" help:"address of the embedded NATS, for consumers on this machine; it lets in who may read the data folder, and has no TLS"`

	Replicas       int            `env:"SLUICE_REPLICAS" envDefault:"1" oneof:"1,3,5" help:"copies of each stream; 3 needs a NATS cluster"`
	EventsMaxAge   time.Duration  `env:"SLUICE_EVENTS_MAX_AGE" envDefault:"168h" min:"1h" help:"how long events are kept"`
	EventsMaxBytes settings.Bytes `env:"SLUICE_EVENTS_MAX_BYTES" envDefault:"0" help:"maximum bytes of events; beyond it, the oldest are dropped; 0: with the embedded NATS as much as fits on its disk, with your own NATS no limit"`

	Identity  string        `env:"SLUICE_IDENTITY" envDefault:"delivery" oneof:"delivery,body" help:"which deliveries are duplicates: those with the same id and signature (delivery), or with the same signature (body); body also catches copies under new ids, but drops the second of two events with the same bytes within 24 hours"`
	MaxCopies int           `env:"SLUICE_MAX_COPIES" envDefault:"16" min:"0" max:"60000" help:"maximum deliveries with the same signature but different ids (ids are not signed) within half an hour; beyond it, they go to quarantine as replayed; 0: no limit"`
	Late      string        `env:"SLUICE_LATE" envDefault:"quarantine" oneof:"quarantine,accept" help:"what to do with an authentic delivery with a stale timestamp"`
	LateMax   time.Duration `env:"SLUICE_LATE_MAX" envDefault:"45m" min:"5m" max:"24h" help:"maximum age of a delivery that SLUICE_LATE=accept accepts"`
	Silence   time.Duration `env:"SLUICE_SILENCE" envDefault:"15m" min:"0s" help:"shortest time without an authentic delivery that /readyz reports; it reports later if deliveries are usually rare; 0: never"`

	MaxInflight         int            `env:"SLUICE_MAX_INFLIGHT" envDefault:"4096" min:"1" max:"1000000" help:"maximum concurrent requests; beyond it, 503"`
	MaxInflightBytes    settings.Bytes `env:"SLUICE_MAX_INFLIGHT_BYTES" envDefault:"256MiB" min:"16MiB" help:"maximum memory for the bodies of concurrent requests; beyond it, 503; a quarter is reserved for bodies up to 4 KiB, and one address gets at most half for larger bodies"`
	MaxBody             settings.Bytes `env:"SLUICE_MAX_BODY" envDefault:"1MiB" min:"1KiB" max:"7MiB" help:"maximum size of a body; beyond it, 413"`
	MaxConnections      int            `env:"SLUICE_MAX_CONNECTIONS" envDefault:"16384" min:"1" max:"1000000" help:"maximum open connections; beyond it, the connection that has gone longest without a complete request is closed, or the new one gets 503"`
	MaxConnectionsPerIP int            `env:"SLUICE_MAX_CONNECTIONS_PER_IP" envDefault:"0" min:"0" max:"1000000" help:"maximum open connections from one address; beyond it, the one of them that has gone longest without a complete request is closed, or the new one gets 429; 0: half of SLUICE_MAX_CONNECTIONS"`
	SeenMax             int            `env:"SLUICE_SEEN_MAX" envDefault:"1000000" min:"1000" max:"100000000" help:"without Redis: maximum deliveries remembered in memory, about 100 bytes each"`
	SeenLayout          string         `env:"SLUICE_SEEN_LAYOUT" envDefault:"small" oneof:"small,zorio" help:"how deliveries lie in Redis: in about 37 bytes each (small), or as Zorio's sample receivers do it, in about 200 (zorio), for a Redis shared with one of them"`

	Traces           tracing.Settings
	TrustTraceparent bool `env:"SLUICE_TRUST_TRACEPARENT" help:"continue the trace that a request says it belongs to (traceparent, which nobody signs); otherwise each delivery begins a trace of its own, with a link to that one"`
}

// Secrets are the settings that SIGHUP reads again.
type Secrets struct {
	Secret string `env:"ZORIO_WEBHOOK_SECRET" secret:"true" file:"true" required:"true" help:"webhook secret from Zorio's console; while rotating it, the old and the new one, separated by a comma; a file is read again on SIGHUP"`
}

// Check implements the check of package settings.
func (s *Secrets) Check() error { return checkSecrets(s.Secret) }

// Check holds what is set against what it is for, before anything is reached for.
func (s *Settings) Check() error {
	return errors.Join(s.checkListen(), s.checkProxies(), telemetry.CheckAdmin(s.Admin, s.AdminToken), s.checkTLS(), s.checkPath(), s.checkRedis(), s.checkNATS())
}

func (s *Settings) checkListen() error {
	switch _, _, err := net.SplitHostPort(s.Listen); {
	case s.mode() == 0:
		return fmt.Errorf("SLUICE_LISTEN_MODE=%q: use an octal mode, such as 0660 for a proxy in the same group, or 0666 for everybody on this machine", s.ListenMode)
	case s.ProxyProtocol && s.TrustedProxies == "":
		return errors.New("SLUICE_PROXY_PROTOCOL=true: nobody is believed: set SLUICE_TRUSTED_PROXIES to the proxies' addresses")
	case s.ReusePort && (err != nil || strings.HasPrefix(s.Listen, "unix:")):
		return fmt.Errorf("SLUICE_LISTEN_REUSEPORT=true: SLUICE_LISTEN=%s cannot be shared: use host:port, or unset SLUICE_LISTEN_REUSEPORT", s.Listen)
	case s.ReusePort && s.NATSURL == "":
		return errors.New("SLUICE_LISTEN_REUSEPORT=true: two gateways cannot share the folder of an embedded NATS: set NATS_URL, or unset SLUICE_LISTEN_REUSEPORT and use a socket unit of systemd")
	}
	return nil
}

func (s *Settings) checkProxies() error {
	if _, err := ingest.ParseProxies(s.TrustedProxies); err != nil {
		return fmt.Errorf("SLUICE_TRUSTED_PROXIES: %w", err)
	}
	return nil
}

// proxies are those that are believed; nil where there are none.
func (s *Settings) proxies() *ingest.Proxies {
	if s.TrustedProxies == "" {
		return nil
	}
	p, _ := ingest.ParseProxies(s.TrustedProxies) // Check has read it
	p.Introduce = s.ProxyProtocol
	return p
}

// mode is that of a unix socket; 0 where the setting is none.
func (s *Settings) mode() os.FileMode {
	mode, err := strconv.ParseUint(s.ListenMode, 8, 32)
	if err != nil || mode > uint64(os.ModePerm) {
		return 0
	}
	return os.FileMode(mode)
}

// leastSecret is half of what Zorio's console gives: less is a slip of the paste, or can be guessed.
const leastSecret = 16

func checkSecrets(list string) error {
	n := 0
	for secret := range strings.SplitSeq(list, ",") {
		if n++; len(strings.TrimSpace(secret)) < leastSecret {
			return fmt.Errorf("ZORIO_WEBHOOK_SECRET: secret %d has %d characters, at least %d are needed: Zorio's have 32 letters and digits", n, len(strings.TrimSpace(secret)), leastSecret)
		}
	}
	if _, err := signature.Parse(list); err != nil {
		return fmt.Errorf("ZORIO_WEBHOOK_SECRET: %w", err)
	}
	return nil
}

func (s *Settings) checkRedis() error {
	switch files := s.RedisTLS.Files(); {
	case s.RedisURL != "":
		return seen.CheckURL(s.RedisURL, files)
	case files.Any():
		return errors.New("REDIS_CA, REDIS_CERT or REDIS_KEY is set without REDIS_URL: set it, or unset them")
	}
	return nil
}

func (s *Settings) checkNATS() error {
	switch {
	case s.NATSURL != "":
		return stream.CheckURL(s.NATSURL)
	case s.NATSTLS.Files().Any():
		return errors.New("NATS_CA, NATS_CERT or NATS_KEY is set without NATS_URL: set it, or unset them: the embedded NATS has no TLS")
	}
	return nil
}

// checkPath takes what a request's target can be, to the byte: it is compared as it was sent.
func (s *Settings) checkPath() error {
	clean := path.Clean(s.Path)
	if strings.HasSuffix(s.Path, "/") && clean != "/" {
		clean += "/"
	}
	if !strings.HasPrefix(s.Path, "/") || s.Path != clean || strings.ContainsFunc(s.Path, notOfPaths) {
		return fmt.Errorf("SLUICE_PATH=%q: use a path that begins with a slash, such as /webhook, of letters, digits and -._~/", s.Path)
	}
	return nil
}

func notOfPaths(r rune) bool {
	isLetter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	return !isLetter && (r < '0' || r > '9') && !strings.ContainsRune("-._~/", r)
}

// acceptLate is the age up to which late deliveries are ordinary events; 0 puts them into quarantine.
func (s *Settings) acceptLate() time.Duration {
	if s.Late == "accept" {
		return s.LateMax
	}
	return 0
}
