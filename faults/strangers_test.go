package faults

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// strangers are clients that mean no good, until they leave.
type strangers struct {
	to     string
	ctx    context.Context
	leave  context.CancelFunc
	active sync.WaitGroup
}

func (s *stage) strange() *strangers {
	who := &strangers{to: s.gateway.Address}
	who.ctx, who.leave = context.WithCancel(s.t.Context())
	s.strangers = who
	return who
}

// gone ends all of them.
func gone(s *stage) {
	s.strangers.leave()
	s.strangers.active.Wait()
}

// each does something on so many connections, from a few addresses of loopback that are not the sender's. A connection
// that ends is made again after a second.
func (s *strangers) each(count int, do func(net.Conn)) {
	for n := range count {
		s.active.Go(func() {
			from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+n%8))}}
			s.pause(time.Duration(n) * time.Second / comeIn)
			for s.ctx.Err() == nil {
				if conn, err := from.DialContext(s.ctx, "tcp", s.to); err == nil {
					stop := context.AfterFunc(s.ctx, func() { conn.Close() })
					do(conn)
					stop()
					conn.Close()
				}
				s.pause(time.Second)
			}
		})
	}
}

const comeIn = 2000 // a second

func (s *strangers) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.ctx.Done():
	}
}

// idle says nothing on so many connections.
func idle(count int) func(*stage) {
	return func(s *stage) {
		s.strange().each(count, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	}
}

// trickle sends requests on so many connections, a byte of the body a second.
func trickle(count int) func(*stage) {
	return func(s *stage) {
		who := s.strange()
		head := fmt.Sprintf("POST /webhook HTTP/1.1\r\nHost: sluice\r\nX-Zorio-Signature: %s\r\nX-Zorio-Timestamp: %d\r\nContent-Length: 60000\r\n\r\n", signature.Sign(rig.Secret, nil), time.Now().Unix())
		who.each(count, func(conn net.Conn) {
			for text := head; who.ctx.Err() == nil; text = "x" {
				if _, err := io.WriteString(conn, text); err != nil {
					return
				}
				who.pause(time.Second)
			}
		})
	}
}

// forge sends so many requests a second that somebody without the secret has signed.
func forge(rate int) func(*stage) {
	const conns = 50
	return func(s *stage) {
		who := s.strange()
		body := []byte(`{"event":"pbx.call.hangup"}`)
		request, _ := http.NewRequest(http.MethodPost, s.gateway.URL(), nil)
		request.Header = zorio.Headers("of somebody else", "pbx.call.hangup", "forged", time.Now(), body)
		var head bytes.Buffer
		_ = request.Header.Write(&head)
		text := fmt.Sprintf("POST /webhook HTTP/1.1\r\nHost: sluice\r\n%sContent-Length: %d\r\n\r\n%s", head.String(), len(body), body)
		who.each(conns, func(conn net.Conn) {
			answers := bufio.NewReader(conn)
			for who.ctx.Err() == nil {
				_, _ = io.WriteString(conn, text)
				answer, err := http.ReadResponse(answers, nil)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
				who.pause(time.Second * conns / time.Duration(rate))
			}
		})
	}
}
