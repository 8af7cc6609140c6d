package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/internal/handshake"
	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/ops/send"
	"github.com/sluicehq/sluice/internal/secure"
	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/zorio"
)

const defaultURL = "http://127.0.0.1:3000/webhook"

// sender posts events as Zorio does.
type sender struct {
	url, secret, nats, bodyFile string
	authorities                 string
	tls                         secure.NATS
	all, repeat                 bool
	count                       int
	rate                        float64
	wait                        time.Duration

	out    io.Writer
	err    io.Writer // takes the progress
	client *http.Client
}

func sendCommand() *cobra.Command {
	s := &sender{}
	c := &cobra.Command{
		Use: "send [event name]", Short: "Sign and post a sample event as Zorio would, and follow it", Args: cobra.MaximumNArgs(1),
		Long:              "Sign and post a sample event as Zorio would, and follow it.\n\nEvents: " + strings.Join(zorio.Names(), ", "),
		Example:           "  sluicectl send pbx.call.hangup\n  sluicectl send --all\n  sluicectl send pbx.call.ringing --count 100 --rate 500",
		ValidArgsFunction: cobra.FixedCompletions(zorio.Names(), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(c *cobra.Command, args []string) error {
			s.out, s.err = c.OutOrStdout(), c.ErrOrStderr()
			return s.send(c.Context(), args)
		},
	}
	f := c.Flags()
	f.StringVar(&s.url, "url", defaultURL, "the gateway's URL, or unix:/path of its socket")
	f.StringVar(&s.secret, "secret", "", "secret to sign with (default: "+secretVariable+", or the one that \"make run\" generated)")
	addressFlag(c, &s.nats, "nats", hubURL(), "NATS to follow the event in; empty: do not follow")
	f.StringVar(&s.authorities, "ca", "", "file with certificates (PEM) to trust beside those of this machine, for an https:// URL")
	completeFiles(c, "ca")
	natsTLSFlags(c, &s.tls)
	f.StringVar(&s.bodyFile, "body", "", "file to send instead of the sample, byte for byte")
	completeFiles(c, "body")
	f.BoolVar(&s.all, "all", false, "send one of each kind")
	f.BoolVar(&s.repeat, "repeat", false, "send the same delivery twice; the second one is answered Duplicate")
	f.IntVar(&s.count, "count", 1, "how many to send; only a single event is followed")
	f.Float64Var(&s.rate, "rate", 0, "events per second; 0: as fast as they are answered")
	f.DurationVar(&s.wait, "wait", 5*time.Second, "how long to follow an event")
	return c
}

// send checks what is asked for and does it.
func (s *sender) send(ctx context.Context, args []string) (err error) {
	names := args
	if s.all {
		names = zorio.Names()
	}
	if err := s.check(names); err != nil {
		return err
	}
	if s.secret == "" {
		if s.secret, err = findSecret(); err != nil {
			return err
		}
	}
	trust, err := handshake.Trust(s.authorities)
	if err != nil {
		return misused("--ca: %v", err)
	}
	to, over := posting(s.url)
	over.MaxIdleConnsPerHost, over.TLSClientConfig = lanes, trust
	s.url, s.client = to, &http.Client{Timeout: 10 * time.Second, Transport: over}
	if s.count > 1 {
		return s.load(ctx, names)
	}
	for _, name := range names {
		if err := s.sendAndFollow(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (s *sender) check(names []string) error {
	switch {
	case len(names) == 0:
		return misused("name an event, or use --all: %s", strings.Join(zorio.Names(), ", "))
	case s.count < 1:
		return misused("--count %d: use 1 or more", s.count)
	case s.rate < 0:
		return misused("--rate %g: use deliveries a second, or 0 for as fast as they are answered", s.rate)
	}
	to, _ := posting(s.url)
	return checkURL(to)
}

// delivery is one event on its way.
type delivery struct {
	name, id string
	body     []byte
	digits   string // of its signature
}

func (s *sender) newDelivery(name string) (delivery, error) {
	d, known := send.Sample(name)
	body := d.Body
	if s.bodyFile != "" {
		var err error
		if body, err = os.ReadFile(s.bodyFile); err != nil {
			return delivery{}, err
		}
	} else if !known {
		return delivery{}, fmt.Errorf("there is no sample of %q: send one with --body, or one of these: %s", name, strings.Join(zorio.Names(), ", "))
	}
	return delivery{name: name, id: d.ID, body: body, digits: signature.Hex(signature.Sign(s.secret, body))}, nil
}

// post sends a delivery once and returns the answer as "200 OK".
func (s *sender) post(ctx context.Context, d delivery) (answer string, took time.Duration, err error) {
	to, err := url.Parse(s.url)
	if err != nil {
		return "", 0, fmt.Errorf("--url %s: %s", mask.Address(s.url), mask.Text(err.Error(), s.url))
	}
	answer, took, err = send.Delivery{Name: d.name, ID: d.id, Body: d.body}.Post(ctx, s.client, s.url, s.secret)
	if err != nil && answer == "" {
		return "", 0, s.unanswered(err, to.Hostname())
	}
	return answer, took, err
}

// unanswered says why a request got no answer, and what to do.
func (s *sender) unanswered(err error, host string) error {
	if known := handshake.Explain(err, host, time.Now()); known != nil {
		return fmt.Errorf("--url %s: %w", mask.Address(s.url), known)
	}
	return fmt.Errorf("%s: is the gateway running there? `make run` starts one", mask.Text(err.Error(), s.url))
}

func (s *sender) sendAndFollow(ctx context.Context, name string) error {
	d, err := s.newDelivery(name)
	if err != nil {
		return err
	}
	f := s.follow(ctx)
	defer f.close()
	fmt.Fprintf(s.out, "%s, delivery %s\n", d.name, d.id)
	if err := s.deliver(ctx, d); err != nil {
		return err
	}
	f.tell(ctx, d, s.out)
	if s.repeat {
		fmt.Fprintln(s.out, "  the same delivery again")
		return s.deliver(ctx, d)
	}
	return nil
}

// deliver posts and says the answer. What is not taken is an error that says what to do.
func (s *sender) deliver(ctx context.Context, d delivery) error {
	answer, took, err := s.post(ctx, d)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "  answered %s in %s\n", answer, milliseconds(took))
	return send.Taken(answer)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
