package requests

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/internal/refused"
	"github.com/sluicehq/sluice/internal/rig"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/zorio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inbox has requests: most become an event, every fifth none, and there is one rare event.
type inbox struct {
	*testing.T
	js  jetstream.JetStream
	all []string // as in row, the oldest first
}

func newInbox(t *testing.T, requests int) *inbox {
	t.Helper()
	in := &inbox{T: t, js: rig.Hub(t, stream.Settings{})}
	for n := range requests {
		switch {
		case n%5 == 4:
			in.refuse([]string{"invalid", "duplicate"}[n/5%2], fmt.Sprint("id-", n))
		case n == 2:
			in.accept("fax.rare", fmt.Sprint("id-", n), "{}")
		default:
			in.accept([]string{"pbx.call.ringing", "pbx.call.hangup", "telesales.lead.created"}[n%3], fmt.Sprint("id-", n), "{}")
		}
	}
	return in
}

func (in *inbox) publish(m *nats.Msg, row string) {
	in.Helper()
	if _, err := in.js.PublishMsg(in.Context(), m); err != nil {
		in.Fatal(err)
	}
	in.all = append(in.all, row)
}

func (in *inbox) accept(name, delivery, body string) {
	in.Helper()
	h := nats.Header{event.HeaderID: {event.Identity(delivery, "0123456789abcdef")}, event.HeaderReceived: {time.Now().UTC().Format(time.RFC3339Nano)}}
	in.publish(&nats.Msg{Subject: event.Subject("zorio", name), Header: h, Data: []byte(body)}, fmt.Sprint(Accepted, " ", name, " ", delivery))
}

func (in *inbox) refuse(cause, delivery string) {
	in.Helper()
	h := nats.Header{zorio.HeaderDelivery: {delivery}, zorio.HeaderEvent: {"pbx.call.hangup"}, event.HeaderBody: {"cut, 70000 bytes came"}, event.HeaderTook: {"1.5ms"}}
	in.publish(&nats.Msg{Subject: event.RefusedSubject("zorio", cause), Header: h}, cause+" pbx.call.hangup "+delivery)
}

// pages goes through all of a list.
func (in *inbox) pages(f Filter, most int) (rows []string) {
	in.Helper()
	var at Position
	for {
		p, err := List(in.Context(), in.js, f, at, most)
		if err != nil {
			in.Fatal(err)
		}
		for _, r := range p.Rows {
			rows = append(rows, fmt.Sprint(r.Answer, " ", r.Event, " ", r.Delivery))
		}
		if at = p.Next; !p.More {
			return rows
		}
	}
}

func (in *inbox) want(keep func(row string) bool) (rows []string) {
	for _, row := range slices.Backward(in.all) {
		if keep(row) {
			rows = append(rows, row)
		}
	}
	return rows
}

func TestEveryRequestIsOnExactlyOnePage(t *testing.T) {
	in := newInbox(t, 140)
	has := func(part string) func(string) bool {
		return func(row string) bool { return strings.Contains(row, part) }
	}
	for name, c := range map[string]struct {
		filter Filter
		keep   func(string) bool
	}{
		"all":       {Filter{}, func(string) bool { return true }},
		"accepted":  {Filter{Answer: Accepted}, has(Accepted)},
		"refused":   {Filter{Answer: Refused}, func(row string) bool { return !strings.HasPrefix(row, Accepted) }},
		"duplicate": {Filter{Answer: "duplicate"}, has("duplicate")},
		"an event":  {Filter{Event: "pbx.call.hangup"}, has("pbx.call.hangup")},
		"a pattern": {Filter{Event: "pbx.>"}, has("pbx.")},
		"rare":      {Filter{Event: "fax.rare"}, has("fax.rare")},
		"none":      {Filter{Event: "fax.none"}, has("fax.none")},
		"a source":  {Filter{Source: "zorio"}, func(string) bool { return true }},
		"other":     {Filter{Source: "stripe"}, has("stripe")},
		"delivery":  {Filter{Delivery: "id-7"}, func(row string) bool { return strings.HasSuffix(row, " id-7") }},
	} {
		for _, most := range []int{13, 50} {
			if got, want := in.pages(c.filter, most), in.want(c.keep); !slices.Equal(got, want) {
				t.Errorf("%s, %d a page: %d rows instead of %d\n%.600q\n%.600q", name, most, len(got), len(want), got, want)
			}
		}
	}
	p, err := List(t.Context(), in.js, Filter{Answer: "invalid"}, Position{}, 1)
	if err != nil || len(p.Rows) != 1 || p.Rows[0].Size != 70_000 || p.Rows[0].Took != 1500*time.Microsecond {
		t.Errorf("%+v %v", p, err)
	}
}

// Where there are more kinds of events than anybody could choose from, one is found all the same.
func TestManyKindsOfEventsAreNotListed(t *testing.T) {
	in := newInbox(t, 60)
	before := mostSubjects
	t.Cleanup(func() { mostSubjects = before })
	mostSubjects = 3
	has := func(part string) func(string) bool {
		return func(row string) bool { return strings.Contains(row, part) }
	}
	for name, c := range map[string]struct {
		filter Filter
		keep   func(string) bool
	}{
		"all": {Filter{}, func(string) bool { return true }}, "rare": {Filter{Event: "fax.rare"}, has("fax.rare")}, "a pattern": {Filter{Event: "pbx.>"}, has("pbx.")},
		"a source": {Filter{Source: "stripe"}, has("stripe")}, "both": {Filter{Source: "zorio", Event: "fax.rare"}, has("fax.rare")},
	} {
		if got, want := in.pages(c.filter, 7), in.want(c.keep); !slices.Equal(got, want) {
			t.Errorf("%s: %d rows instead of %d", name, len(got), len(want))
		}
	}
}

