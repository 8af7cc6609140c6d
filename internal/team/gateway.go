package team

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// gateways are told where teams are, under a name that no team can have.
const gateways = "=gateway"

// Gateway is one of the gateways, by what it said last.
type Gateway struct {
	telemetry.Readiness
	Host     string            `json:"host"`
	Version  string            `json:"version"`
	Started  time.Time         `json:"started"`
	Answers  map[string]uint64 `json:"answers"`             // requests since then, by answer, as in sluice_requests_total
	DiskFree uint64            `json:"disk_free,omitempty"` // bytes, on the disk of its data folder
	DiskSize uint64            `json:"disk_size,omitempty"`
	Said     time.Time         `json:"said"` // by the clock of NATS
	Process  string            `json:"-"`    // differs between any two processes
}

// ReportGateway is [Report] for a gateway.
func ReportGateway(ctx context.Context, js jetstream.JetStream, state func() Gateway) {
	host, _ := os.Hostname() // one that has no name is known by its number
	stream.Tell(ctx, js, gateways, func(ending bool) any {
		g := state()
		if g.Host = host; ending {
			g.Status = string(Stopped)
		}
		return g
	})
}

// Gateways returns those that reported within the last hour, the latest report first.
func Gateways(ctx context.Context, js jetstream.JetStream) (all []*Gateway, err error) {
	err = stream.Scan(ctx, js, "KV_"+stream.Processes, stream.Told+gateways+".>", func(m *jetstream.RawStreamMsg) error {
		g := &Gateway{}
		if json.Unmarshal(m.Data, g) == nil && g.Status != "" {
			g.Said, g.Process = m.Time.UTC(), m.Subject
			all = append(all, g)
		}
		return nil
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) { // it is of an older version
		return nil, nil
	}
	slices.SortStableFunc(all, func(a, b *Gateway) int { return b.Said.Compare(a.Said) })
	return all, err
}

// Alive reports whether a gateway reported lately, and has not stopped.
func (g *Gateway) Alive(now time.Time) bool {
	return g.Status != string(Stopped) && now.Sub(g.Said) < silentAfter
}
