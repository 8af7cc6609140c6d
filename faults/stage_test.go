package faults

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
)

// stage is a gateway with what is beside it, and a sender in front of it.
type stage struct {
	*result
	t       *testing.T
	launch  rig.Launch
	gateway *rig.Gateway
	nats    rig.NatsCluster // empty with the embedded one
	natsURL string          // the gateway's, where it is not that of nats
	redis   []*rig.Redis
	way     *rig.Way // to what the fault cuts off
	sender  *rig.Sender

	part, join func(*rig.Nats)
	hurt       *rig.Nats // whom the fault is about
	disk       *rig.Disk
	powered    *rig.PoweredDisk
	clock      clock
	authority  *rig.Authority
	https      bool // the gateway shows a certificate of the authority
	strangers  *strangers
}

// start starts the gateway beside what is there. Its socket is kept while it does not run.
func (s *stage) start(settings ...string) {
	if s.launch.Socket == nil && s.launch.Address == "" {
		s.launch.Socket = rig.Socket(s.t)
	}
	s.gateway = rig.StartGateway(s.t, s.launch, append(s.engines(), settings...)...)
	s.gateway.Ready()
}

// engines are the settings that name what is beside the gateway.
func (s *stage) engines() (settings []string) {
	if s.natsURL == "" && s.nats != nil {
		s.natsURL = s.nats.URL()
	}
	if s.nats != nil {
		settings = append(settings, "NATS_URL="+s.natsURL, "SLUICE_NATS_MONITOR="+s.nats.Monitors())
	}
	return settings
}

// js is a connection to the NATS that has the events.
func (s *stage) js() jetstream.JetStream {
	if s.nats == nil {
		return rig.JetStream(s.t, "nats://"+s.gateway.Hub)
	}
	return rig.JetStream(s.t, s.nats.URL())
}

// embedded is a gateway with nothing beside it.
func embedded(s *stage) { s.start() }

// besides is a gateway with one NATS and one Redis, the latter at the end of a way.
func besides(s *stage) {
	s.nats = rig.NatsCluster{rig.StartNats(s.t, "")}
	s.besideRedis()
}

func (s *stage) besideRedis(settings ...string) {
	s.redis = []*rig.Redis{rig.StartRedis(s.t)}
	s.way = rig.NewWay(s.t, s.redis[0].Address)
	s.start(append(settings, "REDIS_URL=redis://"+s.way.Address)...)
}

// sentinel has a Redis that a replica may take over.
func sentinel(s *stage) {
	master := rig.StartRedis(s.t)
	s.redis = []*rig.Redis{master, rig.StartRedis(s.t, "--replicaof", master.Host(), master.Port())}
	watch := rig.StartSentinel(s.t, master)
	rig.Eventually(s.t, 30*time.Second, "the Sentinel knows the replica", func() bool {
		return watch.Command("sentinel", "replicas", "main") != ""
	})
	s.nats = rig.NatsCluster{rig.StartNats(s.t, "")}
	s.start("REDIS_URL=" + watch.URL() + "?master_name=main")
}

// shards has a Redis Cluster.
func shards(s *stage) {
	s.redis = rig.StartRedisCluster(s.t, 3, 0)
	s.nats = rig.NatsCluster{rig.StartNats(s.t, "")}
	s.start("REDIS_URL=" + s.redis[0].URL() + "," + s.redis[1].URL())
}

// threefold has three NATS, and three copies of everything.
func threefold(s *stage) {
	s.nats, s.part, s.join = rig.StartParted(s.t, 3)
	s.nats.Elected()
	s.besideRedis("SLUICE_REPLICAS=3")
}

// leader is who leads EVENTS.
func (s *stage) leader() *rig.Nats {
	s.hurt = s.nats.Leader(s.js(), stream.Events)
	return s.hurt
}

// guarded has a NATS that asks who comes.
func guarded(s *stage) {
	n := rig.StartNats(s.t, invited)
	s.nats, s.natsURL = rig.NatsCluster{n}, "nats://gateway:secret@"+n.Address
	s.besideRedis()
}

