package durability

import (
	"strings"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/secure"
)

func TestWhetherNATSSyncsIsSaidWithoutThePasswordOfItsMonitor(t *testing.T) {
	t.Parallel()
	nc := rig.JetStream(t, rig.StartNats(t, "").URL()).Conn()
	monitor := "http://ops:GEHEIM@" + rig.Address(t)
	_, err := AskSyncing(t.Context(), nc, nc.ConnectedUrl(), monitor, secure.Files{})
	if err == nil || strings.Contains(err.Error(), "GEHEIM") || !strings.Contains(err.Error(), "http://xxxxx@127.0.0.1:") {
		t.Error(err)
	}
}
