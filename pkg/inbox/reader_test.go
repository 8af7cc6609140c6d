package inbox

import (
	"errors"
	"fmt"
	"testing"

	"github.com/sluicehq/sluice/pkg/event"
)

func TestAReaderKnowsWhatWasHandled(t *testing.T) {
	every(t, func(t *testing.T, s Settings) {
		if _, err := OpenReader(t.Context(), "pbx", s); !errors.Is(err, ErrNoInbox) {
			t.Fatalf("before there is one: %v", err)
		}
		i := open(t, s, "pbx")
		var asked []*event.Event
		for n := range 2*handledAtOnce + 7 {
			e := &event.Event{Identity: fmt.Sprintf("id-%d", n)}
			asked = append(asked, e)
			if n%100 != 0 {
				continue
			}
			replayed := &event.Event{Identity: fmt.Sprintf("id-%d", n+1), Replay: "r1"} // does not count
			for _, handled := range []*event.Event{e, replayed} {
				if err := i.Once(t.Context(), handled, write(handled)); err != nil {
					t.Fatal(err)
				}
			}
		}
		r, err := OpenReader(t.Context(), "pbx", s)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		missing, err := r.Missing(t.Context(), asked)
		if want := len(asked) - 11; err != nil || len(missing) != want || missing[0].Identity != "id-1" {
			t.Errorf("%d are missing, want %d: %v", len(missing), want, err)
		}
	})
}
