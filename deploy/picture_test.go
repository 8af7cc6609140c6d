package deploy

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/pkg/zorio"
)

var (
	pictureFile = flag.String("picture", "", "write the picture of the dashboard, of a run, to this file")
	pictureFor  = flag.Duration("picture-for", 5*time.Minute, "how long that run takes")
	pictureRate = flag.Int("picture-rate", 150, "events a second in it")
)

// A run of everything, in which Redis, NATS and a receiver go away and come back, one after the other: each panel of the
// dashboard has something to show.
func TestTheDashboardShowsARun(t *testing.T) {
	if *pictureFile == "" {
		t.Skip("five minutes: `make picture` runs it; that the queries can be asked is tested by TestTheDashboardAnswersInOrder")
	}
	r := startShow(t)
	begin := time.Now()
	at := func(share float64) { time.Sleep(time.Until(begin.Add(time.Duration(share * float64(*pictureFor))))) }
	load := r.load(begin.Add(*pictureFor))
	at(redisAway)
	r.redis.Kill()
	at(redisAway + 0.1)
	r.redis.Restart()
	at(natsAway)
	r.nats.Kill()
	at(natsAway + 0.15)
	r.nats.Restart()
	at(receiverAway)
	r.away.Store(true)
	at(receiverAway + 0.15)
	r.away.Store(false)
	at(1)
	load.Wait()
	draw := exec.Command(rig.Tool(t, "./picture"), "-prometheus", "http://"+r.night.Address, "-from", fmt.Sprint(begin.Unix()), "-to", fmt.Sprint(time.Now().Unix()),
		"-empty", strings.Join(mayBeEmpty, ";"), "-caption", caption(), "grafana/dashboards/sluice.json")
	draw.Stderr = os.Stderr
	picture, err := draw.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(rig.Root(t), *pictureFile), picture, 0o644); err != nil {
		t.Fatal(err)
	}
}

// When something goes away, as a share of the run.
const (
	redisAway    = 0.15
	natsAway     = 0.35
	receiverAway = 0.6
)

func caption() string {
	at := func(share float64) string {
		seconds := int(share * pictureFor.Seconds())
		return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
	}
	return fmt.Sprintf("%d events a second. From %s Redis is away, from %s NATS, from %s a receiver of forward; each comes back. Dotted lines: an alert begins to fire.",
		*pictureRate, at(redisAway), at(natsAway), at(receiverAway))
}

// mayBeEmpty are the panels that show nothing while all is well.
var mayBeEmpty = []string{"Dropped by retention in"}

// waits of the rules are shorter in the picture: what is away comes back within a minute.
var waits = regexp.MustCompile(`for: \d+[mh]`)

// show is two gateways with all that belongs to them.
type show struct {
	*installation
	both  [2]*rig.Gateway
	redis *rig.Redis
	nats  *rig.Nats
	away  atomic.Bool // the receiver of forward is
}

func startShow(t *testing.T) *show {
	t.Helper()
	r := &show{installation: &installation{T: t, stack: "sluice", night: startNight(t, waits.ReplaceAllString(alerts(t), "for: 5s"))}, redis: rig.StartRedis(t), nats: rig.StartNats(t, "")}
	for n := range r.both {
		r.start("NATS_URL="+r.nats.URL(), "SLUICE_NATS_MONITOR=http://"+r.nats.Monitor, "REDIS_URL="+r.redis.URL())
		r.both[n] = r.gateway
	}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if r.away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(receiver.Close)
	targets := filepath.Join(t.TempDir(), "targets.yaml")
	write(t, targets, fmt.Sprintf("targets: [{name: crm, url: %q, secret: %s, events: [pbx.>]}]\n", receiver.URL, rig.Secret))
	for _, name := range []string{"pbx", "telesales", "autocall", "archive", "forward"} {
		r.consume(name, r.nats.URL(), "SLUICE_TARGETS="+targets, "SLUICE_ARCHIVE="+t.TempDir())
	}
	return r
}

// load delivers events at a rate until a time.
func (r *show) load(until time.Time) *sync.WaitGroup {
	var all sync.WaitGroup
	all.Go(func() {
		for n, begin := 0, time.Now(); time.Now().Before(until); time.Sleep(time.Millisecond) {
			for due := int(time.Since(begin).Seconds() * float64(*pictureRate)); n < due; n++ {
				all.Go(func() { r.deliver(n) })
			}
		}
	})
	return &all
}

// deliver sends the n-th event, and sometimes what a gateway gets too: a repetition, a forgery, what is no event.
func (r *show) deliver(n int) {
	names := zorio.Names()
	name := names[n%len(names)]
	sample, _ := zorio.Sample(name)
	body := []byte(strings.TrimSuffix(strings.TrimSpace(string(sample)), "}") + fmt.Sprintf(`,"n":%d}`, n))
	delivery, to := fmt.Sprint("delivery-", n), r.both[n%2]
	r.post(to, rig.Secret, name, delivery, body)
	switch {
	case n%25 == 0:
		r.post(to, rig.Secret, name, delivery, body)
	case n%40 == 1:
		r.post(to, wrongSecret, name, delivery, body)
	case n%20000 == 12345:
		r.post(to, rig.Secret, name, delivery, []byte("not JSON"))
	}
}
