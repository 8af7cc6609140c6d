package seen

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/secure"
)

func TestKeysAndValuesAreThoseOfTheSamples(t *testing.T) {
	t.Parallel()
	server := rig.StartRedis(t)
	r := openAs(t, server.URL(), Zorio)
	mark(t, r, time.Now(), "id-1/"+digitsA)
	mark(t, r, time.Now(), "id-1/"+digitsB)
	if got := server.Command("get", "zorio:delivery:id-1"); got != digitsA+":1" {
		t.Errorf("value %q", got)
	}
	if got := server.Command("get", "zorio:delivery:id-1/"+digitsB); got != digitsB+":1" {
		t.Errorf("value of the other body %q", got)
	}
	ttl, err := strconv.Atoi(server.Command("ttl", "zorio:delivery:id-1"))
	if err != nil || ttl < 86390 || ttl > 86400 {
		t.Errorf("expires after %d s (%v), want 86400", ttl, err)
	}
	mark(t, r, time.Now().Add(-23*time.Hour), "id-2/"+digitsA) // as a refill does
	if ttl, _ := strconv.Atoi(server.Command("ttl", "zorio:delivery:id-2")); ttl < 3590 || ttl > 3600 {
		t.Errorf("expires after %d s, want an hour", ttl)
	}
}

// A receiver that marks before it stores may have left its marks in the same Redis.
func TestMarksOfOtherReceiversCountForNothing(t *testing.T) {
	t.Parallel()
	server := rig.StartRedis(t)
	r := openAs(t, server.URL(), Zorio)
	server.Command("set", "zorio:delivery:id-1", "1")
	expect(t, lookup(t, r, "id-1/"+digitsA), false)
	mark(t, r, time.Now(), "id-1/"+digitsA)
	expect(t, lookup(t, r, "id-1/"+digitsA), true)
}

// fault is a way for Redis to be away, and how it comes back.
type fault struct{ begin, end func(*rig.Redis) }

var faults = map[string]fault{
	"hangs":           {func(r *rig.Redis) { r.Signal(syscall.SIGSTOP) }, func(r *rig.Redis) { r.Signal(syscall.SIGCONT) }},
	"killed and gone": {(*rig.Redis).Kill, (*rig.Redis).Restart},
}

// aShortWait is far more than a look-up may take, and far less than a sender waits.
const aShortWait = 2 * time.Second

func TestRedisAwayCostsOneShortWaitAndNeverMore(t *testing.T) {
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			server := rig.StartRedis(t)
			r := open(t, server.URL())
			mark(t, r, time.Now(), "id/"+digitsA)

			f.begin(server)
			defer f.end(server)
			if took, err := timed(r); err == nil || took > aShortWait {
				t.Errorf("the first look-up took %s: %v", took, err)
			}
			late := 0       // a busy machine may be, now and then
			for range 100 { // no other one waits at all
				took, err := timed(r)
				if !errors.Is(err, ErrAway) {
					t.Errorf("a further look-up: %v", err)
				}
				if took > 20*time.Millisecond {
					late++
				}
			}
			if late > 10 {
				t.Errorf("%d of 100 further look-ups took long", late)
			}
			if s := r.State(); !s.Away || s.Err == nil || time.Since(s.Since) > 10*time.Second {
				t.Errorf("state %+v", s)
			}
		})
	}
}

func TestRedisThatNeverAnswered(t *testing.T) {
	hole, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	for name, address := range map[string]string{"refused": rig.Address(t), "black hole": hole.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			r, err := NewRedis("redis://"+address, secure.Files{}, Small, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if took, err := timed(r); err == nil || took > aShortWait {
				t.Errorf("took %s: %v", took, err)
			}
			if took, err := timed(r); !errors.Is(err, ErrAway) {
				t.Errorf("took %s: %v", took, err)
			}
		})
	}
}

func timed(r *Redis) (time.Duration, error) {
	begin := time.Now()
	err := r.Lookup(context.Background(), []string{"id/" + digitsA}, make([]bool, 1))
	return time.Since(begin), err
}

func TestTheLogNamesTheRemedy(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string
		remedy string
	}{
		"wrong password": {[]string{"--requirepass", "other"}, "correct user and password"},
		"a right less":   {[]string{"--user", "default", "on", "nopass", "~*", "&*", "+@all", "-mget", "-set"}, "the user needs GET, MGET, SET"},
		"full":           {[]string{"--maxmemory", "1mb", "--maxmemory-policy", "noeviction"}, "volatile-ttl"},
		"replica":        {[]string{"--replicaof", "127.0.0.1 1"}, "master_name"},
	} {
		t.Run(name, func(t *testing.T) {
			var log rig.Buffer
			r, err := NewRedis(rig.StartRedis(t, c.args...).URL(), secure.Files{}, Small, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			stop := running(t, r, func(context.Context, Marker, time.Time) error { return nil })
			defer stop()
			rig.Eventually(t, 30*time.Second, "the log names the remedy", func() bool { return strings.Contains(log.String(), c.remedy) })
			if n := strings.Count(log.String(), "Redis is away"); n != 1 {
				t.Errorf("said %d times:\n%s", n, log.String())
			}
		})
	}
}

// refills notes from when on a refill was asked for.
type refills chan time.Time

func (c refills) refill(_ context.Context, _ Marker, since time.Time) error { c <- since; return nil }

func (c refills) expect(t *testing.T, about time.Time) {
	t.Helper()
	select {
	case since := <-c:
		if off := since.Sub(about).Abs(); off > 30*time.Second {
			t.Errorf("refilled since %s, want about %s", since, about)
		}
	case <-time.After(time.Minute):
		t.Fatalf("not refilled since %s", about)
	}
}