// The test itself needs no password.
const (
	invited    = `authorization { users: [ { user: gateway, password: secret }, { user: test, password: test } ] }` + "\nno_auth_user: test"
	notInvited = `authorization { users: [ { user: test, password: test } ] }` + "\nno_auth_user: test"
)

// certified has a NATS with TLS at the end of a way.
func certified(s *stage) {
	s.authority = rig.NewAuthority(s.t)
	s.authority.Issue("nats")
	n := rig.StartNats(s.t, s.withTLS())
	s.way = rig.NewWay(s.t, n.Address)
	s.nats, s.natsURL = rig.NatsCluster{n}, "tls://"+s.way.Address
	s.start("SSL_CERT_FILE=" + s.authority.File("ca"))
}

func (s *stage) withTLS() string {
	return "allow_non_tls: true\ntls { cert_file: " + s.authority.File("nats") + ", key_file: " + s.authority.File("nats-key") + " }"
}

// secured is a gateway that takes HTTPS.
func secured(s *stage) {
	s.authority, s.https = rig.NewAuthority(s.t), true
	s.authority.Issue("gateway")
	s.start("SLUICE_TLS_CERT="+s.authority.File("gateway"), "SLUICE_TLS_KEY="+s.authority.File("gateway-key"))
}

// sending is what the sender sends, and how. With HTTPS it makes twenty handshakes a second, which see what certificate there
// is.
func (s *stage) sending() rig.Sending {
	sending := rig.Sending{URL: s.gateway.URL(), Rate: s.rate, Scale: *scale}
	if s.https {
		sending.URL, sending.Roots, sending.Closes = "https://"+s.gateway.Address+"/webhook", s.authority.Trust().RootCAs, max(1, s.rate/20)
	}
	return sending
}

// cramped is an embedded store on a small disk.
func cramped(s *stage) {
	s.disk = rig.SmallDisk(s.t, s.diskSize())
	s.launch.Data = s.disk.Path
	s.start()
}

// powered is an embedded store on a disk that forgets what was not synced when it loses its power.
func powered(s *stage) {
	s.powered = rig.StartDisk(s.t)
	s.launch.Data = s.powered.Path
	s.start()
}

// crampedBeside is a journal on a small disk, and a NATS elsewhere.
func crampedBeside(s *stage) {
	s.disk = rig.SmallDisk(s.t, s.diskSize())
	s.launch.Data = s.disk.Path
	s.nats = rig.NatsCluster{rig.StartNats(s.t, "")}
	s.besideRedis("SLUICE_JOURNAL_MAX_BYTES=64MiB") // which sets aside an eighth of that at a time
}

// diskSize has room for all that is sent: beyond its limit EVENTS drops the oldest, which is not lost but looks like it.
func (s *stage) diskSize() int { return max(64<<20, s.rate*(128<<10)) }

// sharing is a gateway that lets others have its port too, and its folder: what it leaves in its journal is theirs.
func sharing(s *stage) {
	s.launch.Address, s.launch.Data = rig.Address(s.t), s.t.TempDir()
	s.nats = rig.NatsCluster{rig.StartNats(s.t, "")}
	s.besideRedis("SLUICE_LISTEN_REUSEPORT=true")
}

// fewFiles is a gateway that may have few file descriptors.
func fewFiles(s *stage) {
	s.launch.Program = filepath.Join(s.t.TempDir(), "gateway")
	script := "#!/bin/sh\nulimit -n 2048\nexec " + rig.Build(s.t, "./gateway") + "\n"
	if err := os.WriteFile(s.launch.Program, []byte(script), 0o700); err != nil { //nolint:gosec // it is run
		s.t.Fatal(err)
	}
	s.start()
}

// clocked is a gateway with a clock of its own.
func clocked(s *stage) {
	s.clock, s.launch.Program = newClock(s.t)
	s.start("CLOCK_STEP_FILE=" + s.clock.file)
}
