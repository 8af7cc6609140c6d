package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicehq/sluice/internal/socket"
)

// listener survives what passes: without it one moment without free file descriptors would end the server.
type listener struct {
	net.Listener
	shared bool // others may listen on the same port
}

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

// listen opens what SLUICE_LISTEN names, or takes the socket that systemd hands over.
func listen(s *Settings) (*listener, error) {
	l, err := inherited(s.Listen == fromSystemd)
	switch path, isUnix := socket.Cut(s.Listen); {
	case l != nil || err != nil:
		return &listener{Listener: l}, err
	case isUnix:
		l, err = socket.Listen("SLUICE_LISTEN", path, s.mode())
	default:
		l, err = listenTCP("SLUICE_LISTEN", s.Listen, s.ReusePort)
	}
	return &listener{Listener: l, shared: s.ReusePort}, err
}

func listenTCP(setting, address string, shared bool) (net.Listener, error) {
	var c net.ListenConfig
	if shared {
		c.Control = reusePort
		c.SetMultipathTCP(false) // it takes no filter, see leave
	}
	l, err := c.Listen(context.Background(), "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && shared:
		return nil, fmt.Errorf("cannot listen on %s (%s): %w: stop what is there, or start it too with SLUICE_LISTEN_REUSEPORT=true and by the same user", address, setting, err)
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("cannot listen on %s (%s): %w: stop what is there, or choose another port", address, setting, err)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("cannot listen on %s (%s): %w: choose a port above 1023, or grant CAP_NET_BIND_SERVICE", address, setting, err)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s (%s): %w: use host:port, or :port for every address", address, setting, err)
	}
	return l, nil
}

func reusePort(_, _ string, c syscall.RawConn) error {
	return control(c, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
}

// leave lets whoever shares the port have what connects from now on. When a socket is closed the kernel resets what was
// connected to it and not accepted yet; so it first stops the arrival of more, and what is on its way is accepted. Who is
// not let in here asks again after a second, as TCP does, and finds the others.
func (l *listener) leave() error {
	raw, err := l.Listener.(*net.TCPListener).SyscallConn()
	if err != nil {
		return err
	}
	return control(raw, func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(noSYN)), Filter: &noSYN[0]})
	})
}

// noSYN is a program of the kernel's packet filter that drops what opens a TCP connection and passes everything else.
var noSYN = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 13},                     // the flags in the TCP header
	{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: synFlag | ackFlag},     //
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: synFlag, Jt: 0, Jf: 1}, // a SYN alone?
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},                                    // drop
	{Code: unix.BPF_RET | unix.BPF_K, K: 1<<32 - 1},                            // pass all of it
}

// Flags of TCP, RFC 9293.
const (
	synFlag = 0x02
	ackFlag = 0x10
)

func control(c syscall.RawConn, do func(fd int) error) error {
	var failed error
	if err := c.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil {
		return err
	}
	return failed
}

// closed is the error of closing a listener that the server may have closed already.
func closed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
