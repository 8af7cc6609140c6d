package stream_test

import (
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
)

func TestWhetherNATSSyncsIsSaidWithoutThePasswordOfItsMonitor(t *testing.T) {
	t.Parallel()
	nc := rig.JetStream(t, rig.StartNats(t, "").URL()).Conn()
	monitor := "http://ops:GEHEIM@" + rig.Address(t)
	_, err := stream.SyncsAlways(t.Context(), nc, nc.ConnectedUrl(), monitor)
	if err == nil || strings.Contains(err.Error(), "GEHEIM") || !strings.Contains(err.Error(), "http://xxxxx@127.0.0.1:") {
		t.Error(err)
	}
}

func TestTheServerInsideAGatewaySyncsAlways(t *testing.T) {
	t.Parallel()
	nc := rig.Hub(t, stream.Settings{}).Conn()
	if synced, err := stream.SyncsAlways(t.Context(), nc, nc.ConnectedUrl(), ""); err != nil || !synced {
		t.Error(synced, err)
	}
}
