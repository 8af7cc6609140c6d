package seen

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/secure"
)

// Whatever the time of day, and whatever the tag: what was stored within 24 hours lies in a half-day that is looked up,
// and that is still there.
func TestNothingIsForgottenWithin24Hours(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	for range 100_000 {
		stored := begin.Add(time.Duration(mathrand.Int64N(int64(4 * TTL))))
		now, tag := stored.Add(time.Duration(mathrand.Int64N(int64(TTL)))-margin/2), mathrand.IntN(tags)
		half := halfDayOf(stored, tag)
		first, last := halfDayOf(now.Add(-TTL-margin), tag), halfDayOf(now.Add(margin), tag)
		if half < first || half > last || last-first > 3 {
			t.Fatalf("stored %s, looked up %s with tag %d: half-day %d of %d to %d", stored, now, tag, half, first, last)
		}
		if halves := halvesAt(now); halves[0] > first || halves[len(halves)-1] < last || len(halves) > 5 {
			t.Fatalf("the generations of %v are read, those of %d to %d are needed", halves, first, last)
		}
		if left := endOf(half, tag).Sub(stored); left <= TTL || left > TTL+halfDay+margin {
			t.Fatalf("dropped %s after it was stored", left)
		}
	}
}

// Everything in Redis ends by itself.
func TestEveryKeyOfTheSmallLayoutExpires(t *testing.T) {
	t.Parallel()
	server := rig.StartRedis(t)
	r := open(t, server.URL())
	mark(t, r, time.Now(), "id-1/"+digitsA, "id-2/"+digitsA)
	mark(t, r, time.Now().Add(-20*time.Hour), "id-3/"+digitsA)
	expect(t, lookup(t, r, "id-1/"+digitsA, "id-2/"+digitsA, "id-3/"+digitsA), true, true, true)
	for _, key := range strings.Fields(server.Command("keys", "*")) {
		if ttl, _ := strconv.Atoi(server.Command("ttl", key)); ttl <= 3600 || ttl > 48*3600+60 {
			t.Errorf("%s ends in %d s", key, ttl)
		}
	}
}

// Hashes that fill up are joined by more, and what lies in the first ones is still known, to whoever asks.
func TestHashesThatFillUpAreJoinedByMore(t *testing.T) {
	t.Parallel()
	server := rig.StartRedis(t)
	r, other := open(t, server.URL()), open(t, server.URL())
	mark(t, r, time.Now(), "before/"+digitsA)
	expect(t, lookup(t, other, "before/"+digitsA), true)
	s := r.shards.Load().list[0]
	for half, all := range s.generations(halvesAt(time.Now())) {
		for _, g := range all {
			crowd(t, server, half, g)
		}
	}
	rig.Eventually(t, 20*time.Second, "a level more is begun", func() bool {
		r.grow(t.Context(), s)
		return s.level.Load() == 1
	})
	mark(t, r, time.Now(), spread(20)...) // finds the new level out
	mark(t, r, time.Now(), "after/"+digitsA)
	mark(t, r, time.Now(), spread(40)...)
	if keys := server.Command("--scan", "--pattern", "sluice:seen:{*.0.1.*"); strings.TrimSpace(keys) == "" {
		t.Error("nothing lies in the new level")
	}
	expect(t, lookup(t, other, "before/"+digitsA, "after/"+digitsA, "never/"+digitsA), true, true, false)
}

