package ingest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// FuzzRequest sends bytes to the server as they would come from a socket. In them {H} stands for the headers that make
// the body authentic, {S} for its signature, {L} for its length, {B} for itself and {C} for itself in one chunk, so that
// what is authentic is reached too. Whatever is sent: what is published is signed to the byte, under headers that came
// once; each 200 stands for one message; and net/http, as another reader, understands the same.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		"POST /webhook HTTP/1.1\r\n{H}Content-Length: {L}\r\n\r\n{B}",
		"POST /webhook HTTP/1.1\r\n{H}Content-Length: {L}\r\n\r\n{B}POST /webhook HTTP/1.1\r\n{H}Content-Length: {L}\r\n\r\n{B}",
		"POST /webhook HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n{C}0\r\n\r\n",
		"POST /webhook HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\nTrailer: X-Zorio-Late\r\n\r\n{C}0\r\nX-Zorio-Late: 1\r\n\r\n",
		"POST /webhook HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n{C}0\r\nX-Zorio-Delivery: 1\r\n\r\n",
		"POST /webhook HTTP/1.1\r\n{H}Content-Length: {L}\r\nTransfer-Encoding: chunked\r\n\r\n{C}0\r\n\r\n",
		"POST /webhook HTTP/1.1\r\n{H}X-ZORIO-DELIVERY: other\r\nContent-Length: {L}\r\n\r\n{B}",
		"POST /webhook HTTP/1.1\r\nHost: a\r\nX-Zorio-Timestamp: 1\r\nX-Zorio-Signature: {S}\r\nContent-Length: {L}\r\n\r\n{B}",
		"POST /webhook HTTP/1.1\r\n{H}Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {L}\r\n\r\n{B}",
		"POST /webhook HTTP/1.1\r\n{H}Expect: 100-continue\r\nContent-Length: {L}\r\n\r\n{B}",
		"POST /webhook HTTP/1.0\r\n{H}Connection: keep-alive\r\nContent-Length: {L}\r\n\r\n{B}",
		"POST http://a/webhook?x=1#y HTTP/1.1\r\n{H}X-Odd: folded\r\n more\r\nContent-Length: {L}\r\n\r\n{B}",
		"POST /webhook HTTP/1.1\r\n{H}X-Zorio-Folded: a\r\n\t b\r\nContent-Length: {L}\r\n\r\n{B}",
		"GET /webhook HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
		"hello\r\n\r\n",
		"\r\nPOST /webhook HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n1;a=b\r\n{\r\n1B\r\n\"event\":\"pbx.call.hangup\"} \r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /webhook HTTP/1.1\n{H}Content-Length: {L}\r\n\r\n{B}",
		"POST /webhook HTTP/1.1\r\n{H}X-Zorio-A B: v\r\nContent-Length: {L}\r\n\r\n{B}",
	} {
		f.Add([]byte(seed), []byte(`{"event":"pbx.call.hangup"}`))
	}
	f.Add([]byte("POST /webhook HTTP/1.1\r\n{H}Content-Length: {L}\r\n\r\n{B}"), []byte("not JSON"))
	e := startEdge(f)
	server := e.Server(Limits{})
	f.Fuzz(func(t *testing.T, text, body []byte) {
		raw := fill(text, body)
		w := &wire{in: *bytes.NewReader(raw)}
		late := time.AfterFunc(10*time.Second, func() { panic(fmt.Sprintf("no end to %q", raw)) })
		_ = server.ServeConn(taken(e, w)) // says why the connection ended
		late.Stop()
		kept := e.takeKept()
		for _, m := range kept {
			checkKept(t, raw, m)
		}
		checkAnswers(t, raw, w.out.Bytes(), kept)
	})
}

// Whatever byte stands in a header of the sender's: NATS stores what is taken, as it came, and the rest is refused.
func TestWhatIsTakenCanBeStored(t *testing.T) {
	e := startEdge(t)
	server := e.Server(Limits{})
	for b := range 256 {
		for _, field := range []struct{ name, value string }{{"X-Zorio-A" + string([]byte{byte(b)}) + "b", "v"}, {"X-Zorio-A", "v" + string([]byte{byte(b)}) + "w"}, {"X-Zorio-A", string([]byte{byte(b)})}} {
			w := &wire{in: *bytes.NewReader(fill([]byte("POST /webhook HTTP/1.1\r\n{H}"+field.name+": "+field.value+"\r\nContent-Length: {L}\r\n\r\n{B}"), []byte(`{"event":"a"}`)))}
			_ = server.ServeConn(taken(e, w))
			answer, kept := w.out.String(), e.takeKept()
			switch {
			case strings.HasPrefix(answer, "HTTP/1.1 400 ") && len(kept) == 0:
			case strings.HasPrefix(answer, "HTTP/1.1 200 ") && len(kept) == 1:
				if got := kept[0].Header["X-Zorio-A"]; field.name == "X-Zorio-A" && !slices.Equal(got, []string{strings.Trim(field.value, " \t")}) {
					t.Errorf("%q: %q is stored as %q", field.name, field.value, got)
				}
			default:
				t.Errorf("%q: %q: %d stored, answered %q", field.name, field.value, len(kept), answer)
			}
		}
	}
}

