package faults

import (
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

// fault is a row of the table: what is deployed, how it is broken and mended under load, and what must hold.
type fault struct {
	name  string
	on    step
	begin step
	lasts time.Duration
	end   step
	must  must
	often bool // in every test run: what no other test has
}

// step is something that is done.
type step func(*stage)

// must is what must hold, beside that nothing is lost or stored twice.
type must struct {
	run          int           // failures in a row, at most; -1: any number
	p99, slowest time.Duration // of answers, at most; 0: as long as the sender waits
	refused      string        // what failures are answered, however many there are; empty: few
}

var (
	none      = must{}
	unnoticed = must{slowest: 500 * time.Millisecond}
	covered   = must{p99: 600 * time.Millisecond}
	bridged   = must{run: suspended - 1}
	kept      = must{run: -1}
	sendAgain = must{refused: "503"}                 // with Retry-After
	contract  = must{refused: "400 Stale timestamp"} // and kept in quarantine
)

const (
	suspended = 50               // failures in a row, after which Zorio suspends a URL
	untilBack = -1 * time.Second // as long as -away says
	sec       = time.Second
)

var table = []fault{
	{"Redis killed", besides, onRedis((*rig.Redis).Kill), 10 * sec, onRedis((*rig.Redis).Restart), unnoticed, false},
	{"Redis hangs (SIGSTOP)", besides, onRedis(hang[*rig.Redis]), 30 * sec, onRedis(goOn[*rig.Redis]), unnoticed, false},
	{"Redis refuses connections", besides, onWay((*rig.Way).Refuse), 10 * sec, onWay((*rig.Way).Open), unnoticed, false},
	{"Redis is a black hole", besides, onWay((*rig.Way).Swallow), 10 * sec, onWay((*rig.Way).Open), unnoticed, false},
	{"Redis accepts no connection", besides, onWay((*rig.Way).Fill), 10 * sec, onWay((*rig.Way).Open), unnoticed, false},
	{"Redis answers 500 ms late", besides, onWay(func(w *rig.Way) { w.Slow(500 * time.Millisecond) }), 10 * sec, onWay((*rig.Way).Open), unnoticed, false},
	{"Redis wiped", besides, command("flushall"), 5 * sec, nothing, unnoticed, false},
	{"Redis full (maxmemory)", besides, command("config", "set", "maxmemory", "1"), 10 * sec, command("config", "set", "maxmemory", "0"), unnoticed, true},
	{"Redis has another password", besides, otherPassword, 10 * sec, noPassword, unnoticed, true},
	{"Redis behind Sentinels: the master killed", sentinel, onRedis((*rig.Redis).Kill), 10 * sec, onRedis((*rig.Redis).Restart), unnoticed, true},
	{"Redis Cluster: one shard of three killed", shards, onRedis((*rig.Redis).Kill), 10 * sec, onRedis((*rig.Redis).Restart), unnoticed, false},

	{"R3: leader killed", threefold, onLeader((*rig.Nats).Kill), 15 * sec, onHurt((*rig.Nats).Restart), covered, true},
	{"R3: leader hangs (SIGSTOP)", threefold, onLeader(hang[*rig.Nats]), 15 * sec, onHurt(goOn[*rig.Nats]), covered, false},
	{"R3: every server restarted in turn", threefold, restartInTurn, 0, nothing, covered, false},
	{"R3: two of three killed", threefold, killTwo, 20 * sec, startTwo, covered, false},
	{"R3: leader's store wiped and rebuilt", threefold, onLeader((*rig.Nats).Wipe), 15 * sec, nothing, covered, false},
	{"R3: leader cut off from the others", threefold, partLeader, 20 * sec, joinLeader, covered, true},

	{"NATS killed", besides, onNATS((*rig.Nats).Kill), untilBack, onNATS((*rig.Nats).Restart), covered, false},
	{"NATS hangs (SIGSTOP)", besides, onNATS(hang[*rig.Nats]), untilBack, onNATS(goOn[*rig.Nats]), covered, false},
	{"NATS killed, gateway restarted meanwhile", besides, restartWithoutNATS, untilBack, onNATS((*rig.Nats).Restart), covered, false},

	{"gateway killed five times", embedded, killOften, 0, nothing, bridged, false},
	{"gateway killed five times, NATS and Redis outside", besides, killOften, 0, nothing, bridged, false},
	{"gateway killed five times amid a checkpoint", embedded, killAtCheckpoints, 0, nothing, bridged, false},
	{"gateway killed while it spills", besides, killSpilling, untilBack, onNATS((*rig.Nats).Restart), bridged, false},
	{"gateway killed while it drains", besides, onNATS((*rig.Nats).Kill), untilBack, killDraining, bridged, false},

	{"power cut four times, each twice in a row, once amid a checkpoint", powered, losePowerOften, 0, nothing, kept, false},

	{"gateway replaced on its socket", embedded, replace, 0, nothing, none, false},
	{"gateway replaced beside itself (SO_REUSEPORT)", sharing, replaceBeside, 0, nothing, none, false},

	{"disk of the embedded store full", cramped, fillDisk, 10 * sec, emptyDisk, sendAgain, false},
	{"disk of the journal full, NATS killed", crampedBeside, fillDiskWithoutNATS, 10 * sec, emptyDiskWithNATS, sendAgain, false},

	{"file descriptors used up", fewFiles, idle(4000), 10 * sec, gone, none, false},
	{"10,000 idle connections", embedded, idle(10_000), 10 * sec, gone, none, false},
	{"2,000 bodies that never end", embedded, trickle(2000), 10 * sec, gone, none, false},
	{"2,000 bad signatures a second", embedded, forge(2000), 10 * sec, gone, none, false},

	{"clock 10 min ahead", clocked, clockOff(10 * time.Minute), 10 * sec, clockOff(0), contract, false},
	{"clock 10 min behind", clocked, clockOff(-10 * time.Minute), 10 * sec, clockOff(0), contract, false},
	{"NATS credentials revoked", guarded, reload(notInvited), 10 * sec, reload(invited), none, true},
	{"certificate of the gateway replaced, its key 2.5 s later", secured, ownCertificate, 2 * sec, nothing, none, false},
	{"certificate of NATS replaced", certified, otherCertificate, 5 * sec, nothing, none, true},
}
