package requests

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// ofBound is how much of REFUSED is looked at for one delivery: all of it, unless bodies are large.
var ofBound = stream.Bound{Messages: 3000, Bytes: 8 << 20}

// Of returns the requests of a delivery id that became no event, as far as they are kept: its repetitions among them. The
// oldest come first. More says that not everything was looked at.
func Of(ctx context.Context, js jetstream.JetStream, delivery string) (rows []Row, more bool, err error) {
	if delivery == "" {
		return nil, false, nil
	}
	more, err = stream.ScanSome(ctx, js, stream.Refused, "refused.>", 1, ofBound, func(m *jetstream.RawStreamMsg) error {
		if m.Header.Get(zorio.HeaderDelivery) == delivery {
			if row, ours := NewRow(stream.Refused, m); ours {
				rows = append(rows, row)
			}
		}
		return nil
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, false, nil
	}
	return rows, more, err
}