// covers waits until Redis says that everything is marked.
func covers(t *testing.T, r *Redis) {
	t.Helper()
	rig.Eventually(t, 30*time.Second, "all is marked again", func() bool {
		covered := parseTime(r.client.Get(t.Context(), r.shards.Load().list[0].covered).Val())
		return time.Since(covered) < 2*time.Second
	})
}

func running(t *testing.T, r *Redis, refill Refill) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { r.Run(ctx, refill) })
	return func() { cancel(); done.Wait() }
}

func TestRedisIsRefilledWhereMarksAreMissing(t *testing.T) {
	server := rig.StartRedis(t)
	r := open(t, server.URL())
	asked := make(refills)
	stop := running(t, r, asked.refill)
	asked.expect(t, time.Now().Add(-TTL)) // it is empty
	covers(t, r)

	server.Command("flushall")
	asked.expect(t, time.Now().Add(-TTL))
	covers(t, r)

	rig.Eventually(t, 30*time.Second, "nothing lacks any more", func() bool { return !r.Lacks() })
	r.Missed(time.Now().Add(-time.Hour))
	if !r.Lacks() {
		t.Error("a mark is missing, and nobody is told")
	}
	asked.expect(t, time.Now().Add(-time.Hour))
	covers(t, r)
	rig.Eventually(t, 30*time.Second, "it is refilled", func() bool { return !r.Lacks() })

	server.Kill()
	rig.Eventually(t, 30*time.Second, "it is away", func() bool { return r.State().Away })
	server.Restart() // without what it knew
	asked.expect(t, time.Now().Add(-TTL))
	covers(t, r)

	stop()
	stop = running(t, open(t, server.URL()), asked.refill) // the gateway was away for a moment
	defer stop()
	asked.expect(t, time.Now())
}

// A server that restarts from its files, or a replica that takes over, may have lost the last seconds, and what it says
// is covered is fresh all the same.
func TestWhatRedisForgotOfTheLastSecondsIsRefilled(t *testing.T) {
	server := rig.StartRedis(t)
	r := open(t, server.URL())
	asked := make(refills, 10)
	stop := running(t, r, asked.refill)
	defer stop()
	asked.expect(t, time.Now().Add(-TTL))
	covers(t, r)
	server.Command("save")
	saved := server.Command("get", coveredKey+":small")
	mark(t, r, time.Now(), "id/"+digitsA)
	rig.Eventually(t, 30*time.Second, "more is covered", func() bool { return server.Command("get", coveredKey+":small") > saved })
	server.Kill()
	server.Restart()
	if server.Command("--scan", "--pattern", "sluice:seen:{*") != "" {
		t.Fatal("it has forgotten nothing")
	}
	asked.expect(t, time.Now())
}

func TestARefillThatFailsIsTriedAgainFromWhereItBegan(t *testing.T) {
	r := open(t, rig.StartRedis(t).URL())
	asked, failed := make(refills), false
	stop := running(t, r, func(ctx context.Context, into Marker, since time.Time) error {
		_ = asked.refill(ctx, into, since)
		if !failed {
			failed = true
			return errors.New("no stream")
		}
		return nil
	})
	defer stop()
	asked.expect(t, time.Now().Add(-TTL))
	asked.expect(t, time.Now().Add(-TTL))
	covers(t, r)
}

func TestAHangingRedisComesBackByItself(t *testing.T) {
	server := rig.StartRedis(t)
	r := open(t, server.URL())
	stop := running(t, r, func(context.Context, Marker, time.Time) error { return nil })
	defer stop()
	server.Signal(syscall.SIGSTOP)
	rig.Eventually(t, 30*time.Second, "it is away", func() bool { return r.State().Away })
	server.Signal(syscall.SIGCONT)
	rig.Eventually(t, 30*time.Second, "it is back", func() bool { return !r.State().Away })
	mark(t, r, time.Now(), "id/"+digitsA)
	expect(t, lookup(t, r, "id/"+digitsA), true)
}

func TestADeliveryIsFoundByItsID(t *testing.T) {
	t.Parallel()
	for _, layout := range []Layout{Small, Zorio} {
		aDeliveryIsFound(t, layout)
	}
}

func aDeliveryIsFound(t *testing.T, layout Layout) {
	t.Helper()
	server := rig.StartRedis(t, "--maxmemory-policy", "volatile-ttl")
	r := openAs(t, server.URL(), layout)
	patiently(t, r, func() error {
		return r.Mark(t.Context(), []Mark{{Identity: "id-1/0123456789abcdef", Sequence: 42, Stored: time.Now()}})
	})
	server.Command("SET", "zorio:delivery:foreign", "1")
	for delivery, want := range map[string]uint64{"id-1": 42, "id-2": 0, "foreign": 0} {
		var got uint64
		patiently(t, r, func() (err error) { got, err = r.Find(t.Context(), delivery); return err })
		if got != want {
			t.Errorf("%s: %d", delivery, got)
		}
	}
	var policy string
	patiently(t, r, func() (err error) { policy, err = r.EvictionPolicy(t.Context()); return err })
	if policy != "volatile-ttl" {
		t.Errorf("%q", policy)
	}
}

// A stream that was restored from a backup is made now, and has events that are older.
func TestAnotherStreamIsRefilledFromItsBeginning(t *testing.T) {
	r, err := NewRedis("redis://127.0.0.1:1", secure.Files{}, Small, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	r.Of(time.Now().Add(-time.Hour))
	r.Of(time.Now())
	since := r.shards.Load().list[0].take()
	if age := time.Since(since); age < TTL || age > TTL+time.Minute {
		t.Errorf("it is refilled from %s on", since)
	}
}
