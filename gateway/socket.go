package main

import (
	"errors"
	"fmt"
	"net"

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
