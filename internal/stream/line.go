package stream

import (
	"errors"
	"net"
	"os"
	"time"
)

// Timings of a connection. The client pings twice a second, so that a server which says nothing for as long as silence
// is not there any more, whatever the kernel still takes for it.
const (
	dialTimeout  = 2 * time.Second
	pingInterval = 500 * time.Millisecond
	silence      = 1500 * time.Millisecond
	pingsOut     = 8 // for a server in this process, which has no line
	retryWait    = 100 * time.Millisecond

	inProcessWait = 5 * time.Millisecond // asking the embedded server costs nothing
)

// dialer makes connections that end by themselves when the server falls silent. The client's own way takes its lock,
// which a write into a full socket holds.
type dialer struct {
	net.Dialer
	before func()
}

// Dial implements [nats.CustomDialer].
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	d.before()
	conn, err := d.Dialer.Dial(network, address)
	if err != nil {
		return nil, err
	}
	return &line{conn}, nil
}

// line is a connection whose reads bound the silence of the other side. When it is over the line closes, which also
// ends a write that hangs.
type line struct{ net.Conn }

// listens is in how many parts the silence is waited for. A process that was stopped itself finds one of them over
// when it goes on, and not all.
const listens = 3

// Read implements [net.Conn].
func (l *line) Read(p []byte) (n int, err error) {
	for range listens {
		if err := l.SetReadDeadline(time.Now().Add(silence / listens)); err != nil {
			return 0, err
		}
		if n, err = l.Conn.Read(p); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
	}
	_ = l.Close()
	return 0, errSilent
}

var errSilent = errors.New("NATS has sent nothing for " + silence.String() + ", and did not answer a ping")
