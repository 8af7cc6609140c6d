package main

import (
	"bytes"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/pkg/zorio"
)

const bodySize = 512 // bytes

// patience is how long an answer may take; the gateway's budget is 4 s.
const patience = 10 * time.Second

// load keeps so many connections busy for a while and returns how many deliveries were answered 200 OK. It is in
// every number, so it costs as little as it can: requests are made once, only the delivery id changes, and one
// goroutine a processor serves all of its connections.
func load(address string, conns int, d time.Duration) (int64, error) {
	return loadOf(address, conns, d, false)
}

// loadOf may send forged deliveries, each of which is to be refused.
func loadOf(address string, conns int, d time.Duration, forged bool) (int64, error) {
	var count atomic.Int64
	var all errgroup.Group
	senders := min(runtime.NumCPU(), conns)
	for i := range senders {
		s, err := newSender(address, (conns+i)/senders, forged)
		if err != nil {
			return 0, err
		}
		defer s.close()
		all.Go(func() error {
			n, err := s.run(time.Now().Add(d))
			count.Add(n)
			return err
		})
	}
	err := all.Wait()
	return count.Load(), err
}

// sender serves connections that each carry one request at a time.
type sender struct {
	poll  int
	conns []*connection
}

type connection struct {
	socket  int
	request []byte
	counter []byte // the last 12 digits of the delivery id, in request
	sent    uint64
	want    string // how an answer begins
}

func newSender(address string, conns int, forged bool) (*sender, error) {
	poll, err := syscall.EpollCreate1(0)
	if err != nil {
		return nil, err
	}
	s := &sender{poll: poll}
	for i := range conns {
		c, err := connect(address)
		if err != nil {
			return nil, err
		}
		if forged {
			forge(c.request)
			c.want = "HTTP/1.1 401 "
		}
		s.conns = append(s.conns, c)
		ready := &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(i)} // comes back as it is
		if err := syscall.EpollCtl(poll, syscall.EPOLL_CTL_ADD, c.socket, ready); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func connect(address string) (*connection, error) {
	to, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return nil, err
	}
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	if err := syscall.Connect(socket, &syscall.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}); err != nil {
		return nil, err
	}
	c := &connection{socket: socket, request: request(address), want: "HTTP/1.1 200 "}
	c.counter = counterOf(c.request)
	return c, syscall.SetsockoptInt(socket, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
}

// request is a delivery as Zorio sends it: the record of a call of its own, in a body of 512 bytes.
func request(address string) []byte {
	const event, call, signed = "pbx.cdr.created", "0d5c1f0e-5a1f-4a57-9a0e-3d1c6b6a2f11", "?sig=abc"
	body, _ := zorio.Sample(event)
	body = bytes.Replace(body, []byte(call), []byte(uuid.NewString()), 1)
	body = bytes.Replace(body, []byte(signed), []byte(signed+strings.Repeat("x", bodySize-len(body))), 1)
	text := fmt.Appendf(nil, "POST /webhook HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nContent-Length: %d\r\n", address, len(body))
	for key, values := range zorio.Headers(secret, event, uuid.NewString(), time.Now(), body) {
		text = fmt.Appendf(text, "%s: %s\r\n", key, values[0])
	}
	return append(append(text, "\r\n"...), body...)
}

// counterOf is the part of a request that counts.
func counterOf(request []byte) []byte {
	id := bytes.Index(request, []byte(zorio.HeaderDelivery+": ")) + len(zorio.HeaderDelivery+": ")
	return request[id+24 : id+36]
}

// run sends until a time and waits for the last answers.
func (s *sender) run(end time.Time) (answered int64, err error) {
	for _, c := range s.conns {
		if err := c.send(); err != nil {
			return 0, err
		}
	}
	ready, open := make([]syscall.EpollEvent, len(s.conns)), len(s.conns)
	for open > 0 {
		n, err := syscall.EpollWait(s.poll, ready, int(patience.Milliseconds()))
		switch {
		case err == syscall.EINTR: //nolint:errorlint // a system call's own
			continue
		case err != nil:
			return answered, err
		case n == 0:
			return answered, fmt.Errorf("no answer within %s", patience)
		}
		over := time.Now().After(end)
		for _, e := range ready[:n] {
			c := s.conns[e.Fd]
			if err := c.receive(); err != nil {
				return answered, err
			}
			answered++
			if over {
				open--
			} else if err := c.send(); err != nil {
				return answered, err
			}
		}
	}
	return answered, nil
}

// count makes the request one of another delivery.
func (c *connection) count() {
	c.sent++
	for i, left := len(c.counter)-1, c.sent; i >= 0; i-- {
		c.counter[i] = byte('0' + left%10)
		left /= 10
	}
}

func (c *connection) send() error {
	c.count()
	n, err := syscall.Write(c.socket, c.request)
	if err == nil && n < len(c.request) {
		err = fmt.Errorf("the server took %d of %d bytes", n, len(c.request))
	}
	return err
}

// receive takes an answer, which comes in one piece: it is short, and all servers write it at once.
func (c *connection) receive() error {
	var buffer [1024]byte
	n, err := syscall.Read(c.socket, buffer[:])
	if err != nil {
		return err
	}
	if answer := string(buffer[:n]); !strings.HasPrefix(answer, c.want) || c.want == "HTTP/1.1 200 " && !strings.HasSuffix(answer, "\r\n\r\nOK") {
		return fmt.Errorf("a delivery was answered %q", answer)
	}
	return nil
}

func (s *sender) close() {
	for _, c := range s.conns {
		_ = syscall.Close(c.socket)
	}
	_ = syscall.Close(s.poll)
}
