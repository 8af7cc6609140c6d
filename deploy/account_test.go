package deploy

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"sync"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	"github.com/nats-io/nats.go/jetstream"
	"github.com/parquet-go/parquet-go"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

// effects notes every commit of an event's effect: the table of the inbox has each event once whatever happens.
const effects = `
CREATE TABLE effects (identity TEXT);
CREATE FUNCTION note_effect() RETURNS trigger AS $$
BEGIN INSERT INTO effects VALUES (NEW.identity); RETURN NULL; END $$ LANGUAGE plpgsql;
CREATE TRIGGER note_effect AFTER INSERT ON sluice_inbox FOR EACH ROW EXECUTE FUNCTION note_effect()`

// arm lets the database of each team note effects.
func (c *composed) arm() map[string]*sql.DB {
	c.t.Helper()
	teams := map[string]*sql.DB{}
	for _, name := range []string{"pbx", "telesales", "autocall"} {
		db, err := sql.Open("pgx", read(c.t, c.services[name].places.in("/run/secrets/"+name+"_database_url")))
		if err != nil {
			c.t.Fatal(err)
		}
		c.t.Cleanup(func() { _ = db.Close() })
		if _, err := db.ExecContext(c.t.Context(), effects); err != nil {
			c.t.Fatal(err)
		}
		teams[name] = db
	}
	return teams
}

// account compares what was answered 2xx with what is stored, and what is stored with what became of it.
type account struct {
	c        *composed
	js       jetstream.JetStream
	taken    map[string]bool
	teams    map[string]*sql.DB
	receiver *receiver
}

// patience is how long nothing may change while something is still missing.
const patience = time.Minute

// balance waits until everything has come to its end, and fails for what does not as long as something changes.
func (a *account) balance() {
	t := a.c.t
	t.Helper()
	begin, changed, missing := time.Now(), time.Now(), -1
	for ; ; time.Sleep(250 * time.Millisecond) {
		wrong, left := a.wrong(t.Context())
		if left == 0 {
			for _, line := range wrong {
				t.Error(line)
			}
			break
		}
		if left != missing {
			missing, changed = left, time.Now()
		}
		if time.Since(changed) > patience {
			for _, line := range wrong {
				t.Error(line)
			}
			t.Fatalf("%d things are still missing", left)
		}
	}
	t.Logf("everything of %d deliveries has come to its end %s after the load", len(a.taken), time.Since(begin).Round(time.Millisecond))
	a.archived()
}

// wrong says what does not hold, and how much is missing: that may still come.
func (a *account) wrong(ctx context.Context) (lines []string, missing int) {
	compare := func(who string, want, have map[string]int, most int) {
		lost, twice := 0, 0
		for id := range want {
			if have[id] == 0 {
				lost++
			}
		}
		for _, n := range have {
			if n > most {
				twice++
			}
		}
		if lost > 0 || twice > 0 {
			lines = append(lines, fmt.Sprintf("%s: of %d events %d are missing, and %d are there more than %d times", who, len(want), lost, twice, most))
		}
		missing += lost
	}
	stored := a.copies(ctx, stream.Events)
	compare("EVENTS", a.each(), stored, 1)
	for team, db := range a.teams {
		compare(team, a.copies(ctx, stream.Events, "events.zorio."+team+".>"), a.effects(ctx, db), 1)
	}
	compare("forward", stored, a.receiver.counted(), 1<<10) // who is killed after a POST sends it again: receivers deduplicate
	for _, name := range []string{stream.Dead, stream.Quarantine} {
		if n := len(a.copies(ctx, name)); n > 0 {
			lines = append(lines, fmt.Sprintf("%d are in %s", n, name))
		}
	}
	return lines, missing
}

// each has every delivery that was answered 2xx, once.
func (a *account) each() map[string]int {
	all := make(map[string]int, len(a.taken))
	for id := range a.taken {
		all[id] = 1
	}
	return all
}

func (a *account) copies(ctx context.Context, name string, subjects ...string) map[string]int {
	a.c.t.Helper()
	var all map[string]int
	rig.Eventually(a.c.t, time.Minute, "all of "+name+" can be read", func() (read bool) {
		var err error
		if all, err = rig.Copies(ctx, a.js, name, subjects...); err != nil {
			a.c.t.Logf("%s: %v", name, err)
		}
		return err == nil
	})
	return all
}

func (a *account) effects(ctx context.Context, db *sql.DB) map[string]int {
	a.c.t.Helper()
	rows, err := db.QueryContext(ctx, "SELECT identity FROM effects")
	if err != nil {
		a.c.t.Fatal(err)
	}
	defer rows.Close()
	all := map[string]int{}
	for rows.Next() {
		var identity string
		if err := rows.Scan(&identity); err != nil {
			a.c.t.Fatal(err)
		}
		all[event.DeliveryOf(identity)]++
	}
	if err := rows.Err(); err != nil {
		a.c.t.Fatal(err)
	}
	return all
}

// archived compares the files of the archive, which writes them when it stops, with what is stored.
func (a *account) archived() {
	t := a.c.t
	t.Helper()
	stored := a.copies(t.Context(), stream.Events)
	rig.Eventually(t, patience, "the archive has everything in hand", func() bool {
		durable, err := a.js.Consumer(t.Context(), stream.Events, "archive")
		return err == nil && durable.CachedInfo().NumPending == 0
	})
	a.c.stop("archive")
	files := map[string]int{}
	err := filepath.WalkDir(filepath.Join(a.c.folder, "data/archive"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".parquet" {
			return err
		}
		rows, err := parquet.ReadFile[struct {
			Delivery string `parquet:"delivery"`
		}](path)
		for _, row := range rows {
			files[row.Delivery]++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(files, stored) {
		t.Errorf("archive: %d events in files, of %d that are stored once each", len(files), len(stored))
	}
}

// counts are how often something came. It is safe for concurrent use.
type counts struct {
	mu  sync.Mutex
	all map[string]int
}

func (c *counts) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[what]++
}

func (c *counts) counted() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.all)
}

// watched waits until Prometheus reaches everything that it is told to.
func (c *composed) watched() {
	c.t.Helper()
	rig.Eventually(c.t, time.Minute, "Prometheus reaches every target", func() bool {
		var targets struct {
			Data struct{ ActiveTargets []struct{ Health string } }
		}
		text := rig.Get(c.t, "http://"+c.services["prometheus"].address+":9090/api/v1/targets")
		if err := json.Unmarshal([]byte(text), &targets); err != nil {
			c.t.Fatal(err)
		}
		for _, one := range targets.Data.ActiveTargets {
			if one.Health != "up" {
				time.Sleep(checkEvery)
				return false
			}
		}
		return len(targets.Data.ActiveTargets) == 7 // two gateways and five consumers
	})
}
