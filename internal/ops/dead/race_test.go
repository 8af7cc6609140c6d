package dead

import (
	"sync"
	"testing"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
)

// Who drops what somebody else drops at the same time is told so: together they have dropped each letter once.
func TestOfTwoWhoDropTheSameLettersEachDropsItsOwn(t *testing.T) {
	t.Parallel()
	js := rig.Hub(t, stream.Settings{})
	bury(t, js, "pbx", "pbx.call.hangup", "permanent", 200)
	var results [2]Result
	var dropping sync.WaitGroup
	for i := range results {
		dropping.Go(func() {
			var err error
			if results[i], err = DropAll(t.Context(), js, Selection{Team: "pbx", To: 200}, "ops@desk", func(*Letter) {}); err != nil {
				t.Error(err)
			}
		})
	}
	dropping.Wait()
	if a, b := results[0], results[1]; a.Done+b.Done != 200 || a.Done+a.Gone > 200 || b.Done+b.Gone > 200 {
		t.Errorf("%+v and %+v", a, b)
	}
	if left := rig.Messages(t, js, stream.Dead); left != 0 {
		t.Errorf("%d letters are left", left)
	}
}

func TestASelectionKeepsToItsSequencesAndItsKindOfError(t *testing.T) {
	t.Parallel()
	js := rig.Hub(t, stream.Settings{})
	bury(t, js, "pbx", "pbx.call.hangup", "permanent", 10)
	count := func(s Selection) (n int) {
		if err := Headers(t.Context(), js, s, func(*Letter) error { n++; return nil }); err != nil {
			t.Error(err)
		}
		return n
	}
	for _, c := range []struct {
		Selection
		want int
	}{
		{Selection{From: 3, To: 5}, 3}, {Selection{From: 9}, 2}, {Selection{To: 4}, 4}, {Selection{From: 11}, 0},
		{Selection{Like: "poison"}, 10}, {Selection{Like: "pois"}, 0}, {Selection{Like: "another"}, 0},
	} {
		if got := count(c.Selection); got != c.want {
			t.Errorf("%+v: %d, want %d", c.Selection, got, c.want)
		}
	}
	if kind(`no extension 42 for "a"`) != kind(`no extension 7 for "b"`) || kind("no extension 42") == kind("no lead 42") {
		t.Error("kinds of errors")
	}
	from, to, older, err := stream.Window(t.Context(), js, stream.Dead, 4)
	if err != nil || from != 7 || to != 10 || older != 6 {
		t.Errorf("the last four: %d-%d, %d older: %v", from, to, older, err)
	}
}
