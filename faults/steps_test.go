package faults

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

func nothing(*stage) {}

// On the first Redis, the first NATS, the way, the leader of EVENTS, and on who was that.

func onRedis(do func(*rig.Redis)) step { return func(s *stage) { do(s.redis[0]) } }
func onNATS(do func(*rig.Nats)) step   { return func(s *stage) { do(s.nats[0]) } }
func onWay(do func(*rig.Way)) step     { return func(s *stage) { do(s.way) } }
func onLeader(do func(*rig.Nats)) step { return func(s *stage) { do(s.leader()) } }
func onHurt(do func(*rig.Nats)) step   { return func(s *stage) { do(s.hurt) } }

type process interface{ Signal(syscall.Signal) }

func hang[P process](p P) { p.Signal(syscall.SIGSTOP) }
func goOn[P process](p P) { p.Signal(syscall.SIGCONT) }

func command(args ...string) step { return onRedis(func(r *rig.Redis) { r.Command(args...) }) }

func otherPassword(s *stage) {
	s.redis[0].Command("config", "set", "requirepass", "another")
	s.redis[0].Command("-a", "another", "client", "kill", "type", "normal") // who is in stays in otherwise
}

func noPassword(s *stage) { s.redis[0].Command("-a", "another", "config", "set", "requirepass", "") }

func restartInTurn(s *stage) {
	for _, n := range s.nats {
		n.Stop(20 * time.Second)
		n.Restart()
		lasts(10 * time.Second) // until it has caught up
	}
}

func killTwo(s *stage)  { s.nats[1].Kill(); s.nats[2].Kill() }
func startTwo(s *stage) { s.nats[1].Restart(); s.nats[2].Restart() }

func partLeader(s *stage) { s.part(s.leader()) }
func joinLeader(s *stage) { s.join(s.hurt) }

func restartWithoutNATS(s *stage) {
	s.nats[0].Kill()
	lasts(3 * time.Second)
	replace(s)
}

// replace stops the gateway and starts it again.
func replace(s *stage) {
	s.gateway.Stop(20 * time.Second)
	s.gateway.Start()
}

func kill(s *stage) {
	s.gateway.Kill()
	s.gateway.Start()
}

func killOften(s *stage) {
	for range 5 {
		kill(s)
		s.gateway.Ready()
		lasts(2 * time.Second)
	}
}

func killSpilling(s *stage) {
	s.nats[0].Kill()
	for range 3 {
		lasts(2 * time.Second)
		kill(s)
	}
}

func killDraining(s *stage) {
	s.nats[0].Restart()
	for range 3 {
		lasts(200 * time.Millisecond)
		kill(s)
		s.gateway.Ready()
	}
}

// killAtCheckpoints kills the gateway each time when the journal's checkpoint is being written.
func killAtCheckpoints(s *stage) {
	for range 5 {
		written(s, filepath.Join(s.gateway.Data, "journal", "01"), "checkpoint")
		kill(s)
		s.gateway.Ready()
		lasts(2 * time.Second)
	}
}

// written waits until a file in a folder is written to.
func written(s *stage, folder, file string) {
	watch, err := syscall.InotifyInit()
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = syscall.Close(watch) }()
	if _, err := syscall.InotifyAddWatch(watch, folder, syscall.IN_MODIFY|syscall.IN_MOVED_TO); err != nil {
		s.t.Fatal(err)
	}
	for events := make([]byte, 4096); ; {
		n, err := syscall.Read(watch, events)
		if err != nil {
			s.t.Fatal(err)
		}
		if bytes.Contains(events[:n], []byte(file)) {
			return
		}
	}
}

// losePowerOften cuts the power three times at any moment, and then when the journal's checkpoint is being written; each
// time once more while the gateway starts.
func losePowerOften(s *stage) {
	for _, moment := range []*rig.PoweredDisk{s.powered, s.powered, s.powered, s.powered.When("checkpoint", nil)} {
		losePower(s, moment)
		lasts(rand.N(150 * time.Millisecond)) // any moment of the start will do
		losePower(s, s.powered)
		s.gateway.Ready()
		lasts(2 * time.Second)
	}
}

func losePower(s *stage, at *rig.PoweredDisk) {
	at.Cut()
	_ = syscall.Kill(s.gateway.PID(), syscall.SIGKILL) // it may have ended by itself, without a disk
	s.gateway.Wait(20 * time.Second)
	s.powered.Restore()
	s.gateway.Start()
}

// replaceBeside starts a gateway on the same port, and stops the first when the second is ready.
func replaceBeside(s *stage) {
	old := s.gateway
	s.start("REDIS_URL=redis://"+s.way.Address, "SLUICE_LISTEN_REUSEPORT=true")
	old.Stop(20 * time.Second)
}

// fillDisk leaves little room, waits for the alarm, and leaves none.
func fillDisk(s *stage) {
	s.disk.Fill(6 << 20)
	rig.Eventually(s.t, 20*time.Second, "the gateway warns before the disk is full", func() bool {
		r, code, err := s.gateway.Readiness()
		return err == nil && r.Status != "ok" && code == http.StatusOK
	})
	s.note("alarm before")
	s.disk.Fill(0)
}

func emptyDisk(s *stage) { s.disk.Empty() }

// fillDiskWithoutNATS waits until the room that the journal has set aside is used up too.
func fillDiskWithoutNATS(s *stage) {
	s.nats[0].Kill()
	fillDisk(s)
	rig.Eventually(s.t, 5*time.Minute, "the journal is full", func() bool { return rig.LongestRun(s.sender.Attempts()) > 0 })
}

func emptyDiskWithNATS(s *stage) {
	s.disk.Empty()
	lasts(5 * time.Second)
	s.nats[0].Restart()
}

func clockOff(by time.Duration) step { return func(s *stage) { s.clock.step(s.t, by) } }

func reload(config string) step { return onNATS(func(n *rig.Nats) { n.Reload(config) }) }

func otherCertificate(s *stage) {
	s.authority.Issue("nats")
	s.nats[0].Reload(s.withTLS())
	s.way.Open() // whoever was connected comes again
}

// ownCertificate replaces the gateway's, file by file: the key lags behind for a while, as with tools that write one after
// the other.
func ownCertificate(s *stage) {
	before := s.authority.File("gateway-key")
	old, err := os.ReadFile(before)
	if err != nil {
		s.t.Fatal(err)
	}
	s.authority.Issue("gateway")
	now, err := os.ReadFile(before)
	if err != nil {
		s.t.Fatal(err)
	}
	rig.Replace(s.t, before, old)
	lasts(2500 * time.Millisecond)
	rig.Replace(s.t, before, now)
	s.gateway.WaitFor("the certificate was replaced", 10*time.Second)
}
