// Package durability says what an acknowledgement is worth: whether an acknowledged event survives a power cut.
package durability

import (
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Kept is where an acknowledged event is.
type Kept string

// A power cut loses nothing of what is synced. What is in a container goes with the container.
const (
	Synced    Kept = "synced"
	Journal   Kept = "journal" // synced by the gateway itself, on one disk
	Container Kept = "container"
	Memory    Kept = "memory"
	Unknown   Kept = "unknown"
)

// Worth is what an acknowledgement is worth, in a label and in a sentence.
type Worth struct {
	Kept   Kept
	Detail string
	Remedy string // empty where nothing is to be done
}

// OnThisMachine is the worth of what this process syncs in a folder, which setting names in messages.
func OnThisMachine(setting, dir string) Worth {
	kind, err := filesystem(dir)
	at := fmt.Sprintf("%s=%s is %s", setting, dir, kind)
	switch {
	case err != nil:
		return Worth{Unknown, fmt.Sprintf("unknown: cannot see what %s=%s is on: %v", setting, dir, err), "set " + setting + " to a folder on a disk"}
	case kind == overlay:
		return Worth{Container, "synced in this container, and gone with it: " + at, "mount a volume, and set " + setting + " to a folder in it"}
	case kind != "":
		return Worth{Memory, "in memory of this machine: " + at, "set " + setting + " to a folder on a disk: a power cut loses everything that is in it"}
	}
	return Worth{Synced, "synced on this disk", ""}
}

// InJournal is the worth of an answer that waits for no NATS: the event is in a journal in that folder until NATS is back.
func InJournal(setting, dir string) Worth {
	w := OnThisMachine(setting, dir)
	if w.Kept == Synced {
		w.Kept = Journal
	}
	w.Detail = "in the journal until NATS is back: " + w.Detail
	return w
}

// Copies are how many servers keep a stream, and the names of those that are away.
type Copies struct {
	Of   int
	Away []string
}

// silentFor is how long a server says nothing before it counts as away.
const silentFor = 10 * time.Second

// CopiesOf takes them from what NATS says of a stream.
func CopiesOf(info *jetstream.StreamInfo) Copies {
	c := Copies{Of: max(info.Config.Replicas, 1)}
	if info.Cluster == nil {
		return c
	}
	for _, peer := range info.Cluster.Replicas {
		if peer.Offline || peer.Active > silentFor {
			c.Away = append(c.Away, peer.Name)
		}
	}
	return c
}

const (
	syncAlways = "set sync_interval: always in the jetstream block of NATS"
	monitorAll = "set SLUICE_NATS_MONITOR to the monitoring addresses of all servers, separated by commas"
)

// InNATS is the worth of an acknowledgement of a NATS elsewhere. err says why nothing is known of its syncing.
func InNATS(c Copies, s Syncing, err error) Worth {
	switch {
	case err != nil:
		return Worth{Unknown, "unknown: cannot ask NATS whether it syncs every write: " + err.Error(),
			"open its monitoring port (http: 8222 in its configuration) and set SLUICE_NATS_MONITOR to its address, or to those of all servers of a cluster; " + syncAlways}
	case s.Always < s.Told:
		return Worth{Memory, c.inMemory(s), syncAlways}
	case len(c.Away) > 0:
		return Worth{Synced, fmt.Sprintf("on %d of %d disks, synced: %s is away", c.Of-len(c.Away), c.Of, strings.Join(c.Away, ", ")), "see that server"}
	case s.Told < s.Size && c.Of > 1:
		return Worth{Unknown, fmt.Sprintf("on %d disks; synced on %d of %d servers, of the others nothing is known", c.Of, s.Told, s.Size), monitorAll}
	case c.Of > 1:
		return Worth{Synced, fmt.Sprintf("on %d disks, synced", c.Of), ""}
	}
	return Worth{Synced, "synced on the disk of one server", ""}
}

func (c Copies) inMemory(s Syncing) string {
	loses := "what came since it last synced"
	if s.Every > 0 {
		loses = "the last " + spoken(s.Every)
	}
	if c.Of == 1 {
		return "in memory of one server until it syncs: a power cut loses " + loses
	}
	servers := fmt.Sprintf("%d servers", c.Of)
	if s.Always > 0 {
		servers = fmt.Sprintf("some of %d servers", c.Of)
	}
	return fmt.Sprintf("in memory of %s until they sync: a power cut of all loses %s", servers, loses)
}

func spoken(d time.Duration) string {
	switch {
	case d == time.Minute:
		return "minute"
	case d > time.Minute && d%time.Minute == 0:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	case d > time.Second && d%time.Second == 0 && d < time.Minute:
		return fmt.Sprintf("%d seconds", d/time.Second)
	}
	return d.String()
}
