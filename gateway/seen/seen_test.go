package seen

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/secure"
)

// A pool of the client's that could not connect tries once more, within a second of its end.
func TestMain(m *testing.M) {
	rig.ManyAtOnce()
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// memory is what both implementations do.
type memory interface {
	Lookup(ctx context.Context, identities []string, seen []bool) error
	Mark(ctx context.Context, marks []Mark) error
	Of(created time.Time) (other bool)
}

// every runs a test against each implementation.
func every(t *testing.T, test func(t *testing.T, m memory)) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) memory{
		"Memory":                      func(*testing.T) memory { return NewMemory(100_000) },
		"Redis":                       func(t *testing.T) memory { return open(t, rig.StartRedis(t).URL()) },
		"the gateway's user of Redis": func(t *testing.T) memory { return open(t, startGuarded(t)) },
		"Cluster":                     func(t *testing.T) memory { return open(t, rig.StartRedisCluster(t, 3, 0)[0].URL()+"?cluster=true") },
		"Sentinel":                    func(t *testing.T) memory { return open(t, startSentinel(t)+"?master_name=main") },
		"unix socket": func(t *testing.T) memory {
			socket := t.TempDir() + "/redis.sock"
			rig.StartRedis(t, "--unixsocket", socket)
			return open(t, "unix://"+socket)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, start(t))
		})
	}
}

func open(t *testing.T, url string) *Redis {
	t.Helper()
	r, err := NewRedis(url, secure.Files{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	rig.Eventually(t, 20*time.Second, "the first look-up at "+url+" works", func() bool {
		if r.learn(t.Context()) != nil {
			return false
		}
		for _, s := range r.shards.Load().list {
			if _, err := r.probe(t.Context(), s); err != nil {
				return false
			}
		}
		return true
	})
	return r
}

// startSentinel is a Sentinel that watches one master.
func startSentinel(t *testing.T) string {
	t.Helper()
	master := rig.StartRedis(t)
	sentinel := rig.StartSentinel(t, master)
	return sentinel.URL()
}

func lookup(t *testing.T, m memory, identities ...string) []bool {
	t.Helper()
	seen := make([]bool, len(identities))
	patiently(t, m, func() error { clear(seen); return m.Lookup(t.Context(), identities, seen) })
	return seen
}

func mark(t *testing.T, m memory, stored time.Time, identities ...string) {
	t.Helper()
	marks := make([]Mark, len(identities))
	for i, identity := range identities {
		marks[i] = Mark{Identity: identity, Sequence: uint64(i + 1), Stored: stored}
	}
	patiently(t, m, func() error { return m.Mark(t.Context(), marks) })
}

// patiently asks a Redis again that a busy machine let answer too late.
func patiently(t *testing.T, m memory, ask func() error) {
	t.Helper()
	rig.Eventually(t, 20*time.Second, "Redis answers in time", func() bool {
		err := ask()
		if r, is := m.(*Redis); is && err != nil {
			for _, s := range r.shards.Load().list {
				if _, err := r.probe(t.Context(), s); err == nil {
					s.reset()
				}
			}
		}
		return err == nil
	})
}

func expect(t *testing.T, got []bool, want ...bool) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("seen %v, want %v", got, want)
	}
}

const (
	digitsA = "aaaaaaaaaaaaaaaa"
	digitsB = "bbbbbbbbbbbbbbbb"
)

func TestOnlyWhatIsMarkedIsSeen(t *testing.T) {
	every(t, func(t *testing.T, m memory) {
		expect(t, lookup(t, m, "one/"+digitsA, "two/"+digitsA), false, false)
		mark(t, m, time.Now(), "one/"+digitsA)
		expect(t, lookup(t, m, "one/"+digitsA, "two/"+digitsA), true, false)
		mark(t, m, time.Now(), "one/"+digitsA, "two/"+digitsA)
		expect(t, lookup(t, m, "two/"+digitsA, "one/"+digitsA), true, true)
	})
}

func TestAnotherBodyUnderAKnownIDIsAnotherDelivery(t *testing.T) {
	every(t, func(t *testing.T, m memory) {
		mark(t, m, time.Now(), "id/"+digitsA)
		expect(t, lookup(t, m, "id/"+digitsB, "id/"+digitsA), false, true)
		mark(t, m, time.Now(), "id/"+digitsB)
		expect(t, lookup(t, m, "id/"+digitsB, "id/"+digitsA, "id/cccccccccccccccc"), true, true, false)
	})
}

// What lay in a stream that is gone is not stored any more.
func TestMarksAboutAnotherStreamCountForNothing(t *testing.T) {
	every(t, func(t *testing.T, m memory) {
		one, two := time.Now().Add(-time.Hour), time.Now()
		if m.Of(one) {
			t.Error("the first stream is another one")
		}
		mark(t, m, time.Now(), "id/"+digitsA)
		if m.Of(one) {
			t.Error("the same stream is another one")
		}
		expect(t, lookup(t, m, "id/"+digitsA), true)
		if !m.Of(two) {
			t.Error("another stream is the same")
		}
		expect(t, lookup(t, m, "id/"+digitsA), false)
		mark(t, m, time.Now(), "id/"+digitsA, "id/"+digitsB)
		expect(t, lookup(t, m, "id/"+digitsA, "id/"+digitsB), true, true)
	})
}

func TestIdentitiesOfTheSignatureAlone(t *testing.T) {
	every(t, func(t *testing.T, m memory) {
		digits := strings.Repeat("0f", 32)
		expect(t, lookup(t, m, digits), false)
		mark(t, m, time.Now(), digits)
		expect(t, lookup(t, m, digits, strings.Repeat("1f", 32)), true, false)
	})
}

func TestWhatIsOlderThanTheContractIsNotRemembered(t *testing.T) {
	every(t, func(t *testing.T, m memory) {
		mark(t, m, time.Now().Add(-TTL), "old/"+digitsA)
		mark(t, m, time.Now().Add(-TTL+time.Hour), "young/"+digitsA)
		expect(t, lookup(t, m, "old/"+digitsA, "young/"+digitsA), false, true)
	})
}

// The largest batch is the gateway's largest group.
func TestBatchesOfAnySize(t *testing.T) {
	every(t, func(t *testing.T, m memory) {
		expect(t, lookup(t, m))
		mark(t, m, time.Now())
		identities := make([]string, 512)
		for i := range identities {
			identities[i] = fmt.Sprintf("many-%d/%s", i, digitsA)
		}
		mark(t, m, time.Now(), identities[:400]...)
		for i, seen := range lookup(t, m, identities...) {
			if seen != (i < 400) {
				t.Fatalf("%s: seen %v", identities[i], seen)
			}
		}
	})
}
