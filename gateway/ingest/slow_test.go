package ingest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// listening serves an edge on a port, with timeouts that a test can wait for.
func listening(t *testing.T, adjust func(*fasthttp.Server)) (address string) {
	t.Helper()
	e := startEdge(t)
	limits := Limits{Connections: 1000}
	server := e.Server(limits)
	adjust(server)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(e.Listener(l, limits)) })
	t.Cleanup(func() { _ = server.Shutdown(); serving.Wait() })
	return l.Addr().String()
}

// trickle sends one byte after the other until the server has had enough, and returns what the server said.
func trickle(conn net.Conn, b byte) string {
	defer conn.Close()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				_, _ = conn.Write([]byte{b}) // the server may be gone
			}
		}
	}()
	said, _ := io.ReadAll(conn) // a byte that came too late makes the end of the connection an error
	return string(said)
}

// However slowly a request comes, it ends at the read timeout, and those beside it are answered meanwhile.
func TestSlowClientsEndAndHinderNobody(t *testing.T) {
	address := listening(t, func(s *fasthttp.Server) { s.ReadTimeout = 3 * time.Second })
	const each = 150
	var said [2 * each]string
	var slow sync.WaitGroup
	var ended atomic.Int64
	for n := range said {
		begin := "POST /webhook HTTP/1.1\r\nHost: a\r\nX-Odd: "
		if n >= each {
			begin = "POST /webhook HTTP/1.1\r\nHost: a\r\nX-Zorio-Signature: " + signature.Sign(secret, nil) + "\r\nContent-Length: 60000\r\n\r\n"
		}
		conn := dial(t, address, begin)
		slow.Go(func() { said[n] = trickle(conn, 'x'); ended.Add(1) })
	}
	silent := dial(t, address, "")
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for n := range 100 {
		if got := send(t, &client, address, n); got != "200 OK" {
			t.Errorf("beside slow ones: %s", got)
		}
	}
	if n := ended.Load(); n > 0 {
		t.Errorf("the good requests took as long as %d slow ones", n)
	}
	slow.Wait()
	if silence, err := io.ReadAll(silent); err != nil || len(silence) > 0 {
		t.Errorf("a connection on which nothing came is told %q, %v", silence, err)
	}
	for n, answer := range said {
		if !strings.HasPrefix(answer, "HTTP/1.1 408 ") || !strings.HasSuffix(answer, "\r\n\r\nRequest timeout") {
			t.Fatalf("slow one %d is answered %q", n, answer)
		}
	}
}

// dial opens a connection and sends what a request begins with.
func dial(t *testing.T, address, begin string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(conn, begin); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestAnIdleConnectionEnds(t *testing.T) {
	address := listening(t, func(s *fasthttp.Server) { s.IdleTimeout = 200 * time.Millisecond })
	conn := dial(t, address, string(fill([]byte("POST /webhook HTTP/1.1\r\n{H}Content-Length: {L}\r\n\r\n{B}"), []byte(`{"event":"a"}`))))
	said, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(said), "HTTP/1.1 200 OK\r\n") || strings.Count(string(said), "HTTP/1.1") != 1 {
		t.Errorf("%q, %v", said, err)
	}
}

func send(t *testing.T, client *http.Client, address string, n int) string {
	t.Helper()
	b := fmt.Appendf(nil, `{"event":"pbx.call.hangup","n":%d}`, n)
	request, _ := http.NewRequest(http.MethodPost, "http://"+address+urlPath, bytes.NewReader(b))
	request.Header = zorio.Headers(secret, "pbx.call.hangup", fmt.Sprint(n), time.Now(), b)
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return fmt.Sprint(answer.StatusCode, " ", string(text))
}
