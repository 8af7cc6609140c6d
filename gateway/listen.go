package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// listener survives what passes: without it one moment without free file descriptors would end the server.
type listener struct{ net.Listener }

const acceptPause = 50 * time.Millisecond

func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ECONNABORTED) {
			time.Sleep(acceptPause)
			continue
		}
		return conn, err
	}
}

func listen(s *Settings) (*listener, error) {
	l, err := net.Listen("tcp", s.Listen)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("cannot listen on %s (SLUICE_LISTEN): %w: stop what is there, or choose another port", s.Listen, err)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("cannot listen on %s (SLUICE_LISTEN): %w: choose a port above 1023, or grant CAP_NET_BIND_SERVICE", s.Listen, err)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s (SLUICE_LISTEN): %w: use host:port, or :port for every address", s.Listen, err)
	}
	return &listener{l}, nil
}

// closed is the error of closing a listener that the server may have closed already.
func closed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
