package stream

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/secure"
)

// EmbeddedName is the name of the server inside a gateway.
const EmbeddedName = "sluice-embedded"

// Options say where NATS is and as whom to connect.
type Options struct {
	URL         string                     // nats://host:port, several separated by commas; tls:// and ws:// work too
	Creds       string                     // path of a file with the seed of a user's key, or with a JWT and a seed; empty means none
	TLS         secure.Files               // with any of them nothing is sent without TLS
	Auth        nats.Option                // proves who connects, instead of Creds
	User        string                     // whose credentials of a gateway on this machine serve where Creds is empty; see [Local]
	Name        string                     // shown in NATS's list of connections
	InboxPrefix string                     // prefix of reply subjects, for narrow permissions; empty means _INBOX
	InProcess   nats.InProcessConnProvider // the embedded server; URL is then only a name
	Behind      bool                       // Connect returns at once and connects behind its caller, for as long as it takes
	Log         *slog.Logger               // nil means slog.Default()
}

// Connect connects to NATS. After the first connection it reconnects by itself, for ever, and logs both the loss and
// the return. While disconnected, a publish fails at once: nothing is buffered. The error, when the first connection
// cannot be made, names the address and the remedy; it is [ErrUnreachable] where trying again may help.
func Connect(ctx context.Context, o Options) (*nats.Conn, error) {
	if err := CheckURL(o.URL); err != nil {
		return nil, err
	}
	renewed := &renewal{Options: o, first: o.file()}
	options := o.options(renewed)
	proof, err := o.proof()
	if err != nil {
		return nil, err
	}
	if proof != nil {
		options = append(options, proof)
	}
	nc, err := nats.Connect(o.URL, options...)
	if err != nil {
		return nil, o.explain(err)
	}
	renewed.conn.Store(nc)
	if o.Behind {
		return nc, nil
	}
	// A round trip shows refused permissions and proxies that answer for a server that is not there.
	if err := nc.FlushWithContext(withDefaultTimeout(ctx)); err != nil {
		nc.Close()
		return nil, o.explain(err)
	}
	return nc, nil
}

// Connected waits for a connection that was made [Options.Behind], as long as an attempt takes. The error is that of
// Connect: [ErrUnreachable] where a later call may find it connected.
func (o Options) Connected(ctx context.Context, nc *nats.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	for !nc.IsConnected() {
		switch Pause(ctx, 5*time.Millisecond); {
		case nc.IsClosed():
			return o.explain(nc.LastError())
		case ctx.Err() != nil:
			return o.explain(cmp.Or(nc.LastError(), nats.ErrNoServers))
		}
	}
	if err := nc.FlushWithContext(ctx); err != nil {
		return o.explain(err)
	}
	return nil
}

