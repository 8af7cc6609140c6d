package ingest

import (
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicehq/sluice/pkg/telemetry"
)

func TestWhatIsNotAuthenticIsToldFromForgeries(t *testing.T) {
	var sender, stranger *peer
	for name, c := range map[string]struct {
		happens func(v *vigil)
		want    telemetry.Status
	}{
		"nothing": {func(*vigil) {}, telemetry.OK},
		"a rotation on one side": {func(v *vigil) {
			v.saw(sender, time.Now())
			miss(v, sender, 60)
		}, telemetry.Degraded},
		"a wrong secret from the start": {func(v *vigil) { miss(v, sender, 60) }, telemetry.Degraded},
		"a few wrong ones":              {func(v *vigil) { miss(v, sender, 9) }, telemetry.OK},
		"a flood from elsewhere": {func(v *vigil) {
			v.saw(sender, time.Now())
			miss(v, stranger, 10_000)
		}, telemetry.OK},
		"a flood from the same proxy, beside good traffic": {func(v *vigil) {
			for range 10 {
				miss(v, sender, 1_000)
				time.Sleep(5 * time.Second)
				v.saw(sender, time.Now())
			}
		}, telemetry.OK},
		"right again": {func(v *vigil) {
			miss(v, sender, 60)
			time.Sleep(time.Minute)
			v.saw(sender, time.Now())
		}, telemetry.OK},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sender, stranger = &peer{address: netip.MustParseAddr("192.0.2.1")}, &peer{address: netip.MustParseAddr("192.0.2.2")}
				log := slog.New(slog.DiscardHandler)
				v := newVigil(log, telemetry.NewLimiter(log, time.Second), time.Now())
				c.happens(v)
				time.Sleep(2 * wrongFor)
				if h := v.health(time.Now()); h.Status != c.want {
					t.Errorf("%+v, want %s", h, c.want)
				}
			})
		})
	}
}

func miss(v *vigil, from *peer, count int) {
	for range count {
		v.missed(from, time.Now())
	}
}
