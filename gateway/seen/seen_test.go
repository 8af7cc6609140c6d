package seen

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/secure"
	"github.com/sluicehq/sluice/pkg/event"
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

// every is what each implementation does.
var every = map[string]func(t *testing.T, m memory){
	"only what is marked is seen":                       onlyWhatIsMarkedIsSeen,
	"another body under a known id is another delivery": anotherBodyIsAnotherDelivery,
	"marks about another stream count for nothing":      marksAboutAnotherStream,
	"identities of the signature alone":                 theSignatureAlone,
	"what is older than the contract is not remembered": whatIsOlderThanTheContract,
	"identities of any form":                            identitiesOfAnyForm,
	"batches of any size":                               batchesOfAnySize,
}

// each runs a test in memory, and in each layout of a Redis.
func each(t *testing.T, test func(t *testing.T, m memory)) {
	t.Helper()
	t.Parallel()
	t.Run("Memory", func(t *testing.T) { test(t, NewMemory(100_000)) })
	url := rig.StartRedis(t).URL()
	for _, layout := range []Layout{Zorio, Small} {
		t.Run(string(layout), func(t *testing.T) { test(t, &apart{openAs(t, url, layout), string(layout)}) })
	}
}

func TestOnlyWhatIsMarkedIsSeen(t *testing.T) { each(t, onlyWhatIsMarkedIsSeen) }
func TestAnotherBodyUnderAKnownIDIsAnotherDelivery(t *testing.T) {
	each(t, anotherBodyIsAnotherDelivery)
}
func TestMarksAboutAnotherStreamCountForNothing(t *testing.T)    { each(t, marksAboutAnotherStream) }
func TestIdentitiesOfTheSignatureAlone(t *testing.T)             { each(t, theSignatureAlone) }
func TestWhatIsOlderThanTheContractIsNotRemembered(t *testing.T) { each(t, whatIsOlderThanTheContract) }
func TestIdentitiesOfAnyForm(t *testing.T)                       { each(t, identitiesOfAnyForm) }
func TestBatchesOfAnySize(t *testing.T)                          { each(t, batchesOfAnySize) }

// The same in each other way to run Redis; each test has ids of its own.
func TestEveryWayToRunRedis(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T) (url string){
		"the gateway's user": startGuarded,
		"Cluster":            func(t *testing.T) string { return rig.StartRedisCluster(t, 3, 0)[0].URL() + "?cluster=true" },
		"Sentinel":           func(t *testing.T) string { return startSentinel(t) + "?master_name=main" },
		"unix socket": func(t *testing.T) string {
			socket := t.TempDir() + "/redis.sock"
			rig.StartRedis(t, "--unixsocket", socket)
			return "unix://" + socket
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := start(t)
			for _, layout := range []Layout{Zorio, Small} {
				for name, test := range every {
					t.Run(string(layout)+", "+name, func(t *testing.T) {
						test(t, &apart{openAs(t, url, layout), string(layout) + name})
					})
				}
			}
		})
	}
}

// apart has ids that no other test has.
type apart struct {
	*Redis
	prefix string
}

func (a *apart) Lookup(ctx context.Context, identities []string, seen []bool) error {
	own := make([]string, len(identities))
	for i, identity := range identities {
		own[i] = a.own(identity)
	}
	return a.Redis.Lookup(ctx, own, seen)
}

func (a *apart) Mark(ctx context.Context, marks []Mark) error {
	own := slices.Clone(marks)
	for i := range own {
		own[i].Identity = a.own(own[i].Identity)
	}
	return a.Redis.Mark(ctx, own)
}

// own keeps the form of a UUID.
func (a *apart) own(identity string) string {
	if delivery, digits := event.SplitIdentity(identity); rawUUID(delivery) != nil {
		sum := sha256.Sum256([]byte(a.prefix + delivery))
		return uuid(sum[:16]) + "/" + digits
	}
	return a.prefix + identity
}

func uuid(raw []byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:16])
}

func open(t testing.TB, url string) *Redis { return openAs(t, url, Small) }

func openAs(t testing.TB, url string, layout Layout) *Redis {
	t.Helper()
	r, err := NewRedis(url, secure.Files{}, layout, slog.New(slog.DiscardHandler))
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
func patiently(t testing.TB, m memory, ask func() error) {
	t.Helper()
	rig.Eventually(t, 20*time.Second, "Redis answers in time", func() bool {
		err := ask()
		if r, is := redisOf(m); is && err != nil {
			for _, s := range r.shards.Load().list {
				if _, err := r.probe(t.Context(), s); err == nil {
					s.reset()
				}
			}
		}
		return err == nil
	})
}

func redisOf(m memory) (*Redis, bool) {
	if a, is := m.(*apart); is {
		return a.Redis, true
	}
	r, is := m.(*Redis)
	return r, is
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

func onlyWhatIsMarkedIsSeen(t *testing.T, m memory) {
	expect(t, lookup(t, m, "one/"+digitsA, "two/"+digitsA), false, false)
	mark(t, m, time.Now(), "one/"+digitsA)
	expect(t, lookup(t, m, "one/"+digitsA, "two/"+digitsA), true, false)
	mark(t, m, time.Now(), "one/"+digitsA, "two/"+digitsA)
	expect(t, lookup(t, m, "two/"+digitsA, "one/"+digitsA), true, true)
}

func anotherBodyIsAnotherDelivery(t *testing.T, m memory) {
	mark(t, m, time.Now(), "id/"+digitsA)
	expect(t, lookup(t, m, "id/"+digitsB, "id/"+digitsA), false, true)
	mark(t, m, time.Now(), "id/"+digitsB)
	expect(t, lookup(t, m, "id/"+digitsB, "id/"+digitsA, "id/cccccccccccccccc"), true, true, false)
}

// What lay in a stream that is gone is not stored any more.
func marksAboutAnotherStream(t *testing.T, m memory) {
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
}

func theSignatureAlone(t *testing.T, m memory) {
	digits := strings.Repeat("0f", 32)
	expect(t, lookup(t, m, digits), false)
	mark(t, m, time.Now(), digits)
	expect(t, lookup(t, m, digits, strings.Repeat("1f", 32)), true, false)
}

func whatIsOlderThanTheContract(t *testing.T, m memory) {
	mark(t, m, time.Now().Add(-TTL), "old/"+digitsA)
	mark(t, m, time.Now().Add(-TTL+time.Hour), "young/"+digitsA)
	expect(t, lookup(t, m, "old/"+digitsA, "young/"+digitsA), false, true)
}

// What looks alike is not the same.
func identitiesOfAnyForm(t *testing.T, m memory) {
	const id = "0d5c1f0e-5a1f-4a57-9a0e-00000000000"
	all := []string{
		id + "a/" + digitsA, id + "a/" + digitsB, id + "b/" + digitsA, id + "A/" + digitsA, id + "a/" + strings.ToUpper(digitsA),
		strings.ReplaceAll(id, "-", "") + "a/" + digitsA, id + "a", "a/b/" + digitsA, "a/" + digitsA, strings.Repeat("x", 128) + "/" + digitsA,
	}
	for i := range all {
		seen := make([]bool, len(all))
		for j := range i {
			seen[j] = true
		}
		expect(t, lookup(t, m, all...), seen...)
		mark(t, m, time.Now(), all[i])
	}
}

// The largest batch is the gateway's largest group.
func batchesOfAnySize(t *testing.T, m memory) {
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
}
