package main

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/signature"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// begin sends the head of a request that looks authentic, and the first bytes of its body.
func begin(t *testing.T, conn net.Conn, length int, first string) {
	t.Helper()
	head := fmt.Sprintf("POST /webhook HTTP/1.1\r\nHost: sluice\r\n%s: %d\r\n%s: %s\r\nContent-Length: %d\r\n\r\n",
		zorio.HeaderTimestamp, time.Now().Unix(), zorio.HeaderSignature, signature.Sign("another secret", nil), length)
	if _, err := io.WriteString(conn, head+first); err != nil {
		t.Fatal(err)
	}
}

// What is announced takes no memory: what has come does.
func TestABodyTakesMemoryAsItComes(t *testing.T) {
	g := startGateway(t)
	const announced = 1000
	before := g.value("process_resident_memory_bytes")
	for range announced {
		begin(t, g.from("127.0.0.1"), 1<<20, "{")
	}
	rig.Eventually(t, 30*time.Second, "all bodies have begun", func() bool { return g.value("sluice_requests_in_flight_bytes") >= announced<<12 })
	if grown := g.value("process_resident_memory_bytes") - before; grown > announced<<17 {
		t.Errorf("%d bodies of 1 MiB that did not come take %.0f MB", announced, grown/1e6)
	}
	if got := g.send("pbx.call.hangup", "1", body("pbx.call.hangup", 1)); got != "200 OK" {
		t.Errorf("beside them: %s", got)
	}
}

// Bodies have SLUICE_MAX_INFLIGHT_BYTES together, and one address half of it; a quarter is kept for small ones.
func TestBytesInsideAreBounded(t *testing.T) {
	g := startGateway(t, "SLUICE_MAX_INFLIGHT_BYTES=16MiB")
	most := strings.Repeat(" ", 1<<20-1)
	var held []net.Conn
	hold := func(ip string, count int) {
		for range count {
			held = append(held, g.from(ip))
			begin(t, held[len(held)-1], 1<<20, most)
		}
	}
	over := func(ip, what string) {
		conn := g.from(ip)
		begin(t, conn, 1<<20, most[:8<<10])
		if got := refused(t, conn); got != "503 Service Unavailable: Overloaded" {
			t.Errorf("%s: %s", what, got)
		}
	}
	hold("127.0.0.1", 8)
	rig.Eventually(t, 30*time.Second, "eight bodies are inside", func() bool { return g.value("sluice_requests_in_flight_bytes") == 8<<20 })
	over("127.0.0.1", "a ninth one of an address")
	hold("127.0.0.2", 4)
	rig.Eventually(t, 30*time.Second, "twelve bodies are inside", func() bool { return g.value("sluice_requests_in_flight_bytes") == 12<<20 })
	over("127.0.0.3", "a thirteenth one")
	for _, n := range []string{"1", "3"} {
		if got := g.ask(g.from("127.0.0."+n), n); got != "200 OK" {
			t.Errorf("a small one beside them: %s", got)
		}
	}
	for _, conn := range held {
		_ = conn.Close()
	}
	rig.Eventually(t, 30*time.Second, "nothing is inside", func() bool { return g.metric("sluice_requests_in_flight_bytes 0") })
	if got := g.send("pbx.call.hangup", "4", body("pbx.call.hangup", 1)); got != "200 OK" {
		t.Errorf("afterwards: %s", got)
	}
}

// What a flood of bodies took is given back soon after it.
func TestMemoryIsGivenBackAfterAFlood(t *testing.T) {
	if rig.Race {
		t.Skip("the race detector has memory of its own, and `make test` tests this without it")
	}
	t.Parallel()
	g := startGateway(t)
	held := func() float64 { // of the system, the race detector's own memory aside
		return g.value("go_memstats_sys_bytes") - g.value("go_memstats_heap_released_bytes")
	}
	before := held()
	most := strings.Repeat(" ", 1<<20-1)
	var flood []net.Conn
	for n := range 120 {
		conn := g.from(fmt.Sprintf("127.0.0.%d", n%4+1))
		begin(t, conn, 1<<20, most)
		flood = append(flood, conn)
	}
	// On a busy machine the first ones are over their 10 s before the last have come.
	rig.Eventually(t, 20*time.Second, "bodies are inside", func() bool { return g.value("sluice_requests_in_flight_bytes") >= 30<<20 })
	for _, conn := range flood {
		_ = conn.Close()
	}
	rig.Eventually(t, 25*time.Second, "the memory is given back", func() bool {
		time.Sleep(2 * time.Second) // each look leaves garbage, and so may begin a collection by itself
		return held() < before+90e6
	})
}
