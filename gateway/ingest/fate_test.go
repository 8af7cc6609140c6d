package ingest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/sluicehq/sluice/gateway/source"
	"github.com/sluicehq/sluice/internal/stream"
)

// Whether the sender shall come back depends on whether that can help.
func TestWhatIsNotStoredIsAnsweredByItsReason(t *testing.T) {
	p := &Path{answers: newAnswers(source.Zorio.Answers)}
	for _, c := range []struct {
		err  error
		want *answer
	}{
		{stream.ErrInDoubt, p.answers.notStored},
		{stream.ErrNotStored, p.answers.notStored},
		{stream.ErrRefused, p.answers.notStored},
		{stream.ErrUnstorable, p.answers.unstorable},
		{errors.Join(stream.ErrUnstorable, nats.ErrMaxPayload), p.answers.tooLarge},
	} {
		for _, d := range []*delivery{{}, {quarantined: late}, {quarantined: unroutable}} {
			if got := p.outcome(d, stream.Ack{}, fmt.Errorf("because: %w", c.err)); got != c.want {
				t.Errorf("%v (%q): %s, want %s", c.err, d.quarantined, got.label, c.want.label)
			}
		}
	}
}
