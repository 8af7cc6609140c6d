package seen

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
)

// BenchmarkGroup is a look-up and a mark of a group as it forms at 64 connections, in each layout.
func BenchmarkGroup(b *testing.B) {
	for _, layout := range []Layout{Zorio, Small} {
		b.Run(string(layout), func(b *testing.B) {
			r := openAs(b, rig.StartRedis(b).URL(), layout)
			marks, identities, known := make([]Mark, 24), make([]string, 24), make([]bool, 24)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				for i := range identities {
					identities[i] = fmt.Sprintf("0d5c1f0e-5a1f-4a57-9a0e-%012d/0123456789abcdef", 24*n+i)
					marks[i] = Mark{Identity: identities[i], Sequence: uint64(24*n + i), Stored: time.Now()}
				}
				patiently(b, r, func() error { return r.Lookup(context.Background(), identities, known) })
				patiently(b, r, func() error { return r.Mark(context.Background(), marks) })
			}
		})
	}
}
