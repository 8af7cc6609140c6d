package main

import (
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/settings"
	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// keys of a target in the file.
var keys = []string{"name", "url", "secret", "secret_env", "secret_file", "events", "concurrency", "timeout", "attempts", "allow_private", "proxy"}

// fill reads what the fields of a target say.
func (p *parser) fill(t *target, node *yaml.Node, fields map[string]*yaml.Node) {
	if fields["name"] == nil {
		p.wrong(node, "name is missing: it names the target's place in the stream, and must stay the same")
	}
	if fields["url"] == nil {
		p.wrong(node, "url is missing: where are its events to be posted?")
	}
	t.Secret = p.secret(node, fields)
	for key, value := range fields {
		switch key {
		case "name":
			t.Name = p.name(value)
		case "url":
			t.URL = p.url(key, value, "http", "https")
		case "proxy":
			t.Proxy = p.url(key, value, "http", "https", "socks5")
		case "events":
			t.Events = p.events(value)
		case "concurrency":
			t.Concurrency = p.number(key, value, 1024)
		case "attempts":
			t.Attempts = p.number(key, value, 1000)
		case "timeout":
			t.Timeout = p.duration(key, value)
		case "allow_private":
			t.AllowPrivate = p.truth(key, value)
		}
	}
	if host := hostOf(t.URL); !t.AllowPrivate && literallyPrivate(host) {
		p.wrong(fields["url"], "url %s: allow_private: false refuses %s, which is not an address of the internet", mask.Address(t.URL), host)
	}
	if t.Proxy != "" && !t.AllowPrivate {
		p.wrong(fields["proxy"], "proxy and allow_private: false exclude each other: behind a proxy nobody here sees the address; let the proxy refuse, or remove one of them")
	}
}

var validName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,56}$`) // with its prefix, the name of a team

func (p *parser) name(node *yaml.Node) string {
	if !validName.MatchString(node.Value) {
		p.wrong(node, "name %q: use letters, digits, _ and -, at most 56", node.Value)
	}
	return node.Value
}

func (p *parser) url(key string, node *yaml.Node, schemes ...string) string {
	u, err := url.Parse(node.Value)
	if err != nil || u.Hostname() == "" || !slices.Contains(schemes, u.Scheme) {
		p.wrong(node, "%s %s: use %s://", key, mask.Address(node.Value), strings.Join(schemes, ":// or "))
	}
	return node.Value
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// secret is what exactly one of three keys says.
func (p *parser) secret(node *yaml.Node, fields map[string]*yaml.Node) (secret string) {
	var given []*yaml.Node
	for key, read := range map[string]func(*yaml.Node) string{"secret": literally, "secret_env": p.variable, "secret_file": p.content} {
		if value := fields[key]; value != nil {
			given = append(given, value)
			secret = read(value)
		}
	}
	switch {
	case len(given) != 1:
		p.wrong(node, "a secret is needed, once: use secret, secret_env (the name of a variable) or secret_file")
	case secret != "" && len(secret) < signature.MinSecret:
		p.wrong(given[0], "the secret has %d characters, at least %d are needed", len(secret), signature.MinSecret)
	case secret == "" && fields["secret"] != nil:
		p.wrong(given[0], "secret is empty")
	}
	return secret
}

func literally(node *yaml.Node) string { return node.Value }

func (p *parser) variable(node *yaml.Node) string {
	secret := os.Getenv(node.Value)
	if secret == "" {
		p.wrong(node, "secret_env %s: this variable is not set", node.Value)
	}
	return secret
}

func (p *parser) content(node *yaml.Node) string {
	text, err := os.ReadFile(node.Value)
	secret := strings.TrimSpace(string(text))
	switch {
	case err != nil:
		p.wrong(node, "secret_file: %v: name a file that this user may read", err)
	case secret == "":
		p.wrong(node, "secret_file: the file %s is empty", node.Value)
	}
	return secret
}

// events takes a list of patterns, or a single one.
func (p *parser) events(node *yaml.Node) (patterns []string) {
	nodes := node.Content
	if node.Kind == yaml.ScalarNode && node.Tag != "!!null" {
		nodes = []*yaml.Node{node}
	}
	if len(nodes) == 0 {
		p.wrong(node, "events: use a list of names such as pbx.call.hangup, or leave it out for every event")
	}
	for _, n := range nodes {
		n = resolved(n)
		if !event.ValidPattern(n.Value) {
			p.wrong(n, "events %q: use names such as pbx.call.hangup, with * for one part, or > at the end for all that follow", n.Value)
		}
		for _, other := range patterns {
			if overlap(other, n.Value) {
				p.wrong(n, "events %q and %q match some of the same: NATS refuses that; keep the wider one", other, n.Value)
			}
		}
		p.doubtUnknown(n)
		patterns = append(patterns, n.Value)
	}
	return patterns
}

// doubtUnknown warns of a pattern that matches no event that Zorio is known to send. New ones come without notice, so it
// is no mistake; but nothing would ever say that a slip of the keyboard waits for events that do not come.
func (p *parser) doubtUnknown(node *yaml.Node) {
	known := zorio.Known()
	if slices.ContainsFunc(known, func(name string) bool { return event.Match(node.Value, name) }) {
		return
	}
	near := settings.Nearest(node.Value, known)
	if near != "" {
		near = ": did you mean " + near + "?"
	}
	p.doubt(node, "events %q: Zorio is not known to send such events%s", node.Value, near)
}

// overlap reports whether two patterns match a name in common.
func overlap(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		switch {
		case as[i] == ">" || bs[i] == ">":
			return true
		case as[i] != bs[i] && as[i] != "*" && bs[i] != "*":
			return false
		}
	}
	return len(as) == len(bs)
}

func (p *parser) number(key string, node *yaml.Node, most int) int {
	n, err := strconv.Atoi(node.Value)
	if err != nil || n < 1 || n > most {
		p.wrong(node, "%s %q: use a whole number, from 1 to %d", key, node.Value, most)
	}
	return n
}

const (
	leastTimeout = 100 * time.Millisecond
	mostTimeout  = 15 * time.Minute
)

func (p *parser) duration(key string, node *yaml.Node) time.Duration {
	d, err := time.ParseDuration(node.Value)
	if err != nil || d < leastTimeout || d > mostTimeout {
		p.wrong(node, "%s %q: use a duration such as 5s, from 100ms to 15m", key, node.Value)
	}
	return d
}

func (p *parser) truth(key string, node *yaml.Node) bool {
	if node.Value != "true" && node.Value != "false" {
		p.wrong(node, "%s %q: use true or false", key, node.Value)
	}
	return node.Value == "true"
}
