package ingest

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
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
		want    bool // that it is told
	}{
		"nothing":                      {func(*clock) {}, false},
		"everything is stale":          {func(c *clock) { late(c, 12) }, true},
		"a few retries, and nobody":    {func(c *clock) { late(c, enoughLate-1) }, false},
		"retries beside what is fresh": {func(c *clock) { late(c, 6); c.saw(false, 0, time.Now()); late(c, 6) }, false},
		"mended":                       {func(c *clock) { late(c, 12); c.saw(false, 0, time.Now()) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var watched clock
				c.happens(&watched)
				found := watched.trouble(time.Now())
				if (found != nil) != c.want || found != nil && !strings.Contains(found.detail, "by 10m0s") {
					t.Errorf("%+v, want %t", found, c.want)
				}
			})
		})
	}
}
