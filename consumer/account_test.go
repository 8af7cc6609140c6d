// Package consumer's test is about all teams together.
package consumer

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

var (
	total  = flag.Int("events", 10_000, "how many events the account is about")
	rate   = flag.Int("rate", 500, "how many come a second")
	outage = flag.Duration("outage", 10*time.Second, "how long a database is away")
)

// killEvery is how many looks of the supervisor there are between two kills, about 3 s.
const killEvery = 30

// Every event fails in its transaction as its id says: once, always, or not at all. A sequence remembers what a
// transaction that was rolled back has tried. What is committed is noted, each time it is.
const faults = `
CREATE TABLE IF NOT EXISTS effects (team TEXT, identity TEXT);
CREATE OR REPLACE FUNCTION fail_as_told() RETURNS trigger AS $$
BEGIN
	IF NEW.identity LIKE 'always-%' THEN RAISE 'a bad event'; END IF;
	IF NEW.identity LIKE 'once-%' THEN
		IF nextval('"' || split_part(NEW.identity, '/', 1) || '"') = 1 THEN RAISE 'a moment of weakness'; END IF;
	END IF;
	INSERT INTO effects VALUES (NEW.team, NEW.identity);
	RETURN NULL;
END $$ LANGUAGE plpgsql;
CREATE OR REPLACE TRIGGER fail_as_told AFTER INSERT ON sluice_inbox FOR EACH ROW EXECUTE FUNCTION fail_as_told()`

// team is a consumer with its database.
type team struct {
	*rig.Process
	name, kind, key string
	database        *sql.DB
	good, bad, all  []string // delivery ids
}

// 10,000 events, of which one in twenty fails once and one in a hundred always. While they come consumers are killed at
// random, and one database is away for a while. In the end each good event has its effect once, the bad ones and no others are
// dead letters, and nothing is left.
func TestTheAccountOfAllTeams(t *testing.T) {
	server := rig.StartNats(t, "")
	js := server.Declared()
	fragile, steady := rig.StartPostgres(t), rig.StartPostgres(t)
	teams := []*team{
		{name: "pbx", kind: "pbx.call.ringing", key: "call_uuid"},
		{name: "telesales", kind: "telesales.lead.created", key: "id"},
		{name: "autocall", kind: "autocall.lead.added", key: "lead_id"},
	}
	for _, team := range teams {
		database := steady.URL()
		if team.name == "pbx" {
			database = fragile.URL()
		}
		team.start(t, server.URL(), database)
	}

	plan(t, teams)

	ctx, cancel := context.WithCancel(t.Context())
	var background sync.WaitGroup
	var published atomic.Bool
	background.Go(func() { supervise(ctx, teams, &published) })
	background.Go(func() { publish(t, js, teams); published.Store(true) })
	rig.Eventually(t, time.Minute, "the fragile team works", func() bool { return teams[0].count(t, "effects") > 500 })
	fragile.Signal(syscall.SIGQUIT)
	fragile.Wait(30 * time.Second)
	teams[0].WaitFor("different events failed in a row", time.Minute)
	time.Sleep(*outage) // that is how long it lasts
	fragile.Start()
	teams[0].WaitFor("events succeed again", time.Minute)

	for _, team := range teams {
		// What a killed consumer held comes again after 15 s.
		rig.Eventually(t, 5*time.Minute, team.name+" has settled everything", func() bool { return team.settled(t, js) })
	}
	cancel()
	background.Wait()
	for _, team := range teams {
		team.balance(t, js)
	}
}

// start starts the real consumer, and arms its database before there is an event.
func (c *team) start(t *testing.T, nats, database string) {
	t.Helper()
	var err error
	if c.database, err = sql.Open("pgx", database); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.database.Close() })
	c.Process = rig.Start(t, rig.Build(t, "./consumer/"+c.name), nil, rig.Environment("NATS_URL="+nats, "DATABASE_URL="+database,
		"SLUICE_ATTEMPTS=6", "SLUICE_BACKOFF_MIN=100ms", "SLUICE_BACKOFF_MAX=500ms"))
	c.WaitFor(`"msg":"working"`, time.Minute)
	if _, err := c.database.ExecContext(t.Context(), faults); err != nil {
		t.Fatal(err)
	}
}

