package docs

import (
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// A server of the cluster is lost for good, and another one takes its place while deliveries flow: none fails, and each is
// stored once, on three servers.
func TestAServerOfTheClusterIsReplacedUnderLoad(t *testing.T) {
	t.Parallel()
	c := rig.StartNatsCluster(t, 3)
	js := c.Elected()
	g := rig.StartGateway(t, rig.Launch{}, "NATS_URL="+c.URL(), "SLUICE_NATS_MONITOR="+c.Monitors(), "SLUICE_REPLICAS=3")
	g.Ready()
	rig.Eventually(t, 2*time.Minute, "three servers have a copy of every stream", func() bool { return allOn(t, js, "n0", "n1", "n2") })
	d := newDesk(t, []string{"NATS_URL=" + c[:2].URL(), "SYSTEM_PASSWORD=" + rig.SystemUser})

	sender := rig.StartSender(t, rig.Sending{URL: g.URL(), Rate: 50, Scale: 60})
	c[2].Lose()
	c = c.Join()
	c[:2].Elected()
	for _, block := range rig.Shown(t, "docs/operate.md") {
		d.typesAgain(block)
	}
	rig.Eventually(t, 2*time.Minute, "the new server has a copy of every stream", func() bool { return allOn(t, js, "n0", "n1", "n3") })
	sender.End()

	for _, a := range sender.Attempts() {
		if a.Failed() && a.Took < rig.AnswerWithin { // a longer wait may be the machine's
			t.Errorf("delivery %s is answered %q", a.ID, a.Answer)
		}
	}
	taken := sender.Taken()
	rig.Eventually(t, time.Minute, "everything is stored", func() bool { return rig.Messages(t, js, stream.Events) >= uint64(len(taken)) })
	once(t, js, taken)
}

// allOn reports whether each stream has its copies on these servers, all of them complete.
func allOn(t *testing.T, js jetstream.JetStream, want ...string) bool {
	t.Helper()
	list := js.ListStreams(t.Context())
	count := 0
	for info := range list.Info() {
		if info.Cluster == nil || info.Cluster.Leader == "" {
			return false
		}
		have := []string{info.Cluster.Leader}
		for _, replica := range info.Cluster.Replicas {
			if replica.Current && !replica.Offline {
				have = append(have, replica.Name)
			}
		}
		slices.Sort(have)
		if info.Config.Replicas == 3 && !slices.Equal(have, want) {
			return false
		}
		count++
	}
	return list.Err() == nil && count > 0
}

// once fails unless EVENTS has each delivery exactly once.
func once(t *testing.T, js jetstream.JetStream, deliveries map[string]bool) {
	t.Helper()
	consumer, err := js.OrderedConsumer(t.Context(), stream.Events, jetstream.OrderedConsumerConfig{HeadersOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	info, err := consumer.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	batch, err := consumer.Fetch(int(info.NumPending), jetstream.FetchMaxWait(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	copies := map[string]int{}
	for m := range batch.Messages() {
		id, _ := event.SplitIdentity(m.Headers().Get(event.HeaderID))
		copies[id]++
	}
	for id := range deliveries {
		if copies[id] != 1 {
			t.Errorf("delivery %s is stored %d times", id, copies[id])
		}
	}
}
