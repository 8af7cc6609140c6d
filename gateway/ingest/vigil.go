package ingest

import (
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicehq/sluice/pkg/telemetry"
)

// vigil watches whether what comes from the sender is still authentic. After a secret was rotated on one side alone all
// of it is refused, and the sender gives the URL up after 50 failures in a row. Forgeries of strangers do not count: not
// while something authentic comes beside them, nor when they come from where nothing authentic ever did.
type vigil struct {
	log     *slog.Logger
	refused *telemetry.Limiter

	right atomic.Int64 // when the last authentic delivery came, in nanoseconds since 1970; 0 for never
	wrong atomic.Int64 // how many wrong signatures have come since then
	first atomic.Int64 // when the first of those came
	well  atomic.Int64 // since when all is well

	mu      sync.Mutex
	senders map[netip.Addr]struct{} // where something authentic came from
}

// All is not well after so many wrong signatures and no right one for so long.
const (
	enoughWrong = 10
	wrongFor    = 10 * time.Second
	maxSenders  = 4096
)

func newVigil(log *slog.Logger, refused *telemetry.Limiter, now time.Time) *vigil {
	v := &vigil{log: log, refused: refused, senders: map[netip.Addr]struct{}{}}
	v.well.Store(now.UnixNano())
	return v
}

// saw notes a right signature.
func (v *vigil) saw(from *peer, now time.Time) {
	v.right.Store(now.UnixNano())
	if v.wrong.Load() > 0 {
		v.end(now)
	}
	if !from.authentic.Load() {
		from.authentic.Store(true)
		v.remember(from.address)
	}
}

func (v *vigil) end(now time.Time) {
	if v.fails(now) {
		v.well.Store(now.UnixNano())
		v.log.Info("what the sender signs is authentic again", "refused", v.wrong.Load())
	}
	v.wrong.Store(0)
}

func (v *vigil) remember(address netip.Addr) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.senders) < maxSenders {
		v.senders[address] = struct{}{}
	}
}

// missed notes a wrong signature under a timestamp of now.
func (v *vigil) missed(from *peer, now time.Time) {
	if !from.authentic.Load() && !v.couldBeSender(from.address) {
		return
	}
	switch v.wrong.Add(1) {
	case 1:
		v.first.Store(now.UnixNano())
	case enoughWrong:
		time.AfterFunc(wrongFor, v.warn) // what is refused now may be the last for long
	}
	if v.fails(now) {
		v.warn()
	}
}

// knows says whether something authentic came from an address.
func (v *vigil) knows(address netip.Addr) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, known := v.senders[address]
	return known
}

// couldBeSender is true of everybody until something authentic came.
func (v *vigil) couldBeSender(address netip.Addr) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, known := v.senders[address]
	return known || len(v.senders) == 0
}

func (v *vigil) fails(now time.Time) bool {
	return v.wrong.Load() >= enoughWrong && now.UnixNano()-v.first.Load() >= int64(wrongFor)
}

const signatureRemedy = "compare ZORIO_WEBHOOK_SECRET with the sender's console, and send SIGHUP after a change of its file: Zorio gives a URL up after 50 failures in a row; sluicectl refused and sluicectl verify --refused show what came"

func (v *vigil) warn() {
	if h := v.health(time.Now()); h.Status != telemetry.OK {
		v.refused.Warn("signatures", "what the sender signs is not authentic", fmt.Errorf("%s", h.Detail), h.Remedy)
	}
}

func (v *vigil) health(now time.Time) telemetry.Health {
	if !v.fails(now) {
		return telemetry.Health{Status: telemetry.OK, Since: time.Unix(0, v.well.Load())}
	}
	last := "none was right since the start"
	if right := v.right.Load(); right > 0 {
		last = "the last right one came " + time.Unix(0, right).UTC().Format(time.RFC3339)
	}
	return telemetry.Health{
		Status: telemetry.Degraded, Since: time.Unix(0, v.first.Load()), Remedy: signatureRemedy,
		Detail: fmt.Sprintf("%d signatures in a row were made by no secret that is set; %s", v.wrong.Load(), last),
	}
}

// Signatures says whether what the sender signs is authentic.
func (p *Path) Signatures() telemetry.Health { return p.vigil.health(time.Now()) }
