package ingest

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicehq/sluice/pkg/telemetry"
)

func TestAWrongClockIsToldFromLateRetries(t *testing.T) {
	late := func(c *clock, times int) {
		for range times {
			c.saw(true, 10*time.Minute, time.Now())
			time.Sleep(time.Second)
		}
	}
	for name, c := range map[string]struct {
		happens func(c *clock)
		want    telemetry.Status
	}{
		"nothing":                      {func(*clock) {}, telemetry.OK},
		"everything is stale":          {func(c *clock) { late(c, 12) }, telemetry.Degraded},
		"a few retries, and nobody":    {func(c *clock) { late(c, enoughLate-1) }, telemetry.OK},
		"retries beside what is fresh": {func(c *clock) { late(c, 6); c.saw(false, 0, time.Now()); late(c, 6) }, telemetry.OK},
		"mended":                       {func(c *clock) { late(c, 12); c.saw(false, 0, time.Now()) }, telemetry.OK},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var watched clock
				c.happens(&watched)
				h := watched.health(time.Now())
				if h.Status != c.want || c.want != telemetry.OK && !strings.Contains(h.Detail, "by 10m0s") {
					t.Errorf("%+v, want %s", h, c.want)
				}
			})
		})
	}
}