// crowd fills the hashes of all tags.
func crowd(t *testing.T, server *rig.Redis, half int64, g generation) {
	t.Helper()
	fields := make([]any, 0, 2*(crowded+1))
	for i := range crowded + 1 {
		fields = append(fields, fmt.Sprintf("crowd-%018d", i), 1)
	}
	client := redis.NewClient(&redis.Options{Addr: server.Address}) // one that waits
	defer func() { _ = client.Close() }()
	pipe := client.Pipeline()
	for tag := range tags {
		spot := spot{tag: tag}
		pipe.HSet(t.Context(), spot.key(half, g), fields...)
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A wipe between two marks takes the list of generations with it.
func TestAWipeBetweenMarksLeavesNoMarkOutOfReach(t *testing.T) {
	t.Parallel()
	server := rig.StartRedis(t)
	r := open(t, server.URL())
	mark(t, r, time.Now(), "one/"+digitsA)
	server.Command("flushall")
	mark(t, r, time.Now(), "two/"+digitsA)
	expect(t, lookup(t, r, "one/"+digitsA, "two/"+digitsA), false, true)
	expect(t, lookup(t, open(t, server.URL()), "one/"+digitsA, "two/"+digitsA), false, true)
}

// A gateway with the layout of the samples has filled this Redis: nothing that it marked is forgotten, and no day has to
// be read from the stream for it. While it runs it knows what the new one marks.
func TestTheOtherLayoutIsCarriedOver(t *testing.T) {
	t.Parallel()
	server := rig.StartRedis(t)
	before := openAs(t, server.URL(), Zorio)
	asked := make(refills, 10)
	stop := running(t, before, asked.refill)
	asked.expect(t, time.Now().Add(-TTL))
	covers(t, before)
	mark(t, before, time.Now(), "old/"+digitsA)

	now := open(t, server.URL())
	again := make(refills, 10)
	stopNow := running(t, now, again.refill)
	defer stopNow()
	again.expect(t, time.Now())
	mark(t, now, time.Now(), "both/"+digitsA)
	expect(t, lookup(t, now, "old/"+digitsA, "old/"+digitsB, "both/"+digitsA), true, false, true)
	expect(t, lookup(t, before, "old/"+digitsA, "both/"+digitsA), true, true)
	stop()

	server.Command("del", coveredKey) // as after 24 hours
	rig.Eventually(t, 30*time.Second, "only the small layout is asked", func() bool { return !now.afterOthers() })
	mark(t, now, time.Now(), "new/"+digitsA)
	expect(t, lookup(t, now, "new/"+digitsA, "both/"+digitsA), true, true)
	if server.Command("exists", keyPrefix+"new") != "0" {
		t.Error("the layout of the samples is written on")
	}
}

// Whoever has not asked yet which layouts there are asks both, and marks in both.
func TestAProcessThatDoesNotProbeKnowsBothLayouts(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func() string{
		"alone":   func() string { return rig.StartRedis(t).URL() },
		"Cluster": func() string { return rig.StartRedisCluster(t, 3, 0)[0].URL() + "?cluster=true" },
	} {
		url := start()
		gateways := map[Layout]*Redis{Small: openAs(t, url, Small), Zorio: openAs(t, url, Zorio)}
		withTool(t, url, func(tool *Redis) error {
			return tool.Mark(t.Context(), []Mark{{Identity: name + "/" + digitsA, Sequence: 1, Stored: time.Now()}})
		})
		for layout, gateway := range gateways {
			expect(t, lookup(t, gateway, name+"/"+digitsA), true)
			mark(t, gateway, time.Now(), string(layout)+"/"+digitsB)
			withTool(t, url, func(tool *Redis) error {
				sequence, err := tool.Find(t.Context(), string(layout))
				if err == nil && sequence != 1 {
					t.Errorf("%s, %s: found as %d", name, layout, sequence)
				}
				return err
			})
		}
	}
}

// withTool gives what has never probed to use, until a busy machine lets it.
func withTool(t *testing.T, url string, use func(tool *Redis) error) {
	t.Helper()
	rig.Eventually(t, 20*time.Second, "Redis answers in time", func() bool {
		tool, err := NewRedis(url, secure.Files{}, Small, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer tool.Close()
		return use(tool) == nil
	})
}

// BenchmarkBytes marks deliveries and reports how much memory each takes in Redis, in each layout:
//
//	go test -run '^$' -bench Bytes -benchtime 1000000x ./gateway/seen
func BenchmarkBytes(b *testing.B) {
	for _, layout := range []Layout{Zorio, Small} {
		b.Run(string(layout), func(b *testing.B) {
			server := rig.StartRedis(b)
			r := openAs(b, server.URL(), layout)
			r.Of(time.Now())
			before := usedMemory(b, server)
			marks := make([]Mark, 0, 500)
			for n := range b.N {
				raw := make([]byte, 24)
				_, _ = rand.Read(raw)
				marks = append(marks, Mark{Identity: fmt.Sprintf("%s/%x", uuid(raw[:16]), raw[16:]), Sequence: uint64(1e9 + n), Stored: time.Now()})
				if len(marks) < cap(marks) && n < b.N-1 {
					continue
				}
				patiently(b, r, func() error { return r.Mark(context.Background(), marks) })
				if marks = marks[:0]; n%10_000 < 500 {
					r.grow(context.Background(), r.shards.Load().list[0])
				}
			}
			b.ReportMetric((usedMemory(b, server)-before)/float64(b.N), "bytes/delivery")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func usedMemory(b *testing.B, server *rig.Redis) float64 {
	b.Helper()
	_, rest, _ := strings.Cut(server.Command("info", "memory"), "used_memory:")
	digits, _, _ := strings.Cut(rest, "\r")
	used, err := strconv.ParseFloat(strings.TrimSpace(strings.SplitN(digits, "\n", 2)[0]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return used
}
