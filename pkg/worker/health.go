package worker

import (
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/telemetry"
)

// NATSHealth is the state of NATS and of a team's consumers in its streams, for /readyz: down until both exist. It is
// safe for concurrent use.
type NATSHealth struct {
	url string

	mu     sync.Mutex
	nc     *nats.Conn
	places []*stream.Place
	last   telemetry.Health
}

// NewNATSHealth returns the state of a consumer that is not connected yet.
func NewNATSHealth(url string) *NATSHealth {
	return &NATSHealth{url: mask.Address(url), last: telemetry.Health{Status: telemetry.Down, Since: time.Now()}}
}

// Follow watches a connection, and the places that are taken over it, until stop is called.
func (h *NATSHealth) Follow(nc *nats.Conn, places ...*stream.Place) (stop func()) {
	h.mu.Lock()
	h.nc, h.places = nc, places
	h.mu.Unlock()
	changes := nc.StatusChanged()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range changes {
			h.Health() // so that it is known since when
		}
	}()
	return func() { nc.RemoveStatusListener(changes); <-ended }
}

// add watches more places.
func (h *NATSHealth) add(places ...*stream.Place) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.places = append(h.places, places...)
}

// Health is the state now.
func (h *NATSHealth) Health() telemetry.Health {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	if now.Since = h.last.Since; now.Status != h.last.Status {
		now.Since = time.Now()
	}
	h.last = now
	return now
}

func (h *NATSHealth) now() telemetry.Health {
	switch {
	case h.nc == nil:
		return h.down("not connected yet")
	case !h.nc.IsConnected():
		return h.down("not connected")
	}
	var troubles []string
	for _, p := range h.places {
		if t := p.Trouble(); t != "" {
			troubles = append(troubles, t)
		}
	}
	if len(troubles) > 0 {
		return telemetry.Health{Status: telemetry.Down, Detail: "no events from " + strings.Join(troubles, "; "),
			Remedy: "start the gateway, which creates the streams; the consumer then continues by itself"}
	}
	return telemetry.Health{Status: telemetry.OK}
}

func (h *NATSHealth) down(detail string) telemetry.Health {
	return telemetry.Health{Status: telemetry.Down, Detail: detail, Remedy: "start NATS at " + h.url + "; events wait in the stream, nothing is lost"}
}
