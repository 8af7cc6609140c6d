package inbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/event"
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		beAConsumer()
	}
	os.Exit(rig.Main(m))
}

const effects = `CREATE TABLE IF NOT EXISTS effects (identity TEXT, at TIMESTAMPTZ)`

// every runs a test on each database.
func every(t *testing.T, test func(t *testing.T, s Settings)) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) { test(t, Settings{Data: t.TempDir()}) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, Settings{DatabaseURL: rig.StartPostgres(t).URL()}) })
}

func open(t *testing.T, s Settings, team string) *Inbox {
	t.Helper()
	i, err := Open(t.Context(), team, s, effects)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	return i
}

// Without an identity one event is as another: the effects of all but the first would be lost in silence.
func TestAnEventWithoutAnIdentityIsRefused(t *testing.T) {
	i := open(t, Settings{Data: t.TempDir()}, "pbx")
	for range 2 {
		e := &event.Event{Name: "pbx.call.hangup", Sequence: 7}
		if err := i.Once(t.Context(), e, write(e)); err == nil || !strings.Contains(err.Error(), "pbx.call.hangup #7 has no identity") {
			t.Errorf("got %v", err)
		}
	}
	if n := count(t, i, "effects"); n != 0 {
		t.Errorf("%d effects", n)
	}
}

func write(e *event.Event) func(context.Context, *sql.Tx) error {
	return func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO effects (identity, at) VALUES ($1, $2)`, e.Identity, time.Now().UTC())
		return err
	}
}

func count(t *testing.T, i *Inbox, table string) (n int) {
	t.Helper()
	if err := i.DB().QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestAnEffectHappensOnce(t *testing.T) {
	every(t, func(t *testing.T, s Settings) {
		i, e := open(t, s, "pbx"), &event.Event{Identity: "id/0123"}
		for range 3 {
			if err := i.Once(t.Context(), e, write(e)); err != nil {
				t.Fatal(err)
			}
		}
		other := &event.Event{Identity: "id/4567"} // another body under the same id
		if err := i.Once(t.Context(), other, write(other)); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			replayed := &event.Event{Identity: "id/0123", Replay: "r1"}
			if err := i.Once(t.Context(), replayed, write(replayed)); err != nil {
				t.Fatal(err)
			}
		}
		if n := count(t, i, "effects"); n != 3 {
			t.Errorf("%d effects of 2 events and a replay", n)
		}
	})
}

func TestTeamsInOneDatabaseDoNotShareAnInbox(t *testing.T) {
	every(t, func(t *testing.T, s Settings) {
		e := &event.Event{Identity: "id/0123"}
		for _, team := range []string{"pbx", "telesales"} {
			i := open(t, s, team)
			ran := false
			if err := i.Once(t.Context(), e, func(context.Context, *sql.Tx) error { ran = true; return nil }); err != nil || !ran {
				t.Errorf("%s: ran %v: %v", team, ran, err)
			}
		}
	})
}

func TestAFailedOrPanickingEffectLeavesNothing(t *testing.T) {
	every(t, func(t *testing.T, s Settings) {
		i, e := open(t, s, "pbx"), &event.Event{Identity: "id/0123"}
		failed := errors.New("no")
		err := i.Once(t.Context(), e, func(ctx context.Context, tx *sql.Tx) error { return errors.Join(write(e)(ctx, tx), failed) })
		if !errors.Is(err, failed) {
			t.Errorf("got %v", err)
		}
		func() {
			defer func() { _ = recover() }()
			_ = i.Once(t.Context(), e, func(ctx context.Context, tx *sql.Tx) error { _ = write(e)(ctx, tx); panic("no") })
		}()
		if n := count(t, i, "effects") + count(t, i, "sluice_inbox"); n != 0 {
			t.Errorf("%d rows of an effect that failed", n)
		}
		if err := i.Once(t.Context(), e, write(e)); err != nil || count(t, i, "effects") != 1 {
			t.Errorf("not done at the next attempt: %v", err)
		}
	})
}

func TestCopiesThatRaceHaveOneEffect(t *testing.T) {
	every(t, func(t *testing.T, s Settings) {
		first, second := open(t, s, "pbx"), open(t, s, "pbx") // two instances
		var all sync.WaitGroup
		for n := range 40 {
			e := &event.Event{Identity: fmt.Sprint("id-", n%10, "/0123")}
			i := []*Inbox{first, second}[n%2]
			all.Go(func() {
				if err := i.Once(t.Context(), e, write(e)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := count(t, first, "effects"); n != 10 {
			t.Errorf("%d effects of 10 events", n)
		}
	})
}

func TestPruneForgetsOnlyWhatIsOld(t *testing.T) {
	every(t, func(t *testing.T, s Settings) {
		i, e := open(t, s, "pbx"), &event.Event{Identity: "id/0123"}
		if err := i.Once(t.Context(), e, write(e)); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			before time.Time
			want   int64
		}{{time.Now().Add(-time.Minute), 0}, {time.Now().Add(time.Minute), 1}} {
			if n, err := i.Prune(t.Context(), c.before); n != c.want || err != nil {
				t.Errorf("forgot %d before %s (%v), want %d", n, c.before, err, c.want)
			}
		}
	})
}

func TestErrorsNameTheSetting(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		settings Settings
		want     string
	}{
		"no folder":   {Settings{Data: file}, "SLUICE_DATA"},
		"no database": {Settings{DatabaseURL: "postgres://u:hunter2@" + rig.Address(t) + "/x"}, "DATABASE_URL"},
		"no URL":      {Settings{DatabaseURL: "mysql://u:hunter2@h/x"}, "DATABASE_URL"},
	} {
		_, err := Open(t.Context(), "pbx", c.settings)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
