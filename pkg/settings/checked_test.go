package settings

import (
	"errors"
	"testing"
)

type hub struct {
	URL string `env:"T_HUB" help:"where"`
}

func (h *hub) Check() error {
	if h.URL == "wrong" {
		return errors.New("T_HUB is wrong")
	}
	return nil
}

type (
	// Base is embedded, and so its method is also that of what embeds it.
	Base   struct{ Hub hub }
	silent struct{ Base }
	louder struct{ Base }
)

func (b *Base) Check() error   { return b.Hub.Check() }
func (l *louder) Check() error { return errors.New("louder") }

func TestEachPartOfTheSettingsIsCheckedOnce(t *testing.T) {
	environment := map[string]string{"T_HUB": "wrong"}
	for want, s := range map[string]any{"T_HUB is wrong": &silent{}, "T_HUB is wrong\nlouder": &louder{}} {
		if err := load(s, environment); err == nil || err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if err := load(&silent{}, map[string]string{"T_HUB": "right"}); err != nil {
		t.Error(err)
	}
}
