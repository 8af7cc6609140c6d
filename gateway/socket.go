package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
)

// fromSystemd is the SLUICE_LISTEN of a gateway that does not start without a socket of systemd's.
const fromSystemd = "systemd"

// inherited is the socket that systemd has opened for this process, or nil where it has not. A process that is given
// one has to accept from it, whatever SLUICE_LISTEN says: who connects to it would otherwise wait for nobody.
func inherited(required bool) (net.Listener, error) {
	all, err := activation.Listeners()
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot use the socket from systemd: %w", err)
	case len(all) == 0 && required:
		return nil, errors.New("SLUICE_LISTEN=systemd: systemd passed no socket: start sluice-gateway.socket, or set SLUICE_LISTEN to host:port")
	case len(all) == 0:
		return nil, nil
	case len(all) > 1 || all[0] == nil:
		return nil, fmt.Errorf("systemd passed %d sockets, and the gateway takes one stream socket: give its socket unit one ListenStream=", len(all))
	}
	return all[0], nil
}

// listenUnix opens a socket in the file system. One that a dead process left behind is replaced.
func listenUnix(path string, mode os.FileMode) (net.Listener, error) {
	l, err := net.Listen("unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		if err := removeStale(path); err != nil {
			return nil, err
		}
		l, err = net.Listen("unix", path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot listen on unix:%s (SLUICE_LISTEN): %w: name a file of at most 107 characters in a folder that this user may write to", path, err)
	}
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot set the mode of unix:%s (SLUICE_LISTEN_MODE): %w", path, err), l.Close())
	}
	return l, nil
}

// staleWithin bounds the look at who listens on a socket: a process that is there and hangs is one that lives.
const staleWithin = time.Second

// removeStale removes a socket on which nobody listens any more.
func removeStale(path string) error {
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("cannot listen on unix:%s (SLUICE_LISTEN): a file that is no socket has this name: remove it, or choose another name", path)
	}
	conn, err := net.DialTimeout("unix", path, staleWithin)
	if err == nil {
		_ = conn.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("cannot listen on unix:%s (SLUICE_LISTEN): another process listens on it: stop that one, or choose another name", path)
	}
	return os.Remove(path)
}
