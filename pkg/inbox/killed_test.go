package inbox

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/worker"
)

// The points at which a consumer may die: every step between the event's arrival and the end of its acknowledgement.
var points = []string{"taken", "remembered", "written", "committed", "acknowledged"}

const (
	childVariable = "INBOX_TEST_CHILD" // the team of a consumer that this test runs as a process
	pointVariable = "INBOX_TEST_POINT" // where it dies
)

func TestKilledAtAnyPointAnEffectIsThereExactlyOnce(t *testing.T) {
	t.Parallel()
	server := rig.StartNats(t, "")
	js := server.Declared()
	msg := nats.NewMsg(event.Subject("zorio", "pbx.call.hangup"))
	msg.Header.Set(event.HeaderID, "id/0123456789abcdef")
	if _, err := js.PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	postgres := rig.StartPostgres(t)
	for _, point := range points {
		for database, s := range map[string]Settings{"sqlite": {Data: t.TempDir()}, "postgres": {DatabaseURL: postgres.URL()}} {
			team := database + "-" + point
			environment := rig.Environment(childVariable+"="+team, "NATS_URL="+server.URL(), "DATABASE_URL="+s.DatabaseURL, "SLUICE_DATA="+s.Data)
			t.Run(team, func(t *testing.T) {
				t.Parallel() // what is held by a process that dies comes back after 15 s
				child := rig.Start(t, self, nil, append(environment, pointVariable+"="+point))
				if point == "acknowledged" {
					acknowledged(t, js, team)
					child.Kill()
				}
				if code := child.Wait(90 * time.Second); code != -1 {
					t.Fatalf("exit code %d instead of a death:\n%s", code, child.Output())
				}
				rig.Start(t, self, nil, environment)
				acknowledged(t, js, team)
				i := open(t, s, team)
				if effects, handled := rows(t, i, "effects", "identity"), rows(t, i, "sluice_inbox", "team"); effects != 1 || handled != 1 {
					t.Errorf("%d effects, %d handled events", effects, handled)
				}
			})
		}
	}
}

func acknowledged(t *testing.T, js jetstream.JetStream, team string) {
	t.Helper()
	rig.Eventually(t, 2*time.Minute, team+" has acknowledged the event", func() bool {
		durable, err := js.Consumer(t.Context(), stream.Events, team)
		return err == nil && durable.CachedInfo().AckFloor.Stream == 1
	})
}

// rows counts the rows that are the team's.
func rows(t *testing.T, i *Inbox, table, column string) (n int) {
	t.Helper()
	if err := i.DB().QueryRowContext(t.Context(), "SELECT count(*) FROM "+table+" WHERE "+column+" = $1", i.team).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// beAConsumer is what the test's processes do.
func beAConsumer() {
	team := os.Getenv(childVariable)
	i, err := Open(context.Background(), team, Settings{DatabaseURL: os.Getenv("DATABASE_URL"), Data: os.Getenv("SLUICE_DATA")}, effects)
	if err == nil {
		err = worker.Run(context.Background(), worker.Team{Name: team}, func(ctx context.Context, e *event.Event) error {
			dieAt("taken")
			err := i.Once(ctx, e, func(ctx context.Context, tx *sql.Tx) error {
				dieAt("remembered")
				_, err := tx.ExecContext(ctx, `INSERT INTO effects (identity, at) VALUES ($1, $2)`, team, time.Now().UTC())
				dieAt("written")
				return err
			})
			dieAt("committed")
			return err
		})
	}
	fmt.Println("unexpected:", err)
	os.Exit(1)
}

func dieAt(point string) {
	if os.Getenv(pointVariable) == point {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}
