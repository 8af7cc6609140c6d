package seen

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/secure"
)

// BenchmarkLookup is one look-up for a group as it forms at 64 connections.
func BenchmarkLookup(b *testing.B) {
	server := rig.StartRedis(b)
	r, err := NewRedis(server.URL(), secure.Files{}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	identities := make([]string, 24)
	for i := range identities {
		identities[i] = fmt.Sprintf("0d5c1f0e-5a1f-4a57-9a0e-%012d/0123456789abcdef", i)
	}
	known := make([]bool, len(identities))
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Lookup(context.Background(), identities, known); err != nil {
			b.Fatal(err)
		}
	}
}
