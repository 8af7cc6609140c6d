// Package socket is about addresses to listen on: who reaches them, and those that are sockets in the file system, such as
// unix:/run/sluice/admin.sock.
package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"
)

const scheme = "unix:"

// Cut is the path of the socket that an address names; not ok for an address of another kind.
func Cut(address string) (path string, ok bool) { return strings.CutPrefix(address, scheme) }

// IsLocal reports whether only this machine reaches who listens on an address, of whatever kind; nobody reaches an empty one.
func IsLocal(address string) bool {
	if _, isSocket := Cut(address); isSocket || address == "" {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	ip, wrong := netip.ParseAddr(host)
	return err == nil && (host == "localhost" || wrong == nil && ip.IsLoopback())
}

// Listen opens a socket with this mode. One that a dead process left behind is replaced. Errors name the setting that
// the path comes from, and the remedy.
func Listen(setting, path string, mode os.FileMode) (net.Listener, error) {
	l, err := net.Listen("unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err := removeStale(setting, path); err != nil {
			return nil, err
		}
		l, err = net.Listen("unix", path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on unix:%s (%s): %w: name a file of at most 107 characters in a folder that this user may write to", path, setting, err)
	}
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot set the mode of unix:%s (%s): %w", path, setting, err), l.Close())
	}
	return l, nil
}

// staleWithin bounds the look at who listens on a socket: a process that is there and hangs is one that lives.
const staleWithin = time.Second

// removeStale removes a socket on which nobody listens any more.
func removeStale(setting, path string) error {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("cannot listen on unix:%s (%s): a file that is no socket has this name: remove it, or choose another name", path, setting)
	}
	conn, err := net.DialTimeout("unix", path, staleWithin)
	if err == nil {
		_ = conn.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("cannot listen on unix:%s (%s): another process listens on it: stop that one, or choose another name", path, setting)
	}
	return os.Remove(path)
}

// Transport carries HTTP over the socket of that path, whatever host the URL names.
func Transport(path string) *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
}
