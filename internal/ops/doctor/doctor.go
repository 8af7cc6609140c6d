// Package doctor checks everything that Sluice needs, and says what to do about what is wrong. It changes nothing.
package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/ops/finding"
	"github.com/sluicehq/sluice/internal/secure"
	"github.com/sluicehq/sluice/internal/stream"
)

// Options say where everything is.
type Options struct {
	Gateway  string   // path of the gateway's program, whose settings are checked; empty: they are not
	Settings []string // NAME=value that the gateway has beside this process's environment
	NATSURL  string
	Creds    string
	TLS      secure.Files // to NATS
	Monitor  string       // monitoring address of NATS; empty: port 8222 of its host
	Data     string       // data folder
	Admin    string       // admin address of the gateway, host:port or unix:/path
	Token    string       // for that address; empty: none

	URL         string // registered with the sender; empty: its certificate is not examined
	Authorities string // file with certificates that are trusted for it, beside those of this machine
	// Redis makes a connection to the gateway's; nil: there is none. It fails for an address that is none.
	Redis func() (Redis, error)
}

// Redis is what the gateway remembers deliveries in.
type Redis interface {
	Lookup(ctx context.Context, identities []string, seen []bool) error
	EvictionPolicy(ctx context.Context) (string, error)
	io.Closer
}

// Examine makes every check that can be made. Without NATS those that need it are left out.
func Examine(ctx context.Context, o Options) (all finding.List) {
	o.settings(ctx, &all)
	told := o.gateway(ctx, &all)
	o.certificate(ctx, &all)
	o.disk(&all)
	o.redis(ctx, &all)
	nc, js := o.connect(ctx, &all)
	if nc == nil {
		return all
	}
	defer nc.Close()
	o.server(&all, nc)
	h := &hub{nc: nc, js: js}
	if h.jetStream(ctx, &all) {
		if !told {
			o.durability(ctx, &all, h)
		}
		h.streams(ctx, &all)
		h.clock(ctx, &all)
		h.permissions(ctx, &all)
		if !told {
			h.gateways(ctx, &all)
		}
		h.teams(ctx, &all)
	}
	return all
}

// settings lets the gateway's own --check judge the environment.
func (o *Options) settings(ctx context.Context, all *finding.List) {
	const check = "settings"
	if o.Gateway == "" {
		all.Warn(check, "the gateway binary is neither beside sluicectl nor in PATH: its settings are not checked", "run `gateway --check` where it runs")
		return
	}
	var complaints bytes.Buffer
	c := exec.CommandContext(ctx, o.Gateway, "--check")
	c.Stderr, c.Env = &complaints, append(os.Environ(), o.Settings...)
	err := c.Run()
	for line := range strings.Lines(complaints.String()) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "gateway: "))
		if err != nil {
			all.Fail(check, line, "correct the environment that the gateway starts with")
		} else {
			all.Warn(check, line, "correct the environment that the gateway starts with")
		}
	}
	switch {
	case err != nil && complaints.Len() == 0:
		all.Fail(check, fmt.Sprintf("%s --check: %v", o.Gateway, err), "build it again: make build")
	case complaints.Len() == 0:
		all.OK(check, "the gateway accepts this environment")
	}
}

func (o *Options) redis(ctx context.Context, all *finding.List) {
	const check = "redis"
	if o.Redis == nil {
		all.OK(check, "not used: the gateway remembers deliveries in memory")
		return
	}
	r, took, err := o.askRedis(ctx)
	if r == nil {
		all.Fail(check, err.Error(), "correct REDIS_URL")
		return
	}
	defer r.Close()
	if err != nil {
		all.Fail(check, err.Error(), "start Redis, or correct REDIS_URL; until then only duplicates within five minutes are found, and nothing is lost")
		return
	}
	all.OK(check, fmt.Sprintf("answers within %.1f ms", float64(took)/float64(time.Millisecond)))
	policy, err := r.EvictionPolicy(ctx)
	switch {
	case err != nil:
		all.Warn(check, "cannot read its eviction policy: "+err.Error(), "make sure that it is volatile-ttl")
	case strings.HasPrefix(policy, "allkeys"):
		all.Warn(check, "maxmemory-policy is "+policy+": when full, Redis forgets deliveries before 24 hours are over", "set maxmemory-policy volatile-ttl, and a maxmemory of 200 bytes for each delivery of a day")
	}
}

// redisAttempts are how often Redis is asked: one answer has little time, as in the gateway.
const redisAttempts = 5

// askRedis returns a Redis that has answered, or the last that has not; nil for an address that is none.
func (o *Options) askRedis(ctx context.Context) (r Redis, took time.Duration, err error) {
	for range redisAttempts {
		if r != nil {
			_ = r.Close() // it does not ask again
		}
		if r, err = o.Redis(); err != nil {
			return nil, 0, err
		}
		begin := time.Now()
		if err = r.Lookup(ctx, []string{"sluicectl-doctor/0"}, make([]bool, 1)); err == nil {
			return r, time.Since(begin), nil
		}
	}
	return r, 0, err
}

func (o *Options) connect(ctx context.Context, all *finding.List) (*nats.Conn, jetstream.JetStream) {
	const check = "nats"
	nc, err := stream.Connect(ctx, stream.Options{URL: o.NATSURL, Creds: o.Creds, TLS: o.TLS, Name: "sluicectl doctor", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		remedy := "correct what it names: NATS is there"
		if errors.Is(err, stream.ErrUnreachable) {
			remedy = "start NATS, or the gateway if it embeds NATS, or correct NATS_URL"
		}
		all.Fail(check, err.Error(), remedy)
		return nil, nil
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		all.Fail(check, err.Error(), "correct NATS_URL")
		return nil, nil
	}
	return nc, js
}

const leastPayload = 2 << 20 // a body of 1 MiB and its headers

func (o *Options) server(all *finding.List, nc *nats.Conn) {
	const check = "nats"
	rtt, err := nc.RTT()
	if err != nil {
		all.Fail(check, err.Error(), "look at the server's log")
		return
	}
	all.OK(check, fmt.Sprintf("%s at %s answers within %.1f ms", nc.ConnectedServerVersion(), mask.Address(nc.ConnectedUrl()), float64(rtt)/float64(time.Millisecond)))
	if payload := nc.MaxPayload(); payload < leastPayload {
		all.Warn(check, fmt.Sprintf("max_payload is %d bytes: the gateway refuses bodies that SLUICE_MAX_BODY allows", payload), "set max_payload: 2MB in its configuration")
	}
}

// FindGateway is the path of the gateway's program beside this one, or in PATH; empty where it is in neither.
func FindGateway() string {
	if self, err := os.Executable(); err == nil {
		beside := self[:strings.LastIndexByte(self, '/')+1] + "gateway"
		if _, err := os.Stat(beside); err == nil {
			return beside
		}
	}
	path, err := exec.LookPath("gateway")
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return ""
	}
	return path
}
