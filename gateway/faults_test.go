package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/gateway/seen"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/secure"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// load is a sender that tries each delivery again until it is answered 200, as Zorio does but sooner.
type load struct {
	g        *gateway
	stop     chan struct{}
	senders  sync.WaitGroup
	refused  atomic.Int64 // answers other than 200
	broken   atomic.Int64 // no answer at all
	longest  atomic.Int64 // wait for an answer, in nanoseconds
	mu       sync.Mutex
	answered map[string]string // delivery id → its 200's text
}

const senders = 32

func (g *gateway) load() *load {
	l := &load{g: g, stop: make(chan struct{}), answered: map[string]string{}}
	for s := range senders {
		l.senders.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-l.stop:
					return
				default:
					l.deliver(fmt.Sprintf("%d-%d", s, n))
				}
			}
		})
	}
	return l
}

func (l *load) deliver(id string) {
	b := fmt.Appendf(nil, `{"event":"pbx.call.hangup","data":{"call_uuid":%q}}`, id)
	for {
		request, _ := http.NewRequest(http.MethodPost, l.g.url(), bytes.NewReader(b))
		request.Header = zorio.Headers(secret, "pbx.call.hangup", id, time.Now(), b)
		begin := time.Now()
		answer, err := l.g.client.Do(request)
		l.waited(time.Since(begin))
		if err != nil {
			l.broken.Add(1)
			time.Sleep(5 * time.Millisecond)
			continue
		}
		text, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			l.mu.Lock()
			l.answered[id] = string(text)
			l.mu.Unlock()
			return
		}
		l.refused.Add(1)
		time.Sleep(5 * time.Millisecond)
	}
}

func (l *load) waited(took time.Duration) {
	for before := l.longest.Load(); int64(took) > before && !l.longest.CompareAndSwap(before, int64(took)); {
		before = l.longest.Load()
	}
}

// reach waits until so many deliveries are answered.
func (l *load) reach(t *testing.T, count int) {
	t.Helper()
	rig.Eventually(t, 60*time.Second, fmt.Sprintf("%d deliveries are answered", count), func() bool { return l.count() >= count })
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.answered)
}

// more waits until so many further deliveries are answered.
func (l *load) more(t *testing.T, count int) { t.Helper(); l.reach(t, l.count()+count) }

// balance ends the load and compares what was answered 200 with what is stored: each delivery exactly once.
func (l *load) balance(t *testing.T, url string) {
	t.Helper()
	close(l.stop)
	l.senders.Wait()
	l.g.drained()
	stored := stored(t, l.g.js(url))
	duplicates := 0
	for id, text := range l.answered {
		if text == "Duplicate" {
			duplicates++
		}
		if stored[id] != 1 {
			t.Errorf("delivery %s was answered %s and is stored %d times", id, text, stored[id])
		}
	}
	if len(stored) != len(l.answered) {
		t.Errorf("%d deliveries are stored, %d were answered 200", len(stored), len(l.answered))
	}
	t.Logf("account: %d deliveries answered 200 (%d of them Duplicate), each stored once; %d refusals, %d broken connections on the way",
		len(l.answered), duplicates, l.refused.Load(), l.broken.Load())
}