// supervise starts what has ended, as a supervisor does, and until everything is published kills a consumer at random from
// time to time; not the one whose database goes away, which is to be seen to hold what it has.
func supervise(ctx context.Context, teams []*team, published *atomic.Bool) {
	for tick := 1; ctx.Err() == nil; tick++ {
		for _, team := range teams {
			if !team.Running() {
				team.Start()
			}
		}
		if tick%killEvery == 0 && !published.Load() {
			teams[1+rand.IntN(len(teams)-1)].Signal(syscall.SIGKILL)
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// plan decides which events there are, and makes the memory of those that fail once.
func plan(t *testing.T, teams []*team) {
	t.Helper()
	for n := range *total {
		team := teams[n%len(teams)]
		switch {
		case n%100 == 1:
			team.bad = append(team.bad, fmt.Sprintf("always-%d", n))
		case n%20 == 0:
			id := fmt.Sprintf("once-%d", n)
			if _, err := team.database.ExecContext(t.Context(), `CREATE SEQUENCE "`+id+`"`); err != nil {
				t.Fatal(err)
			}
			team.good = append(team.good, id)
		default:
			team.good = append(team.good, fmt.Sprintf("good-%d", n))
		}
	}
	for _, team := range teams {
		team.all = slices.Concat(team.good, team.bad)
		rand.Shuffle(len(team.all), func(a, b int) { team.all[a], team.all[b] = team.all[b], team.all[a] })
	}
}

// publish stores the events of all teams in turn, as the gateway would.
func publish(t *testing.T, js jetstream.JetStream, teams []*team) {
	begin := time.Now()
	for n := range *total {
		team := teams[n%len(teams)]
		id := team.all[n/len(teams)]
		msg := nats.NewMsg(event.Subject("zorio", team.kind))
		msg.Header.Set(event.HeaderID, identity(id))
		msg.Data = fmt.Appendf(nil, `{"event":%q,"timestamp":"2026-11-23T03:30:00Z","data":{%q:%q}}`, team.kind, team.key, id)
		if _, err := js.PublishMsgAsync(msg, jetstream.WithStallWait(time.Minute)); err != nil {
			t.Errorf("publish: %v", err)
		}
		time.Sleep(time.Until(begin.Add(time.Duration(n) * time.Second / time.Duration(*rate)))) // the rate, no hope
	}
	<-js.PublishAsyncComplete()
}

func identity(id string) string { return event.Identity(id, "0123456789abcdef") }

// count is the number of rows in a table; 0 while the database is away.
func (c *team) count(t *testing.T, table string) (n int) {
	if err := c.database.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table+" WHERE team = $1", c.name).Scan(&n); err != nil {
		t.Logf("%s: %v", c.name, err)
	}
	return n
}

// settled reports whether every event that there will be has come to its end.
func (c *team) settled(t *testing.T, js jetstream.JetStream) bool {
	durable, err := js.Consumer(t.Context(), stream.Events, c.name)
	if err != nil {
		return false
	}
	info := durable.CachedInfo()
	return info.NumPending == 0 && info.NumAckPending == 0 && c.count(t, "effects") >= len(c.good) && c.letters(t, js) >= len(c.bad)
}

// letters is the number of the team's dead letters. It makes no consumer: a server has room for 1,000 on a stream.
func (c *team) letters(t *testing.T, js jetstream.JetStream) (n int) {
	t.Helper()
	dead, err := js.Stream(t.Context(), stream.Dead)
	if err != nil {
		t.Fatal(err)
	}
	info, err := dead.Info(t.Context(), jetstream.WithSubjectFilter("dead."+c.name+".>"))
	if err != nil {
		t.Fatal(err)
	}
	for _, count := range info.State.Subjects {
		n += int(count)
	}
	return n
}

// dead are the identities of the team's dead letters.
func (c *team) dead(t *testing.T, js jetstream.JetStream) (identities []string) {
	t.Helper()
	letters, err := js.OrderedConsumer(t.Context(), stream.Dead, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"dead." + c.name + ".>"}, HeadersOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	info, err := letters.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range info.NumPending {
		m, err := letters.Next()
		if err != nil {
			t.Fatal(err)
		}
		identities = append(identities, m.Headers().Get(event.HeaderIdentity))
	}
	return identities
}

// balance compares what there was with what became of it.
func (c *team) balance(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	effects := map[string]int{}
	rows, err := c.database.QueryContext(t.Context(), "SELECT identity FROM effects WHERE team = $1", c.name)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			t.Fatal(err)
		}
		effects[one]++
	}
	for _, id := range c.good {
		if n := effects[identity(id)]; n != 1 {
			t.Errorf("%s: %s has %d effects", c.name, id, n)
		}
	}
	letters := map[string]int{}
	for _, one := range c.dead(t, js) {
		letters[one]++
	}
	for _, id := range c.bad {
		if n := letters[identity(id)]; n != 1 {
			t.Errorf("%s: %s has %d dead letters", c.name, id, n)
		}
	}
	if len(effects) != len(c.good) || len(letters) != len(c.bad) {
		t.Errorf("%s: %d events have an effect and %d are dead, of %d good and %d bad ones", c.name, len(effects), len(letters), len(c.good), len(c.bad))
	}
	t.Logf("%s: %d effects, each once; %d dead letters, each of a bad event", c.name, len(effects), len(letters))
}