// What comes while somebody turns pages moves nothing on the next one.
func TestPagesStayWhereTheyAre(t *testing.T) {
	in := newInbox(t, 100)
	p, err := List(t.Context(), in.js, Filter{}, Position{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	want, err := List(t.Context(), in.js, Filter{}, p.Next, 10)
	if err != nil {
		t.Fatal(err)
	}
	in.accept("pbx.call.ringing", "new", "{}")
	in.refuse("invalid", "new")
	got, err := List(t.Context(), in.js, Filter{}, p.Next, 10)
	if err != nil || len(got.Rows) != 10 || !slices.Equal(got.Rows, want.Rows) {
		t.Errorf("%v\n%+v\n%+v", err, got.Rows, want.Rows)
	}
}

func TestATimeIsFoundWithoutReading(t *testing.T) {
	in := newInbox(t, 20)
	time.Sleep(2 * time.Millisecond) // so that times differ
	between := time.Now()
	time.Sleep(2 * time.Millisecond)
	for n := range 5 {
		in.accept("pbx.call.hangup", fmt.Sprint("later-", n), "{}")
	}
	in.refuse("stale", "later-5")
	later := func(row string) bool { return strings.Contains(row, "later") }
	if got, want := in.pages(Filter{Since: between}, 4), in.want(later); !slices.Equal(got, want) {
		t.Errorf("since: %q, want %q", got, want)
	}
	if got, want := in.pages(Filter{Until: between}, 50), in.want(func(row string) bool { return !later(row) }); !slices.Equal(got, want) {
		t.Errorf("until: %q, want %q", got, want)
	}
}

func TestCountsAreOfWhatIsKept(t *testing.T) {
	in := newInbox(t, 100)
	c, err := CountAll(t.Context(), in.js, time.Hour, time.Nanosecond)
	if err != nil {
		t.Fatal(err)
	}
	if c.Events != 80 || c.Refused != 20 || !slices.Equal(c.Sources, []Count{{"zorio", 80}}) || !slices.Equal(c.Causes, []Count{{"duplicate", 10}, {"invalid", 10}}) {
		t.Errorf("%+v", c)
	}
	if len(c.Names) != 4 || c.Names[3] != (Count{"fax.rare", 1}) || c.Spans[0].Events != 80 || c.Spans[1].Events != 0 {
		t.Errorf("%+v", c)
	}
}

// A gateway of an earlier version has no stream REFUSED.
func TestWithoutREFUSEDThereAreEvents(t *testing.T) {
	in := newInbox(t, 10)
	if err := in.js.DeleteStream(t.Context(), stream.Refused); err != nil {
		t.Fatal(err)
	}
	if got, want := in.pages(Filter{}, 50), in.want(func(row string) bool { return strings.HasPrefix(row, Accepted) }); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if _, err := CountAll(t.Context(), in.js); err != nil {
		t.Error(err)
	}
	if _, err := Search(t.Context(), in.js, "x", 10, time.Second, 0); err != nil {
		t.Error(err)
	}
}

func TestSearchSaysWhatItSearched(t *testing.T) {
	in := newInbox(t, 200) // 160 events
	in.accept("pbx.call.ringing", "with-body", `{"call":"0d5c1f0e","html":"<script>"}`)
	for n := range 20 {
		in.accept("pbx.call.hangup", fmt.Sprint("after-", n), "{}")
	}
	large := strings.Repeat("x", 900_000) + "needle\x00\xff"
	in.accept("pbx.call.hangup", "large", large)
	search := func(text string, most, before uint64) *Found {
		t.Helper()
		f, err := Search(t.Context(), in.js, text, most, 10*time.Second, before)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for text, want := range map[string]string{"0d5c1f0e": "body EVENTS with-body", "id-7": "delivery id EVENTS id-7", "id-9": "delivery id REFUSED id-9", "needle": "body EVENTS large", "nowhere": ""} {
		var got []string
		f := search(text, 1000, 0)
		for _, h := range f.Hits {
			got = append(got, h.Where+" "+h.Stream+" "+h.Delivery)
		}
		if strings.Join(got, ",") != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
		if l := f.Looked[0]; l.Stream != stream.Events || l.Messages != 182 || l.Stored != 182 || l.Next != 0 {
			t.Errorf("%s: %+v", text, l)
		}
	}
	f := search("0d5c1f0e", 21, 0)
	if l := f.Looked[0]; len(f.Hits) != 0 || l.Messages != 21 || l.Next != 162 {
		t.Errorf("a bound: %+v", f)
	}
	if f = search("0d5c1f0e", 21, 162); len(f.Hits) != 1 || f.Hits[0].Left != `{"call":"` || f.Hits[0].Right != `","html":"<script>"}` || len(f.Looked) != 1 {
		t.Errorf("going on: %+v", f)
	}
	if f = search("{}", 1000, 0); !f.Full || len(f.Hits) != mostHits || f.Looked[0].Next == 0 || f.Looked[1].Messages == 0 {
		t.Errorf("too many: %v %d %+v", f.Full, len(f.Hits), f.Looked)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Search(ctx, in.js, "x", 10, time.Second, 0); err == nil {
		t.Error("it does not end")
	}
	for _, cause := range refused.Causes {
		if strings.ContainsAny(cause, " .*>") {
			t.Errorf("%q cannot be a subject", cause)
		}
	}
}
