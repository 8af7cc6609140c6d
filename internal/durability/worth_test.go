package durability

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

func TestAnAcknowledgementOfNATSInOneSentence(t *testing.T) {
	for _, c := range []struct {
		copies  Copies
		syncing Syncing
		err     error
		kept    Kept
		detail  string
	}{
		{Copies{Of: 1}, Syncing{Told: 1, Always: 1, Size: 1}, nil, Synced, "synced on the disk of one server"},
		{Copies{Of: 1}, Syncing{Told: 1, Every: 2 * time.Minute, Size: 1}, nil, Memory, "in memory of one server until it syncs: a power cut loses the last 2 minutes"},
		{Copies{Of: 1}, Syncing{Told: 1, Every: time.Minute, Size: 1}, nil, Memory, "in memory of one server until it syncs: a power cut loses the last minute"},
		{Copies{Of: 1}, Syncing{Told: 1, Size: 1}, nil, Memory, "in memory of one server until it syncs: a power cut loses what came since it last synced"},
		{Copies{Of: 3}, Syncing{Told: 3, Always: 3, Size: 3}, nil, Synced, "on 3 disks, synced"},
		{Copies{Of: 3}, Syncing{Told: 3, Every: 10 * time.Second, Size: 3}, nil, Memory, "in memory of 3 servers until they sync: a power cut of all loses the last 10 seconds"},
		{Copies{Of: 3}, Syncing{Told: 3, Always: 1, Every: 2 * time.Minute, Size: 3}, nil, Memory, "in memory of some of 3 servers until they sync: a power cut of all loses the last 2 minutes"},
		{Copies{3, []string{"n2"}}, Syncing{Told: 2, Always: 2, Size: 3}, nil, Synced, "on 2 of 3 disks, synced: n2 is away"},
		{Copies{Of: 3}, Syncing{Told: 1, Always: 1, Size: 3}, nil, Unknown, "on 3 disks; synced on 1 of 3 servers, of the others nothing is known"},
		{Copies{Of: 1}, Syncing{}, errors.New("refused"), Unknown, "unknown: cannot ask NATS whether it syncs every write: refused"},
	} {
		got := InNATS(c.copies, c.syncing, c.err)
		well := got.Kept == Synced && len(c.copies.Away) == 0
		if got.Kept != c.kept || got.Detail != c.detail || (got.Remedy == "") != well {
			t.Errorf("%+v, want %s: %s", got, c.kept, c.detail)
		}
	}
}

func TestAServerThatSaysNothingIsAway(t *testing.T) {
	info := &jetstream.StreamInfo{Config: jetstream.StreamConfig{Replicas: 3}, Cluster: &jetstream.ClusterInfo{Replicas: []*jetstream.PeerInfo{
		{Name: "here", Active: time.Second}, {Name: "silent", Active: time.Minute}, {Name: "gone", Offline: true},
	}}}
	if c := CopiesOf(info); c.Of != 3 || len(c.Away) != 2 || c.Away[0] != "silent" || c.Away[1] != "gone" {
		t.Errorf("%+v", c)
	}
	if c := CopiesOf(&jetstream.StreamInfo{}); c.Of != 1 || len(c.Away) != 0 {
		t.Errorf("%+v", c)
	}
}

func TestAFolderInMemoryIsNoDisk(t *testing.T) {
	dir := rig.SmallDisk(t, 1<<20).Path
	if got := OnThisMachine("SLUICE_DATA", dir); got.Kept != Memory || got.Detail != "in memory of this machine: SLUICE_DATA="+dir+" is tmpfs" || got.Remedy == "" {
		t.Errorf("%+v", got)
	}
	if got := InJournal("SLUICE_DATA", dir); got.Kept != Memory || got.Detail != "in the journal until NATS is back: in memory of this machine: SLUICE_DATA="+dir+" is tmpfs" {
		t.Errorf("%+v", got)
	}
	if got := OnThisMachine("SLUICE_DATA", dir+"/none"); got.Kept != Unknown || got.Remedy == "" {
		t.Errorf("%+v", got)
	}
}