func fill(text, body []byte) []byte {
	signed := signature.Sign(secret, body)
	h := fmt.Sprintf("Host: a\r\nX-Zorio-Event: pbx.call.hangup\r\nX-Zorio-Timestamp: %d\r\nX-Zorio-Delivery: id\r\nX-Zorio-Signature: %s\r\n", time.Now().Unix(), signed)
	return []byte(strings.NewReplacer("{H}", h, "{S}", signed, "{L}", strconv.Itoa(len(body)), "{B}", string(body),
		"{C}", fmt.Sprintf("%x\r\n%s\r\n", len(body), body)).Replace(string(text)))
}

func checkKept(t *testing.T, raw []byte, m *nats.Msg) {
	t.Helper()
	if m.Header.Get(zorio.HeaderSignature) != signature.Sign(secret, m.Data) {
		t.Fatalf("%q is published without a signature over it; sent was %q", m.Data, raw)
	}
	keys := map[string]bool{}
	for key, values := range m.Header {
		if len(values) != 1 || keys[strings.ToLower(key)] {
			t.Fatalf("header %s is published more than once, %q; sent was %q", key, values, raw)
		}
		keys[strings.ToLower(key)] = true
	}
}

// checkAnswers compares what was answered with what was published, and with what net/http reads in the same bytes.
func checkAnswers(t *testing.T, raw, out []byte, kept []*nats.Msg) {
	t.Helper()
	requests, answers := bufio.NewReader(bytes.NewReader(raw)), bufio.NewReader(bytes.NewReader(out))
	for readable := true; len(peek(answers)) > 0; {
		request := &http.Request{Method: http.MethodPost}
		var read []byte
		if readable {
			var err error
			if request, err = http.ReadRequest(requests); err == nil {
				read, err = io.ReadAll(request.Body)
			}
			readable = err == nil
		}
		status, text := nextAnswer(t, raw, answers, request)
		if status == http.StatusBadRequest && text == "Stale timestamp" && len(kept) > 0 && strings.HasSuffix(kept[0].Subject, ".late") {
			kept = kept[1:]
		}
		if status != http.StatusOK {
			continue
		}
		if len(kept) == 0 {
			t.Fatalf("answered 200 %s, and nothing is published; sent was %q", text, raw)
		}
		if !readable {
			t.Fatalf("published, and net/http cannot read it; sent was %q", raw)
		}
		if !bytes.Equal(kept[0].Data, read) || len(request.Trailer) > 0 {
			t.Fatalf("published is %q, and net/http reads %q and trailers %v; sent was %q", kept[0].Data, read, request.Trailer, raw)
		}
		for key, values := range request.Header {
			if strings.HasPrefix(key, zorio.HeaderPrefix) && !slices.Equal(values, kept[0].Header[key]) {
				t.Fatalf("published is %s: %q, and net/http reads %q; sent was %q", key, kept[0].Header[key], values, raw)
			}
		}
		kept = kept[1:]
	}
	if len(kept) > 0 {
		t.Fatalf("%d messages are published that no answer stands for; sent was %q", len(kept), raw)
	}
}

func peek(r *bufio.Reader) []byte { b, _ := r.Peek(1); return b }

// nextAnswer reads one answer, and past what only promises one.
func nextAnswer(t *testing.T, raw []byte, answers *bufio.Reader, to *http.Request) (status int, text string) {
	t.Helper()
	answer, err := http.ReadResponse(answers, to)
	if err != nil {
		t.Fatalf("the answer is no HTTP: %v; sent was %q", err, raw)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusContinue {
		return nextAnswer(t, raw, answers, to)
	}
	all, err := io.ReadAll(answer.Body)
	if err != nil && !bytes.Contains(raw, []byte("HEAD")) {
		t.Fatalf("the answer is cut short: %v; sent was %q", err, raw)
	}
	return answer.StatusCode, string(all)
}

// taken is a connection as the listener of an edge gives it to the server.
func taken(e *edge, conn net.Conn) net.Conn {
	c, _ := e.Listener(nil, Limits{Connections: 1}).(*bounded).enter(conn) // the first is not one too many
	return c
}

// wire is a connection whose other end has sent everything already, and reads when it is over.
type wire struct {
	in  bytes.Reader
	out bytes.Buffer
}

func (w *wire) Read(p []byte) (int, error)       { return w.in.Read(p) }
func (w *wire) Write(p []byte) (int, error)      { return w.out.Write(p) }
func (w *wire) Close() error                     { return nil }
func (w *wire) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (w *wire) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
