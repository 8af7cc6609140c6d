package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/worker/workertest"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// The four answers, in the contract's order.
func TestContract(t *testing.T) {
	g := startGateway(t)
	known := body("pbx.call.hangup", 0)
	if got := g.send("pbx.call.hangup", "known", known); got != "200 OK" {
		t.Fatalf("the first delivery: %s", got)
	}
	at := func(d time.Duration) string { return strconv.FormatInt(time.Now().Add(d).Unix(), 10) }
	for n, c := range []struct {
		name string
		edit func(h http.Header, b *[]byte)
		want string
	}{
		{"as it should be", func(http.Header, *[]byte) {}, "200 OK"},
		{"290 s old", func(h http.Header, _ *[]byte) { h.Set(zorio.HeaderTimestamp, at(-290*time.Second)) }, "200 OK"},
		{"298 s ahead", func(h http.Header, _ *[]byte) { h.Set(zorio.HeaderTimestamp, at(298*time.Second)) }, "200 OK"},
		{"302 s old", func(h http.Header, _ *[]byte) { h.Set(zorio.HeaderTimestamp, at(-302*time.Second)) }, "400 Stale timestamp"},
		{"310 s ahead", func(h http.Header, _ *[]byte) { h.Set(zorio.HeaderTimestamp, at(310*time.Second)) }, "400 Stale timestamp"},
		{"no timestamp", func(h http.Header, _ *[]byte) { h.Del(zorio.HeaderTimestamp) }, "400 Stale timestamp"},
		{"timestamp 0", func(h http.Header, _ *[]byte) { h.Set(zorio.HeaderTimestamp, "0") }, "400 Stale timestamp"},
		{"timestamp is text", func(h http.Header, _ *[]byte) { h.Set(zorio.HeaderTimestamp, "now") }, "400 Stale timestamp"},
		{"timestamp in ms", func(h http.Header, _ *[]byte) { h.Set(zorio.HeaderTimestamp, at(0)+"000") }, "400 Stale timestamp"},
		{"timestamp with a fraction", func(h http.Header, _ *[]byte) { h.Set(zorio.HeaderTimestamp, at(0)+".5") }, "400 Stale timestamp"},
		{"timestamp is negative", func(h http.Header, _ *[]byte) { h.Set(zorio.HeaderTimestamp, "-"+at(0)) }, "400 Stale timestamp"},
		{"timestamp is huge", func(h http.Header, _ *[]byte) { h.Set(zorio.HeaderTimestamp, strings.Repeat("9", 100)) }, "400 Stale timestamp"},
		{"stale and unsigned: stale comes first", func(h http.Header, _ *[]byte) { h.Del(zorio.HeaderTimestamp); h.Del(zorio.HeaderSignature) }, "400 Stale timestamp"},
		{"no signature", func(h http.Header, _ *[]byte) { h.Del(zorio.HeaderSignature) }, "401 Invalid signature"},
		{"signature without scheme", func(h http.Header, b *[]byte) {
			h.Set(zorio.HeaderSignature, signature.Hex(signature.Sign(secret, *b)))
		}, "401 Invalid signature"},
		{"signature cut short", func(h http.Header, b *[]byte) { h.Set(zorio.HeaderSignature, signature.Sign(secret, *b)[:40]) }, "401 Invalid signature"},
		{"signature of another secret", func(h http.Header, b *[]byte) { h.Set(zorio.HeaderSignature, signature.Sign("another secret", *b)) }, "401 Invalid signature"},
		{"one bit of the body", func(_ http.Header, b *[]byte) { (*b)[10] ^= 1 }, "401 Invalid signature"},
		{"a byte more", func(_ http.Header, b *[]byte) { *b = append(*b, '\n') }, "401 Invalid signature"},
		{"unsigned, of a known id", func(h http.Header, _ *[]byte) { h.Set(zorio.HeaderDelivery, "known"); h.Del(zorio.HeaderSignature) }, "401 Invalid signature"},
		{"the same again", func(h http.Header, b *[]byte) {
			*b = known
			maps.Copy(h, zorio.Headers(secret, "pbx.call.hangup", "known", time.Now(), known))
		}, "200 Duplicate"},
		{"another body under a known id", func(h http.Header, _ *[]byte) { h.Set(zorio.HeaderDelivery, "known") }, "200 OK"},
		{"no delivery id", func(h http.Header, _ *[]byte) { h.Del(zorio.HeaderDelivery) }, "200 OK"},
		{"no delivery id, another body", func(h http.Header, _ *[]byte) { h.Del(zorio.HeaderDelivery) }, "200 OK"},
		{"a delivery id of 200 bytes", func(h http.Header, _ *[]byte) { h.Set(zorio.HeaderDelivery, strings.Repeat("x", 200)) }, "200 OK"},
		{"another event in the header", func(h http.Header, _ *[]byte) { h.Set(zorio.HeaderEvent, "pbx.>") }, "200 OK"},
		{"no content type", func(h http.Header, _ *[]byte) { h.Del("Content-Type") }, "200 OK"},
		{"lower-case header names", func(h http.Header, _ *[]byte) {
			for key, values := range maps.Clone(h) {
				delete(h, key)
				h[strings.ToLower(key)] = values
			}
		}, "200 OK"},
	} {
		b := body("pbx.call.hangup", n+1)
		h := zorio.Headers(secret, "pbx.call.hangup", fmt.Sprint("delivery-", n), time.Now(), b)
		c.edit(h, &b)
		if got := g.post(h, b); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestAnEventIsStoredAsItCame(t *testing.T) {
	g := startGateway(t)
	sample, _ := zorio.Sample("telesales.lead.updated")
	h := zorio.Headers(secret, "something.else", "id-1", time.Now(), sample)
	h.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	h.Set("Authorization", "not ours to keep")
	if got := g.post(h, sample); got != "200 OK" {
		t.Fatal(got)
	}
	m := g.last("EVENTS", "events.zorio.telesales.lead.updated")
	if !bytes.Equal(m.Data, sample) {
		t.Errorf("stored %s", m.Data)
	}
	digits := signature.Hex(signature.Sign(secret, sample))
	for key, want := range map[string]string{
		"Nats-Msg-Id": "id-1/" + digits[:16], "Sluice-Source": "zorio", "traceparent": h.Get("Traceparent"),
		zorio.HeaderEvent: "something.else", zorio.HeaderDelivery: "id-1", zorio.HeaderSignature: h.Get(zorio.HeaderSignature),
		zorio.HeaderTimestamp: h.Get(zorio.HeaderTimestamp), "Authorization": "",
	} {
		if got := m.Header.Get(key); got != want {
			t.Errorf("header %s: %q, want %q", key, got, want)
		}
	}
	if received, err := time.Parse(time.RFC3339Nano, m.Header.Get("Sluice-Received")); err != nil || time.Since(received) > time.Minute || received.Location() != time.UTC {
		t.Errorf("received %s: %v", received, err)
	}
}

func TestAuthenticButNotRoutableGoesToQuarantine(t *testing.T) {
	g := startGateway(t)
	for n, b := range []string{"", "not JSON", "[]", "{}", `{"event":7}`, `{"event":""}`, `{"event":"a..b"}`, `{"event":"pbx.>"}`, `{"event":"a b"}`, `{"event":"a","event":"b"}`,
		`{"event":"a"} more`, `{"event":"a"`, `{"Event":"a"}`, `{"event":"` + strings.Repeat("x", 129) + `"}`, strings.Repeat("[", 100_000), "\x00\xff"} {
		if got := g.send("x", fmt.Sprint("q", n), []byte(b)); got != "200 OK" {
			t.Errorf("%.60q: %s", b, got)
		}
		m := g.last("QUARANTINE", "quarantine.zorio.unroutable")
		if !bytes.Equal(m.Data, []byte(b)) || m.Header.Get(zorio.HeaderDelivery) != fmt.Sprint("q", n) {
			t.Errorf("%.60q: in quarantine is %.60q", b, m.Data)
		}
	}
	if n := g.count("EVENTS"); n != 0 {
		t.Errorf("%d events", n)
	}
	if !g.metric(`sluice_quarantined_total{reason="unroutable"} 16`) {
		t.Error("not counted")
	}
}

func TestLateDeliveriesAreKept(t *testing.T) {
	late := func(age time.Duration) (http.Header, []byte) {
		b := body("pbx.call.hangup", int(age))
		return zorio.Headers(secret, "pbx.call.hangup", fmt.Sprint(age), time.Now().Add(-age), b), b
	}
	g := startGateway(t)
	h, b := late(36 * time.Minute) // the sender's fourth attempt with its first timestamp
	for range 2 {
		if got := g.post(h, b); got != "400 Stale timestamp" {
			t.Error(got)
		}
	}
	if n := g.count("QUARANTINE"); n != 1 || !bytes.Equal(g.last("QUARANTINE", "quarantine.zorio.late").Data, b) {
		t.Errorf("%d in quarantine", n)
	}

	g = startGateway(t, "SLUICE_LATE=accept")
	for age, want := range map[time.Duration]string{36 * time.Minute: "200 OK", 46 * time.Minute: "400 Stale timestamp", -10 * time.Minute: "400 Stale timestamp"} {
		h, b := late(age)
		if got := g.post(h, b); got != want {
			t.Errorf("%s old: %s, want %s", age, got, want)
		}
	}
	if events, kept := g.count("EVENTS"), g.count("QUARANTINE"); events != 1 || kept != 2 {
		t.Errorf("%d events, %d in quarantine", events, kept)
	}
}

func TestIdentityOfTheBodyAlone(t *testing.T) {
	g := startGateway(t, "SLUICE_IDENTITY=body")
	b := body("pbx.call.hangup", 1)
	for delivery, want := range []string{"200 OK", "200 Duplicate", "200 Duplicate"} {
		if got := g.send("x", fmt.Sprint(delivery), b); got != want {
			t.Errorf("delivery %d: %s, want %s", delivery, got, want)
		}
	}
}

func TestSecretsAreRotatedWithoutARestart(t *testing.T) {
	file := t.TempDir() + "/secret"
	write(t, file, secret+"\n")
	g := startGateway(t, "ZORIO_WEBHOOK_SECRET=", "ZORIO_WEBHOOK_SECRET_FILE="+file)
	signed := func(secret string) string {
		b := body("pbx.call.hangup", int(time.Now().UnixNano()))
		return g.post(zorio.Headers(secret, "pbx.call.hangup", rand.Text(), time.Now(), b), b)
	}
	const next = "the-next-secret-of-this-webhook!"
	if a, b := signed(secret), signed(next); a != "200 OK" || b != "401 Invalid signature" {
		t.Fatalf("%s, %s", a, b)
	}
	write(t, file, next+","+secret)
	g.Signal(syscall.SIGHUP)
	g.WaitFor("read the secrets again", 30*time.Second)
	if a, b := signed(secret), signed(next); a != "200 OK" || b != "200 OK" {
		t.Errorf("while rotating: %s, %s", a, b)
	}
	counts := func(secret string, n int) bool {
		return g.metric(fmt.Sprintf(`sluice_secret_matches_total{secret=%q} %d`, signature.ID(secret), n))
	}
	if !counts(secret, 2) || !counts(next, 1) {
		t.Error("which secret matched is not counted by the secret, wherever it stands")
	}
	write(t, file, secret)
	g.Signal(syscall.SIGHUP)
	rig.Eventually(t, 30*time.Second, "nothing is told of a secret that is not there any more", func() bool { return !g.metric(signature.ID(next)) })
	if !counts(secret, 2) {
		t.Error("the numbers of the secret that stayed are gone")
	}
	write(t, file, "short")
	g.Signal(syscall.SIGHUP)
	g.WaitFor("keeping the secrets as they were", 30*time.Second)
	if got := signed(secret); got != "200 OK" {
		t.Errorf("after a bad file: %s", got)
	}
	g.WaitFor("secret 1 has 5 characters, at least 16 are needed", 30*time.Second)
	rig.Eventually(t, 20*time.Second, "/readyz says what a bad file would do", func() bool {
		r, code := g.readiness()
		return r.Status == "degraded" && code == http.StatusOK && strings.Contains(fmt.Sprint(r), "a restart would fail")
	})
	write(t, file, secret)
	g.Signal(syscall.SIGHUP)
	rig.Eventually(t, 30*time.Second, "/readyz is well again", func() bool { r, _ := g.readiness(); return !strings.Contains(fmt.Sprint(r), "a restart would fail") })
	if strings.Contains(g.Output(), next) || strings.Contains(g.Output(), secret) {
		t.Error("a secret is in the log")
	}
}

// What a client library would tidy, sent as bytes.
func TestRequestHygiene(t *testing.T) {
	g := startGateway(t, "SLUICE_MAX_BODY=64KiB")
	n := 0
	for _, c := range []struct{ name, request, want string }{
		{"as it should be", "POST /webhook HTTP/1.1\r\n{H}Content-Length: {L}\r\n\r\n{B}", "200 OK"},
		{"chunked", "POST /webhook HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n{C}0\r\n\r\n", "200 OK"},
		{"HTTP/1.0", "POST /webhook HTTP/1.0\r\n{H}Content-Length: {L}\r\n\r\n{B}", "200 OK"},
		{"multipart", "POST /webhook HTTP/1.1\r\n{H}Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {L}\r\n\r\n{B}", "200 OK"},
		{"gzip is stored as it came", "POST /webhook HTTP/1.1\r\n{H}Content-Encoding: gzip\r\nContent-Length: {L}\r\n\r\n{B}", "200 OK"},
		{"with a query", "POST /webhook?x=1 HTTP/1.1\r\n{H}Content-Length: {L}\r\n\r\n{B}", "200 OK"},
		{"a signature twice", "POST /webhook HTTP/1.1\r\n{H}X-Zorio-Signature: sha256=00\r\nContent-Length: {L}\r\n\r\n{B}", "400 Bad request"},
		{"a delivery id twice, once in capitals", "POST /webhook HTTP/1.1\r\n{H}X-ZORIO-DELIVERY: other\r\nContent-Length: {L}\r\n\r\n{B}", "400 Bad request"},
		{"a trailer", "POST /webhook HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\nTrailer: X-Zorio-Late\r\n\r\n{C}0\r\nX-Zorio-Late: 1\r\n\r\n", "400 Bad request"},
		{"a trailer that was not announced", "POST /webhook HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n{C}0\r\nX-Zorio-Late: 1\r\n\r\n", "400 Bad request"},
		{"two lengths", "POST /webhook HTTP/1.1\r\n{H}Content-Length: {L}\r\nTransfer-Encoding: chunked\r\n\r\n{C}0\r\n\r\n", "400 Bad request"},
		{"two content lengths", "POST /webhook HTTP/1.1\r\n{H}Content-Length: {L}\r\nContent-Length: 3\r\n\r\n{B}", "400 Bad request"},
		{"more headers of the sender's than are kept", "POST /webhook HTTP/1.1\r\n{H}" + manyHeaders(13) + "Content-Length: {L}\r\n\r\n{B}", "400 Bad request"},
		{"as many as are kept", "POST /webhook HTTP/1.1\r\n{H}" + manyHeaders(12) + "Content-Length: {L}\r\n\r\n{B}", "200 OK"},
		{"a transfer encoding that is none", "POST /webhook HTTP/1.1\r\n{H}Transfer-Encoding: x\r\n\r\n{B}", "400 Bad request"},
		{"no host", "POST /webhook HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "400 Bad request"},
		{"a body that is promised and too large", "POST /webhook HTTP/1.1\r\n{H}Expect: 100-continue\r\nContent-Length: 70000\r\n\r\n", "413 Body too large"},
		{"a NUL in a header", "POST /webhook HTTP/1.1\r\n{H}X-Odd: a\x00b\r\nContent-Length: {L}\r\n\r\n{B}", "400 Bad request"},
		{"no HTTP", "hello\r\n\r\n", "400 Bad request"},
		{"too large", "POST /webhook HTTP/1.1\r\n{H}Content-Length: 70000\r\n\r\n", "413 Body too large"},
		{"too large, chunked", "POST /webhook HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n11170\r\n" + strings.Repeat("x", 70000) + "\r\n0\r\n\r\n", "413 Body too large"},
		{"headers too large", "POST /webhook HTTP/1.1\r\n{H}X-Odd: " + strings.Repeat("x", 20000) + "\r\nContent-Length: {L}\r\n\r\n{B}", "431 Headers too large"},
		{"GET", "GET /webhook HTTP/1.1\r\n{H}\r\n", "405 Method not allowed"},
		{"another path", "POST /other HTTP/1.1\r\n{H}Content-Length: {L}\r\n\r\n{B}", "404 Not found"},
		{"the root", "GET / HTTP/1.1\r\n{H}\r\n", "404 Not found"},
		{"a header that goes on in the next line", "POST /webhook HTTP/1.1\r\n{H}X-Odd: a\r\n b\r\nContent-Length: {L}\r\n\r\n{B}", "400 Bad request"},
		{"the encoding in the next line", "POST /webhook HTTP/1.1\r\n{H}Transfer-Encoding:\r\n chunked\r\n\r\n{C}0\r\n\r\n", "400 Bad request"},
		{"an encoding that goes on in the next line", "POST /webhook HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\t\r\n\r\n{C}0\r\n\r\n", "400 Bad request"},
		{"a line that ends in LF alone", "POST /webhook HTTP/1.1\r\n{H}X-Odd: a\nContent-Length: {L}\r\n\r\n{B}", "400 Bad request"},
		{"a request line that ends in LF alone", "POST /webhook HTTP/1.1\n{H}Content-Length: {L}\r\n\r\n{B}", "400 Bad request"},
		{"nothing but LF", "POST /webhook HTTP/1.1\nHost: a\n\n", "400 Bad request"},
		{"a head that ends in LF alone", "POST /webhook HTTP/1.1\r\n{H}Content-Length: {L}\r\n\n{B}", "400 Bad request"},
		{"a space in a name", "POST /webhook HTTP/1.1\r\n{H}X-Odd Name: a\r\nContent-Length: {L}\r\n\r\n{B}", "400 Bad request"},
		{"a space in a name of the sender's", "POST /webhook HTTP/1.1\r\n{H}X-Zorio-A B: v\r\nContent-Length: {L}\r\n\r\n{B}", "400 Bad request"},
		{"a space behind a name", "POST /webhook HTTP/1.1\r\n{H}Content-Length : {L}\r\n\r\n{B}", "400 Bad request"},
		{"HTTP/2.0", "POST /webhook HTTP/2.0\r\n{H}Content-Length: {L}\r\n\r\n{B}", "400 Bad request"},
		{"HTTP/1.2", "POST /webhook HTTP/1.2\r\n{H}Content-Length: {L}\r\n\r\n{B}", "400 Bad request"},
		{"HTTP/0.9", "POST /webhook HTTP/0.9\r\n{H}Content-Length: {L}\r\n\r\n{B}", "400 Bad request"},
		{"no version", "POST /webhook\r\n{H}Content-Length: {L}\r\n\r\n{B}", "400 Bad request"},
		{"the encoding identity", "POST /webhook HTTP/1.1\r\n{H}Transfer-Encoding: identity\r\nContent-Length: {L}\r\n\r\n{B}", "400 Bad request"},
		{"the encoding chunked, twice", "POST /webhook HTTP/1.1\r\n{H}Transfer-Encoding: chunked, chunked\r\n\r\n{C}0\r\n\r\n", "400 Bad request"},
		{"chunked in HTTP/1.0", "POST /webhook HTTP/1.0\r\n{H}Transfer-Encoding: chunked\r\n\r\n{C}0\r\n\r\n", "400 Bad request"},
		{"a signed length", "POST /webhook HTTP/1.1\r\n{H}Content-Length: +{L}\r\n\r\n{B}", "400 Bad request"},
		{"a chunk extension of a few bytes", "POST /webhook HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n{X};a=b\r\n{B}\r\n0;c\r\n\r\n", "200 OK"},
		{"a chunk extension of many bytes", "POST /webhook HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n{X};a=" + strings.Repeat("b", 100) + "\r\n{B}\r\n0\r\n\r\n", "400 Bad request"},
		{"a chunk extension of 100 KB", "POST /webhook HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n{X};a=" + strings.Repeat("b", 100_000) + "\r\n{B}\r\n0\r\n\r\n", "400 Bad request"},
		{"a chunk's line that ends in LF alone", "POST /webhook HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n{X}\n{B}\r\n0\r\n\r\n", "400 Bad request"},
		{"a chunk that ends in LF alone", "POST /webhook HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n{X}\r\n{B}\n0\r\n\r\n", "400 Bad request"},
		{"a chunk with a space behind its size", "POST /webhook HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n{X} \r\n{B}\r\n0\r\n\r\n", "400 Bad request"},
		{"a chunk longer than its size", "POST /webhook HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n1\r\n{B}\r\n0\r\n\r\n", "400 Bad request"},
		{"a chunk of a huge size", "POST /webhook HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{B}\r\n0\r\n\r\n", "400 Bad request"},
		{"its own URI", "POST http://sluice/webhook HTTP/1.1\r\n{H}Content-Length: {L}\r\n\r\n{B}", "200 OK"},
		{"the URI of another host", "POST http://elsewhere/webhook HTTP/1.1\r\n{H}Content-Length: {L}\r\n\r\n{B}", "400 Bad request"},
		{"the URI of somebody at its host", "POST http://a@sluice/webhook HTTP/1.1\r\n{H}Content-Length: {L}\r\n\r\n{B}", "400 Bad request"},
		{"a URI of another scheme", "POST ftp://sluice/webhook HTTP/1.1\r\n{H}Content-Length: {L}\r\n\r\n{B}", "400 Bad request"},
		{"two slashes", "POST //webhook HTTP/1.1\r\n{H}Content-Length: {L}\r\n\r\n{B}", "404 Not found"},
		{"a letter in hex", "POST /%77ebhook HTTP/1.1\r\n{H}Content-Length: {L}\r\n\r\n{B}", "404 Not found"},
		{"a way round", "POST /a/../webhook HTTP/1.1\r\n{H}Content-Length: {L}\r\n\r\n{B}", "404 Not found"},
		{"a slash more", "POST /webhook/ HTTP/1.1\r\n{H}Content-Length: {L}\r\n\r\n{B}", "404 Not found"},
		{"an expectation that is unknown", "POST /webhook HTTP/1.1\r\n{H}Expect: a-miracle\r\nContent-Length: {L}\r\n\r\n{B}", "417 Expectation failed"},
		{"an expectation that is unknown before one that is not", "POST /webhook HTTP/1.1\r\n{H}Expect: a-miracle\r\nExpect: 100-continue\r\nContent-Length: {L}\r\n\r\n{B}", "417 Expectation failed"},
		{"an expectation in HTTP/1.0, which has none", "POST /webhook HTTP/1.0\r\n{H}Expect: a-miracle\r\nContent-Length: {L}\r\n\r\n{B}", "200 OK"},
		{"100 is not said to another path", "POST /other HTTP/1.1\r\n{H}Expect: 100-continue\r\nContent-Length: {L}\r\n\r\n", "404 Not found"},
		{"100 is not said to another method", "PUT /webhook HTTP/1.1\r\n{H}Expect: 100-continue\r\nContent-Length: {L}\r\n\r\n", "405 Method not allowed"},
		{"100 is not said without a signature", "POST /webhook HTTP/1.1\r\nHost: sluice\r\nExpect: 100-continue\r\nContent-Length: {L}\r\n\r\n", "400 Stale timestamp"},
		{"nor to a head that is ambiguous", "POST /webhook HTTP/1.1\r\n{H}X-Zorio-Delivery: 2\r\nExpect: 100-continue\r\nContent-Length: {L}\r\n\r\n", "400 Bad request"},
		{"a wrong path, and no body yet", "POST /other HTTP/1.1\r\n{H}Content-Length: 1000\r\n\r\n", "404 Not found"},
		{"no signature, and no body yet", "POST /webhook HTTP/1.1\r\nHost: sluice\r\nContent-Length: 1000\r\n\r\n", "400 Stale timestamp"},
	} {
		n++
		b := string(body("pbx.call.hangup", n))
		var h strings.Builder
		for key, values := range zorio.Headers(secret, "pbx.call.hangup", fmt.Sprint("raw", n), time.Now(), []byte(b)) {
			if key != "Content-Type" {
				fmt.Fprintf(&h, "%s: %s\r\n", key, values[0])
			}
		}
		request := strings.NewReplacer("{H}", "Host: sluice\r\n"+h.String(), "{L}", strconv.Itoa(len(b)), "{B}", b, "{X}", fmt.Sprintf("%x", len(b)), "{C}", fmt.Sprintf("%x\r\n%s\r\n", len(b), b)).Replace(c.request)
		stored := g.count("EVENTS")
		status, text := g.raw(request)
		if got := status + " " + text; got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if now := g.count("EVENTS"); now-stored != map[bool]uint64{true: 1}[c.want == "200 OK"] {
			t.Errorf("%s: %d stored", c.name, now-stored)
		}
		if c.want == "200 OK" {
			if m := g.last("EVENTS", "events.zorio.pbx.call.hangup"); string(m.Data) != b {
				t.Errorf("%s: stored %q", c.name, m.Data)
			}
		}
	}
}

func manyHeaders(count int) (text string) {
	for n := range count {
		text += fmt.Sprintf("X-Zorio-%d: x\r\n", n)
	}
	return text
}

// Several requests may come at once on a connection, and a client may ask before it sends its body.
func TestRequestsOfOneConnectionAreAnsweredInOrder(t *testing.T) {
	g := startGateway(t)
	conn := g.from("127.0.0.1")
	var all bytes.Buffer
	write := func(delivery string) {
		b := body("pbx.call.hangup", 1)
		request, _ := http.NewRequest(http.MethodPost, g.url(), bytes.NewReader(b))
		request.Header = zorio.Headers(secret, "pbx.call.hangup", delivery, time.Now(), b)
		if err := request.Write(&all); err != nil {
			t.Fatal(err)
		}
	}
	answers := bufio.NewReader(conn)
	expect := func(want string) {
		t.Helper()
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		if got := fmt.Sprint(answer.StatusCode, " ", string(text)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	write("1")
	write("2")
	write("1")
	_, _ = all.WriteTo(conn)
	expect("200 OK")
	expect("200 OK")
	expect("200 Duplicate")

	write("3")
	head, text, _ := strings.Cut(all.String(), "\r\n\r\n")
	_, _ = io.WriteString(conn, head+"\r\nExpect: 100-continue\r\n\r\n")
	expect("100 ")
	_, _ = io.WriteString(conn, text)
	expect("200 OK")
	if n := g.count("EVENTS"); n != 3 {
		t.Errorf("%d events", n)
	}
}

// A body may be as large as SLUICE_MAX_BODY to the byte.
func TestTheLargestBody(t *testing.T) {
	g := startGateway(t)
	b := body("pbx.call.hangup", 1)
	b = append(b[:len(b)-1], strings.Repeat(" ", 1<<20-len(b))+"}"...)
	if got := g.send("pbx.call.hangup", "1", b); got != "200 OK" {
		t.Errorf("1 MiB: %s", got)
	}
	if got := g.send("pbx.call.hangup", "2", append(b, ' ')); got != "413 Body too large" {
		t.Errorf("a byte more: %s", got)
	}
	if m := g.last("EVENTS", "events.zorio.pbx.call.hangup"); !bytes.Equal(m.Data, b) {
		t.Errorf("stored are %d bytes", len(m.Data))
	}
}

func TestAWrongMethodIsToldTheRightOne(t *testing.T) {
	g := startGateway(t)
	request, _ := http.NewRequest(http.MethodPut, g.url(), nil)
	answer, err := g.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusMethodNotAllowed || answer.Header.Get("Allow") != "POST" || answer.Header.Get("Server") != "" {
		t.Errorf("%d %v", answer.StatusCode, answer.Header)
	}
}

// At SLUICE_MAX_INFLIGHT one more is refused before its body is sent, and asked to come back.
func TestOverloadIsRefusedWithoutReadingTheBody(t *testing.T) {
	nats := rig.StartNats(t, "")
	g := startGateway(t, "SLUICE_MAX_INFLIGHT=1", "SLUICE_JOURNAL=off", "NATS_URL="+nats.URL(), "SLUICE_NATS_MONITOR=http://"+nats.Monitor)
	nats.Signal(syscall.SIGSTOP) // so that the first one stays inside
	first := make(chan string, 1)
	go func() { // again and again, where this takes longer than one stays
		got := ""
		for got = <-g.sending("1"); strings.HasPrefix(got, "503 "); got = <-g.sending("1") {
		}
		first <- got
	}()
	rig.Eventually(t, 30*time.Second, "one more is refused", func() bool {
		status, text := g.raw("POST /webhook HTTP/1.1\r\nHost: sluice\r\nContent-Length: 1000\r\n\r\n")
		return status == "503" && text == "Overloaded"
	})
	nats.Signal(syscall.SIGCONT)
	if got := <-first; got != "200 OK" && got != "200 Duplicate" { // one that was given up may be stored all the same
		t.Errorf("the first one: %s", got)
	}
}

// What a team tests its handler with is what the gateway makes of the same delivery.
func TestAnEventForTestsIsWhatTheGatewayStores(t *testing.T) {
	g := startGateway(t, "ZORIO_WEBHOOK_SECRET="+workertest.Secret)
	made := workertest.Sample("pbx.call.hangup")
	header := http.Header{}
	for key, values := range made.Header {
		if strings.HasPrefix(key, zorio.HeaderPrefix) {
			header[key] = values
		}
	}
	if got := g.post(header, made.Body); got != "200 OK" {
		t.Fatal(got)
	}
	g.drained()
	m, err := stream.Get(t.Context(), g.js("nats://"+g.hub), stream.Events, 1)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := event.Parse(m.Subject, m.Header, m.Data)
	if err != nil {
		t.Fatal(err)
	}
	if stored.Received.Sub(made.Received).Abs() > time.Minute {
		t.Errorf("received at %s and %s", stored.Received, made.Received)
	}
	for _, e := range []*event.Event{made, stored} { // what one delivery has that another has not, and what the worker adds
		e.Header[event.HeaderReceived], e.Received, e.Sequence, e.Attempt = nil, time.Time{}, 0, 0
	}
	if !reflect.DeepEqual(made, stored) {
		t.Errorf("made   %v %s %s\nstored %v %s %s", made.Header, made.Identity, made.Delivery, stored.Header, stored.Identity, stored.Delivery)
	}
}