// stored counts the copies of each delivery in EVENTS.
func stored(t *testing.T, js jetstream.JetStream) map[string]int {
	t.Helper()
	consumer, err := js.OrderedConsumer(t.Context(), "EVENTS", jetstream.OrderedConsumerConfig{HeadersOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	info, err := consumer.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Stop()
	copies := map[string]int{}
	for range info.NumPending {
		m, err := messages.Next(jetstream.NextContext(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		copies[event.DeliveryOf(m.Headers().Get(event.HeaderID))]++
	}
	return copies
}

// startWithEngines starts a gateway with a Redis and a NATS outside of it.
func startWithEngines(t *testing.T, settings ...string) (*gateway, *rig.Redis, *rig.Nats) {
	t.Helper()
	redis, nats := rig.StartRedis(t), rig.StartNats(t, "")
	settings = append(settings, "REDIS_URL="+redis.URL(), "NATS_URL="+nats.URL(), "SLUICE_NATS_MONITOR=http://"+nats.Monitor)
	return startGateway(t, settings...), redis, nats
}

// killGateway kills the gateway five times while it answers.
func (l *load) killGateway(t *testing.T) {
	t.Helper()
	for range 5 {
		l.more(t, 300)
		l.g.Kill()
		l.g.Start()
	}
	l.more(t, 300)
}

func TestA2xxMeansStored(t *testing.T) {
	t.Parallel()
	g := startGateway(t)
	l := g.load()
	l.killGateway(t)
	l.balance(t, "nats://"+g.hub)
}

func TestA2xxMeansStoredWithRedisAndNATSOutside(t *testing.T) {
	t.Parallel()
	g, _, nats := startWithEngines(t)
	l := g.load()
	l.killGateway(t)
	l.balance(t, nats.URL())
}

// Redis may hang, die, come back empty or be wiped: no delivery is refused for it.
func TestRedisNeverFailsARequest(t *testing.T) {
	g, redis, nats := startWithEngines(t)
	l := g.load()
	l.more(t, 300)
	redis.Signal(syscall.SIGSTOP)
	l.more(t, 300)
	rig.Eventually(t, 20*time.Second, "Redis is seen to be away", func() bool { return g.metric("sluice_redis_away 1") })
	redis.Signal(syscall.SIGCONT)
	l.more(t, 300)
	redis.Kill()
	l.more(t, 300)
	redis.Restart()
	rig.Eventually(t, 30*time.Second, "Redis is asked again", func() bool { return g.metric("sluice_redis_away 0") })
	l.more(t, 300)
	redis.Command("flushall")
	l.more(t, 300)
	l.balance(t, nats.URL())
	if n := l.refused.Load() + l.broken.Load(); n > 0 {
		t.Errorf("%d requests failed", n)
	}
	rig.Eventually(t, 20*time.Second, "what the wiped Redis knew is marked again", func() bool {
		return remembered(t, redis, "0-0") > 0
	})
}

// remembered is the place in the stream that Redis remembers of a delivery; 0 for none.
func remembered(t *testing.T, redis *rig.Redis, delivery string) (sequence uint64) {
	t.Helper()
	rig.Eventually(t, 20*time.Second, "Redis answers in time", func() bool {
		memory, err := seen.NewRedis(redis.URL(), secure.Files{}, seen.Small, slog.New(slog.DiscardHandler))
		if err != nil {
			return false
		}
		defer memory.Close()
		sequence, err = memory.Find(t.Context(), delivery)
		return err == nil
	})
	return sequence
}

// Redis may turn into a black hole, for what is sent and for who connects: what is on its way waits for its deadline,
// nothing more is sent, no delivery is refused, and none comes near the sender's five seconds.
func TestABlackHoleForRedisCostsOneGroupItsDeadline(t *testing.T) {
	redis, nats := rig.StartRedis(t), rig.StartNats(t, "")
	way := rig.NewWay(t, redis.Address)
	g := startGateway(t, "REDIS_URL=redis://"+way.Address, "NATS_URL="+nats.URL(), "SLUICE_NATS_MONITOR=http://"+nats.Monitor)
	l := g.load()
	for name, darken := range map[string]func(){"swallows": way.Swallow, "accepts nobody": way.Fill} {
		l.more(t, 100)
		darken()
		l.more(t, 300)
		rig.Eventually(t, 20*time.Second, "Redis is seen to be away", func() bool { return g.metric("sluice_redis_away 1") })
		l.more(t, 300)
		if batches := way.Swallowed("sluice:seen:{"); batches > 4 {
			t.Errorf("%s: %d batches were sent into it, and not a look-up, marks, a look how full it is and one of a refill alone", name, batches)
		}
		way.Open()
		rig.Eventually(t, 30*time.Second, "Redis is asked again", func() bool { return g.metric("sluice_redis_away 0") })
	}
	l.more(t, 100)
	l.balance(t, nats.URL())
	if n := l.refused.Load() + l.broken.Load(); n > 0 {
		t.Errorf("%d requests failed", n)
	}
	if longest := time.Duration(l.longest.Load()); longest > 2*time.Second {
		t.Errorf("a request waited %s", longest)
	}
}

// Copies of one delivery that race through two gateways are told apart by the stream, which stores one; so is a copy
// that comes later where no Redis is.
func TestTheStreamSettlesWhatNoMemoryKnows(t *testing.T) {
	nats := rig.StartNats(t, "")
	start := func() *gateway {
		return startGateway(t, "REDIS_URL=redis://"+rig.Address(t), "NATS_URL="+nats.URL(), "SLUICE_NATS_MONITOR=http://"+nats.Monitor)
	}
	gateways := []*gateway{start(), start()}
	answers := make([][]string, 50)
	var sending sync.WaitGroup
	for n := range answers {
		b := body("pbx.call.hangup", n)
		h := zorio.Headers(secret, "pbx.call.hangup", fmt.Sprint(n), time.Now(), b)
		answers[n] = make([]string, len(gateways))
		for i, g := range gateways {
			sending.Go(func() { answers[n][i], _ = g.try(h, b) })
		}
	}
	sending.Wait()
	for n, got := range answers {
		if slices.Sort(got); !slices.Equal(got, []string{"200 Duplicate", "200 OK"}) {
			t.Errorf("delivery %d: %q", n, got)
		}
	}
	if got := gateways[0].send("pbx.call.hangup", "0", body("pbx.call.hangup", 0)); got != "200 Duplicate" {
		t.Errorf("later: %s", got)
	}
	if copies := stored(t, gateways[0].js(nats.URL())); len(copies) != len(answers) {
		t.Errorf("%d deliveries are stored", len(copies))
	}
}

// Without a journal NATS may be killed, hang and be restarted: what is answered 200 is stored once, and 503 asks for the
// rest again.
func TestNATSAwayRefusesAndLosesNothing(t *testing.T) {
	t.Parallel()
	g, _, nats := startWithEngines(t, "SLUICE_JOURNAL=off")
	l := g.load()
	for range 2 {
		l.more(t, 300)
		nats.Kill()
		nats.Restart()
		l.more(t, 300)
		nats.Signal(syscall.SIGSTOP)
		rig.Eventually(t, time.Minute, "deliveries are refused", func() bool { return l.refused.Load() > 0 })
		nats.Signal(syscall.SIGCONT)
		l.more(t, 300)
		nats.Stop(30 * time.Second)
		nats.Restart()
	}
	l.more(t, 300)
	l.balance(t, nats.URL())
}

// A request that the stream cannot store is answered within the sender's five seconds, and asked for again.
func TestWithoutNATSTheAnswerIsTryAgain(t *testing.T) {
	t.Parallel()
	nats := rig.StartNats(t, "")
	g := startGateway(t, "NATS_URL="+nats.URL(), "SLUICE_NATS_MONITOR=http://"+nats.Monitor, "SLUICE_JOURNAL=off")
	nats.Kill()
	b := body("pbx.call.hangup", 1)
	request, _ := http.NewRequest(http.MethodPost, g.url(), bytes.NewReader(b))
	request.Header = zorio.Headers(secret, "pbx.call.hangup", "1", time.Now(), b)
	begin := time.Now()
	answer, err := g.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") != "30" || time.Since(begin) > 5*time.Second {
		t.Errorf("%d, Retry-After %q, after %s", answer.StatusCode, answer.Header.Get("Retry-After"), time.Since(begin))
	}
	rig.Eventually(t, 30*time.Second, "/readyz says so", func() bool {
		ready, err := g.client.Get("http://" + g.admin + "/readyz")
		if err != nil {
			return false
		}
		defer ready.Body.Close()
		return ready.StatusCode == http.StatusServiceUnavailable
	})
}
