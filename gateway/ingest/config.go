package ingest

import (
	"context"
	"time"

	"github.com/sluicehq/sluice/gateway/seen"
	"github.com/sluicehq/sluice/gateway/source"
)

// Seen remembers which deliveries are stored. Lookup and Mark take a batch in one round trip, and an error of either
// costs nothing but the memory: the stream's own duplicate window stands behind it.
type Seen interface {
	// Lookup sets seen[i] where identities[i] is remembered. An error means that of some nothing is known: those are not seen.
	Lookup(ctx context.Context, identities []string, seen []bool) error
	// Lacks reports whether it knows that marks are missing until a refill ends: what is not seen then may be stored.
	Lacks() bool
	// Mark remembers what is stored. After an error it knows by itself that something is missing, and sees to it.
	Mark(ctx context.Context, marks []seen.Mark) error
	// Missed says that something published at that time may be stored without a mark: the memory sees to it, behind the
	// requests, by a refill from the stream.
	Missed(since time.Time)
}

// Config is what a deployment chooses.
type Config struct {
	Source       source.Source
	URLPath      string        // the one path that webhooks come to
	MaxInflight  int           // maximum concurrent requests; beyond it, 503
	MaxBody      int           // bytes
	MaxBytes     int64         // maximum memory for the bodies of concurrent requests; beyond it, 503
	BodyIdentity bool          // deduplicate on the signature alone
	MaxCopies    int           // deliveries of one signature that are taken within half an hour; 0 means no bound
	TrustTrace   bool          // the sender's traceparent is the parent of what is traced here, and not only linked
	AcceptLate   time.Duration // authentic deliveries up to this age are ordinary events; 0 quarantines what is late

	Silence time.Duration // nothing authentic for so long is worth a word, where more comes usually; 0: never

	// Opened is closed when the streams are there: until then deliveries wait, within their Budget, or are kept in the
	// journal. Nil means that they are.
	Opened <-chan struct{}
	// Journal keeps what NATS does not take in time; nil where this machine has no disk for it.
	Journal Journal
	// JournalFirst has every delivery kept there and answered, before NATS gets it.
	JournalFirst bool
	// Kept is called when the journal has more than before. It must not block.
	Kept func()
	// Shared says that other gateways ask the same memory.
	Shared bool
	// Full says why nothing more may be stored now; nil where nothing says so. It must not block.
	Full func() error
}
