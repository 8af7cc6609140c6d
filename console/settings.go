package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/secure"
	"github.com/sluicehq/sluice/internal/socket"
	"github.com/sluicehq/sluice/internal/stream"
)

// Settings are what a deployment chooses about the console.
type Settings struct {
	Listen     string `env:"SLUICE_CONSOLE_LISTEN" envDefault:"127.0.0.1:3002" listen:"true" help:"address of the console; one that other machines reach needs SLUICE_CONSOLE_TOKEN or SLUICE_CONSOLE_USER_HEADER"`
	Token      string `env:"SLUICE_CONSOLE_TOKEN" secret:"true" file:"true" help:"token of the operators, at least 16 characters, which the login page asks for; unset: whoever uses this machine is an operator"`
	ReadToken  string `env:"SLUICE_CONSOLE_READ_TOKEN" secret:"true" file:"true" help:"token of the readers, who see everything and change nothing; needs SLUICE_CONSOLE_TOKEN"`
	UserHeader string `env:"SLUICE_CONSOLE_USER_HEADER" help:"header in which a proxy that has logged the user in names them, such as X-Forwarded-User; instead of a token"`
	Proxies    string `env:"SLUICE_CONSOLE_PROXIES" envDefault:"127.0.0.1,::1" help:"proxies whose SLUICE_CONSOLE_USER_HEADER is believed: addresses or networks such as 10.0.0.0/8, separated by commas; nobody else is let in then"`
	Operators  string `env:"SLUICE_CONSOLE_OPERATORS" help:"users of that header who may change something, separated by commas; everybody else is a reader; * is everybody"`
	Hosts      string `env:"SLUICE_CONSOLE_HOSTS" help:"names by which browsers reach the console, such as sluice.example.com, separated by commas; addresses and localhost always work"`
	Identity   string `env:"SLUICE_IDENTITY" envDefault:"delivery" oneof:"delivery,body" help:"which deliveries are duplicates, as set for the gateway: what is released from quarantine is compared with what is stored"`
	NATSURL    string `env:"NATS_URL" envDefault:"nats://127.0.0.1:4222" secret:"url" help:"nats://host:4222, or several, separated by commas; the default is the embedded NATS of a gateway on this machine"`
	NATSCreds  string `env:"NATS_CREDS" reads:"true" help:"credentials file for NATS"`
	NATSTLS    secure.NATS
	Archive    string `env:"SLUICE_ARCHIVE" secret:"url" help:"place of the consumer archive's files, from which replays may come too: a folder or an S3 bucket, as set for that consumer; unset: replays come from the stream"`
	Gateway    string `env:"SLUICE_CONSOLE_GATEWAY" envDefault:"http://127.0.0.1:3000/webhook" help:"URL of a gateway's webhooks, to which test events are posted; they are signed with ZORIO_WEBHOOK_SECRET"`
	Secret     string `env:"ZORIO_WEBHOOK_SECRET" secret:"true" file:"true" help:"the gateway's webhook secrets, separated by commas; with them a page says which one signed a request; unset: it says what the gateway found"`
	Log        string `env:"SLUICE_LOG" envDefault:"info" oneof:"debug,info,warn,error" help:"lowest level that is logged"`

	proxies []netip.Prefix
}

// secret is the first of the gateway's secrets, with which the console signs; empty where there is none.
func (s *Settings) secret() string {
	first, _, _ := strings.Cut(s.Secret, ",")
	return strings.TrimSpace(first)
}

// leastToken is what cannot be guessed within the life of a token.
const leastToken = 16

// Check returns what is wrong, an address that everybody could reach among it.
func (s *Settings) Check() (err error) {
	s.proxies, err = networks(s.Proxies)
	return errors.Join(stream.CheckURL(s.NATSURL), s.checkTokens(), s.checkUsers(), s.checkGateway(), err)
}

func (s *Settings) checkTokens() error {
	for name, token := range map[string]string{"SLUICE_CONSOLE_TOKEN": s.Token, "SLUICE_CONSOLE_READ_TOKEN": s.ReadToken} {
		if token != "" && len(token) < leastToken {
			return fmt.Errorf("%s has %d characters, at least %d are needed: `openssl rand -hex 16` makes one", name, len(token), leastToken)
		}
	}
	switch {
	case s.ReadToken != "" && s.Token == "":
		return errors.New("SLUICE_CONSOLE_READ_TOKEN is set without SLUICE_CONSOLE_TOKEN: set both, or neither")
	case s.ReadToken != "" && s.ReadToken == s.Token:
		return errors.New("SLUICE_CONSOLE_READ_TOKEN is the same as SLUICE_CONSOLE_TOKEN: readers would be operators")
	case s.Token != "" && s.UserHeader != "":
		return errors.New("SLUICE_CONSOLE_TOKEN and SLUICE_CONSOLE_USER_HEADER are both set: unset one of them")
	case s.Token == "" && s.UserHeader == "" && !socket.IsLocal(s.Listen):
		return fmt.Errorf("SLUICE_CONSOLE_LISTEN=%s can be reached from other machines: set SLUICE_CONSOLE_TOKEN or SLUICE_CONSOLE_TOKEN_FILE, or SLUICE_CONSOLE_USER_HEADER behind a proxy that logs users in, or use 127.0.0.1", s.Listen)
	}
	return nil
}

func (s *Settings) checkGateway() error {
	if to, err := url.Parse(s.Gateway); s.Gateway != "" && (err != nil || to.Host == "" || to.Scheme != "http" && to.Scheme != "https") {
		return fmt.Errorf("SLUICE_CONSOLE_GATEWAY=%s is not a URL: use http://host:3000/webhook", mask.Address(s.Gateway))
	}
	return nil
}

func (s *Settings) checkUsers() error {
	switch {
	case s.Operators != "" && s.UserHeader == "":
		return errors.New("SLUICE_CONSOLE_OPERATORS is set without SLUICE_CONSOLE_USER_HEADER, which names users: set both, or neither")
	case s.UserHeader != "" && strings.ContainsAny(s.UserHeader, " :\t\r\n"):
		return fmt.Errorf("SLUICE_CONSOLE_USER_HEADER=%q is not the name of a header: use one such as X-Forwarded-User", s.UserHeader)
	}
	return nil
}

// list are the parts of a setting that commas separate.
func list(setting string) (parts []string) {
	for part := range strings.SplitSeq(setting, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

func networks(setting string) (all []netip.Prefix, err error) {
	for _, part := range list(setting) {
		network, wrong := netip.ParsePrefix(part)
		if address, isAddress := netip.ParseAddr(part); isAddress == nil {
			network, wrong = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if wrong != nil {
			return nil, fmt.Errorf("SLUICE_CONSOLE_PROXIES=%q: %q is neither an address nor a network such as 10.0.0.0/8", setting, part)
		}
		all = append(all, network)
	}
	return all, nil
}