func withDefaultTimeout(ctx context.Context) context.Context {
	if _, bounded := ctx.Deadline(); bounded {
		return ctx
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	context.AfterFunc(ctx, cancel)
	return ctx
}

func (o Options) options(renewed *renewal) []nats.Option {
	log := o.Log
	if log == nil {
		log = slog.Default()
	}
	var away atomic.Bool // turned away, and that is said
	options := []nats.Option{
		nats.Name(o.Name), nats.Timeout(dialTimeout), nats.SetCustomDialer(&dialer{net.Dialer{Timeout: dialTimeout}, renewed.now}),
		nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(), nats.CustomReconnectDelay(func(int) time.Duration { return o.wait(away.Load()) }),
		nats.ReconnectBufSize(-1), nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(pingsOut),
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			if !nc.IsClosed() && !nc.IsDraining() {
				log.Warn("lost NATS, reconnecting", "nats", mask.Address(o.URL), "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			away.Store(false)
			log.Info("NATS is back", "nats", mask.Address(nc.ConnectedUrl()))
		}),
		nats.ErrorHandler(func(nc *nats.Conn, _ *nats.Subscription, err error) {
			if turnedAway(err) {
				if !away.Swap(true) {
					log.Error("NATS does not let this user in, asking again", "nats", mask.Address(o.URL), "error", err, "remedy", letIn(renewed.source()))
				}
				return
			}
			tellForbidden(nc, err)
			log.Error("NATS refused a request", "nats", mask.Address(o.URL), "error", err,
				"remedy", "if a permission is missing, grant it to this user; the refused request has no effect")
		}),
	}
	if o.TLS.Any() {
		options = append(options, o.secured)
	}
	if o.InboxPrefix != "" {
		options = append(options, nats.CustomInboxPrefix(o.InboxPrefix))
	}
	if o.InProcess != nil {
		options = append(options, nats.InProcessServer(o.InProcess))
	}
	if o.Behind {
		options = append(options, nats.RetryOnFailedConnect(true))
	}
	return options
}

// wait is how long to wait before NATS is asked again.
func (o Options) wait(away bool) time.Duration {
	switch {
	case o.InProcess != nil:
		return inProcessWait
	case away: // by a server that is there, and writes it down each time
		return waitAgain + rand.N(waitAgain)
	}
	return retryWait + rand.N(retryWait)
}

// turnedAway reports whether NATS does not know who connects, or not any more.
func turnedAway(err error) bool {
	for _, reason := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return strings.HasPrefix(err.Error(), "error signing nonce") // the client's own, when the file has gone or is damaged
}

// letIn is what to do where NATS turns away who has the credentials of a file, or of none.
func letIn(file string) string {
	remedy := "set NATS_CREDS to a file of `sluicectl team add`, users/TEAM.nk of its folder, or, on the gateway's machine, SLUICE_DATA to its data folder, which only its own user may read"
	if file != "" {
		return fmt.Sprintf("the key in %s is of nobody that it knows: add the team again, or %s; a new key in that file is used without a restart", file, remedy)
	}
	return remedy
}

// secured is an option of the client: it asks for the files at each connection.
func (o Options) secured(c *nats.Options) error {
	c.Secure, c.TLSConfig = true, &tls.Config{MinVersion: tls.VersionTLS12}
	c.RootCAsCB, c.TLSCertCB = o.TLS.Authorities, o.TLS.Certificate
	return nil
}

// CheckURL returns what is wrong with a NATS_URL. It does not connect.
func CheckURL(list string) error {
	for one := range strings.SplitSeq(list, ",") {
		one = strings.TrimSpace(one)
		u, err := url.Parse(one)
		if err != nil || u.Host == "" || !knownScheme(u.Scheme) {
			return fmt.Errorf("NATS_URL=%q is not the address of a NATS server: use nats://host:4222 (or tls://, ws://, wss://; several separated by commas)", mask.Address(one))
		}
	}
	return nil
}

func knownScheme(scheme string) bool {
	switch scheme {
	case "nats", "tls", "ws", "wss":
		return true
	}
	return false
}

// ErrUnreachable means that nothing answers at the address. Trying again may help.
var ErrUnreachable = errors.New("NATS is not reachable")

// explain adds the remedy to a failed connection.
func (o Options) explain(err error) error {
	at := mask.Address(o.URL)
	o.TLS.Server = "NATS"
	var dns *net.DNSError
	var unsecured *secure.Error
	switch err = o.TLS.Explain(err); {
	case errors.As(err, &unsecured):
		return fmt.Errorf("%w at %s: %w", ErrUnreachable, at, unsecured)
	case errors.Is(err, nats.ErrTLS): // the server's reason was lost: it ended the connection while something was sent
		return fmt.Errorf("%w at %s: %w", ErrUnreachable, at, &secure.Error{Cause: err, Remedy: o.TLS.Refused()})
	case errors.Is(err, nats.ErrSecureConnWanted):
		return fmt.Errorf("%w at %s: %w", ErrUnreachable, at, &secure.Error{Cause: err, Remedy: "this NATS has no TLS: configure tls { } in it, or use nats:// and unset NATS_CA and NATS_CERT"})
	case turnedAway(err):
		return fmt.Errorf("NATS at %s does not let this user in (%w): %s", at, err, letIn(o.file()))
	case errors.As(err, &dns):
		return fmt.Errorf("%w: cannot find %s (%w): correct the host in NATS_URL", ErrUnreachable, at, err)
	}
	return fmt.Errorf("%w at %s (%w): start it, correct NATS_URL, or unset NATS_URL for the gateway to run its own", ErrUnreachable, at, err)
}
