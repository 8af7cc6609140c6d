package seen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/sluicehq/sluice/internal/secure"
)

// dialer makes connections with TLS, to whatever server of a Cluster or behind Sentinels, and reads the files for each.
type dialer struct {
	files   secure.Files
	anybody bool                  // ?skip_verify=true in the URL: no look at the server's certificate
	failed  atomic.Pointer[error] // why the last handshake was none; nil after one that was
}

// tlsTimeout is longer than a request waits: the connection is made without it, for those that follow.
const tlsTimeout = time.Second

func (d *dialer) secured(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, tlsTimeout)
	defer cancel()
	config, err := d.files.Config()
	if err != nil {
		d.failed.Store(&err)
		return nil, err
	}
	config.InsecureSkipVerify = d.anybody
	config.ServerName, _, _ = net.SplitHostPort(address)
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		d.failed.Store(nil) // no handshake
		return nil, err
	}
	return d.handshake(ctx, tls.Client(conn, config))
}

func (d *dialer) handshake(ctx context.Context, conn *tls.Conn) (net.Conn, error) {
	err := conn.HandshakeContext(ctx)
	if err == nil {
		d.failed.Store(nil)
		return conn, nil
	}
	_ = conn.Close() // of use to nobody
	if errors.Is(err, context.DeadlineExceeded) {
		err = &secure.Error{Cause: err, Remedy: "Redis did not answer the TLS handshake: if this port takes no TLS, use redis:// in REDIS_URL"}
	}
	d.failed.Store(&err)
	return nil, err
}

// explain adds the remedy to an error that TLS is the cause of. Who did not wait for the end of a handshake is told how
// the last one ended.
func (d *dialer) explain(err error) error {
	if failed := d.failed.Load(); failed != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)) {
		err = fmt.Errorf("%w: %w", err, *failed)
	}
	return d.files.Explain(err)
}
