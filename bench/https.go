package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// What HTTPS costs is measured with a load of its own, whose connections are Go's: the plain gateway has the same load in
// the same run, and the ratio to it is what counts.
const (
	httpsConnections = 64
	httpsRounds      = 3
	httpsWindow      = time.Second
)

// way is how deliveries come: through TLS or not, on connections that are kept or new ones each time.
type way struct {
	subject  *subject
	tls, new bool
	rounds   []round
}

func (w *way) name() string {
	name := "kept connections"
	if w.new {
		name = "a new connection for each"
	}
	if w.tls {
		return "HTTPS, " + name
	}
	return "plain HTTP, " + name
}

// certificate is one with a P-256 key, as ACME servers give them.
func (b *bench) certificate() (cert, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	text := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, text, text, &private.PublicKey, private)
	if err != nil {
		return "", "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	cert, key = filepath.Join(b.dir, "cert.pem"), filepath.Join(b.dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			return "", "", err
		}
	}
	return cert, key, nil
}

// https measures all ways in turns, on two gateways of their own, and prints each beside plain HTTP.
func (b *bench) https() error {
	plain, err := b.embedded()
	if err != nil {
		return err
	}
	cert, key, err := b.certificate()
	if err != nil {
		return err
	}
	secured, err := b.embedded("SLUICE_TLS_CERT="+cert, "SLUICE_TLS_KEY="+key)
	if err != nil {
		return err
	}
	time.Sleep(warmUp) // they listen before they are ready
	ways := []*way{{subject: plain}, {subject: secured, tls: true}, {subject: plain, new: true}, {subject: secured, tls: true, new: true}}
	for i := range httpsRounds {
		for _, w := range ways {
			if err := w.round(); err != nil {
				return fmt.Errorf("%s: %w", w.name(), err)
			}
			fmt.Fprintf(os.Stderr, "round %d of %d, %s\n", i+1, httpsRounds, w.name())
		}
	}
	fmt.Printf("\nHTTPS, %d at once (Sluice alone; a load of Go's)\n%-42s %12s %6s %14s\n", httpsConnections, "", "deliveries/s", "ratio", "CPU a delivery")
	for i, w := range ways {
		beside := ways[i/2*2]
		fmt.Printf("%-42s %12.0f %6.2f %11.1f µs\n", w.name(), w.rate(), w.rate()/beside.rate(), median(w.rounds, func(r round) float64 { return r.cpu[0] }))
	}
	return nil
}

func (w *way) rate() float64 { return median(w.rounds, func(r round) float64 { return r.rate }) }

func (w *way) round() error {
	if _, err := w.load(warmUp / 2); err != nil {
		return err
	}
	before, begin := cpuTime(w.subject.pids[0]), time.Now()
	count, err := w.load(httpsWindow)
	if err != nil {
		return err
	}
	if err := w.subject.drained(); err != nil {
		return err
	}
	used := cpuTime(w.subject.pids[0]) - before
	w.rounds = append(w.rounds, round{rate: float64(count) / time.Since(begin).Seconds(), cpu: []float64{float64(used.Microseconds()) / float64(count)}})
	return nil
}

func (w *way) load(d time.Duration) (int64, error) {
	var count atomic.Int64
	var all errgroup.Group
	end := time.Now().Add(d)
	for range httpsConnections {
		all.Go(func() error { return w.send(end, &count) })
	}
	err := all.Wait()
	return count.Load(), err
}

// send delivers one after the other until a time.
func (w *way) send(end time.Time, count *atomic.Int64) (err error) {
	c := &connection{request: request(w.subject.address)}
	c.counter = counterOf(c.request)
	var conn net.Conn
	for time.Now().Before(end) {
		if conn == nil {
			if conn, err = w.dial(); err != nil {
				return err
			}
		}
		c.count()
		if err := exchange(conn, c.request); err != nil {
			return err
		}
		count.Add(1)
		if w.new {
			_ = conn.Close()
			conn = nil
		}
	}
	if conn != nil {
		_ = conn.Close()
	}
	return nil
}

// dial opens a connection. No session of TLS is resumed: a sender may keep none.
func (w *way) dial() (net.Conn, error) {
	if w.tls {
		return tls.Dial("tcp", w.subject.address, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // it is on this machine
	}
	return net.Dial("tcp", w.subject.address)
}

func exchange(conn net.Conn, request []byte) error {
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(request); err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("a delivery was answered %s", answer.Status)
	}
	return nil
}
