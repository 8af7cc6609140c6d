package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/history"
	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/internal/ops/finding"
	"github.com/sluicehq/sluice/internal/ops/requests"
	"github.com/sluicehq/sluice/internal/ops/trace"
	"github.com/sluicehq/sluice/internal/ops/verify"
	"github.com/sluicehq/sluice/internal/refused"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/zorio"
)

func (s *server) deliveryRoutes() {
	s.page(page{path: "/events/{sequence}", name: "event", of: "requests", live: []string{"teams", "others"}, data: s.shared(s.few(s.eventPage))})
	s.page(page{path: "/refused/{sequence}", name: "refused", of: "requests", live: []string{"others"}, data: s.shared(s.few(s.refusedPage))})
	s.mux.HandleFunc("GET /events/{sequence}/body", s.download(stream.Events))
	s.mux.HandleFunc("GET /refused/{sequence}/body", s.download(stream.Refused))
}

// deliveryView is what is known of one request, whatever became of it.
type deliveryView struct {
	requests.Row
	Path     string // of the page
	Identity string
	Headers  []header
	Checks   finding.List
	Body     body
	Prev     uint64 // 0 where there is none
	Next     uint64
	Others   []requests.Row // requests of the same delivery id that became no event
	More     bool           // there may be more of these
	Commands []string
}

// eventView is one that became an event.
type eventView struct {
	deliveryView
	Teams  []fate
	Partly []string // streams of which not everything was looked at
	Untold string   // why there is no history
}

// refusedView is one that became none.
type refusedView struct {
	deliveryView
	Reason, Line, State string
}

// header is one of a message, as it can be shown.
type header struct{ Name, Value string }

// Title names the page.
func (v deliveryView) Title() string {
	if v.Answer == requests.Accepted {
		return fmt.Sprintf("%s #%d", plain(v.Event), v.Sequence)
	}
	word := answerWord(v.Answer)
	return strings.ToUpper(word[:1]) + word[1:]
}

// Permalink stays right when streams are created anew: it names the delivery too.
func (v deliveryView) Permalink() string {
	if v.Delivery == "" {
		return v.Path
	}
	return v.Path + "?" + query{"delivery": {v.Delivery}}.encode()
}

func (s *server) eventPage(r *http.Request) (any, error) {
	m, v, err := s.delivery(r, stream.Events)
	if err != nil {
		return nil, err
	}
	life, err := trace.One(r.Context(), s.js, m)
	if err != nil {
		return nil, err
	}
	v.Identity = life.Events[0].Identity
	v.Commands = []string{"sluicectl trace " + quoted(v.Delivery)}
	e := eventView{deliveryView: v, Teams: fates(life), Partly: life.Partly}
	if life.Untold != nil {
		e.Untold = s.explain(life.Untold)
	}
	return e, nil
}

func (s *server) refusedPage(r *http.Request) (any, error) {
	m, v, err := s.delivery(r, stream.Refused)
	if err != nil {
		return nil, err
	}
	one, _ := refused.Parse(m.Subject, m.Sequence, m.Time, m.Header, m.Data)
	v.Commands = []string{fmt.Sprintf("sluicectl refused show %d", v.Sequence)}
	if one.Whole() {
		v.Commands = append(v.Commands, fmt.Sprintf("sluicectl verify --refused %d", v.Sequence))
	}
	v.Others = slices.DeleteFunc(v.Others, func(o requests.Row) bool { return o.Sequence == v.Sequence })
	return refusedView{deliveryView: v, Reason: one.Reason, Line: one.Line, State: one.State}, nil
}

// delivery reads the message that a path names.
func (s *server) delivery(r *http.Request, name string) (*jetstream.RawStreamMsg, deliveryView, error) {
	m, info, err := s.message(r, name)
	if err != nil {
		return nil, deliveryView{}, err
	}
	row, ours := requests.NewRow(name, m)
	if !ours {
		return nil, deliveryView{}, fmt.Errorf("%w: %s #%d is not Sluice's: it lies on %s", errNothing, name, m.Sequence, plain(m.Subject))
	}
	if meant := r.URL.Query().Get("delivery"); meant != "" && meant != row.Delivery {
		return nil, deliveryView{}, fmt.Errorf("%w: %s #%d is another delivery now, because the stream was created anew: search for %s", errNothing, name, m.Sequence, meant)
	}
	v := deliveryView{Row: row, Path: rowLink(row), Headers: headersOf(m.Header), Checks: s.checksOf(m, &row), Body: bodyOf(m.Data, rowLink(row)+"/body")}
	v.Others, v.More, err = requests.Of(r.Context(), s.js, cmp.Or(m.Header.Get(zorio.HeaderDelivery), row.Delivery))
	if err != nil {
		return nil, v, err
	}
	v.Prev, v.Next, err = s.neighbours(r.Context(), m, info)
	return m, v, err
}

func (s *server) message(r *http.Request, name string) (*jetstream.RawStreamMsg, *jetstream.StreamInfo, error) {
	sequence, err := strconv.ParseUint(r.PathValue("sequence"), 10, 64)
	if err != nil || sequence == 0 {
		return nil, nil, fmt.Errorf("%w: %q is not a sequence: follow a line of the list of requests", errNothing, r.PathValue("sequence"))
	}
	of, err := s.js.Stream(r.Context(), name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil, fmt.Errorf("%w: %w", errNothing, stream.Missing(name))
	}
	if err != nil {
		return nil, nil, err
	}
	m, err := stream.Get(r.Context(), s.js, name, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		state := of.CachedInfo().State
		return nil, nil, fmt.Errorf("%w: %s #%d is not there: it is not stored yet, or retention has dropped it. It keeps #%d to #%d", errNothing, name, sequence, state.FirstSeq, state.LastSeq)
	}
	return m, of.CachedInfo(), err
}

// near is how far a neighbour is looked for.
const near = 16

// neighbours are the messages before and behind one. In REFUSED, where most are gone, they are of the same cause.
func (s *server) neighbours(ctx context.Context, m *jetstream.RawStreamMsg, info *jetstream.StreamInfo) (prev, next uint64, err error) {
	subject := ">"
	if info.Config.Name == stream.Refused {
		subject = m.Subject
	}
	_, err = stream.ScanSome(ctx, s.js, info.Config.Name, subject, m.Sequence+1, stream.Bound{Messages: 1}, func(n *jetstream.RawStreamMsg) error {
		next = n.Sequence
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	var before []*jetstream.RawStreamMsg
	if subject == ">" {
		before, _, err = stream.Back(ctx, s.js, info.Config.Name, m.Sequence, near)
	} else {
		before, err = stream.LastBefore(ctx, s.js, info.Config.Name, []string{subject}, m.Sequence)
	}
	if err == nil && len(before) > 0 {
		prev = before[0].Sequence
	}
	return prev, next, err
}

// headersOf are the headers of a message, sorted, without what may be used of a signature.
func headersOf(h nats.Header) (all []header) {
	for name, values := range h {
		for _, value := range values {
			if strings.EqualFold(name, zorio.HeaderSignature) {
				value = mask.Signature(value)
			}
			all = append(all, header{name, value})
		}
	}
	slices.SortFunc(all, func(a, b header) int {
		sent := func(h header) int { return map[bool]int{true: 0, false: 1}[strings.HasPrefix(h.Name, "X-")] }
		return cmp.Or(cmp.Compare(sent(a), sent(b)), strings.Compare(a.Name, b.Name), strings.Compare(a.Value, b.Value))
	})
	return all
}

// checksOf is the check of a request step by step, as of when it came. What the gateway found comes last: the console need
// not know its secrets.
func (s *server) checksOf(m *jetstream.RawStreamMsg, row *requests.Row) finding.List {
	h := verify.Headers{}
	for name, values := range m.Header {
		h[name] = values
	}
	at := row.Received
	if at.IsZero() {
		at = row.Stored
	}
	came := verify.Request{Headers: h, Body: m.Data}
	all := verify.Form(came, at)
	if secrets := list(s.settings.Secret); len(secrets) > 0 {
		all, _ = verify.Explain(came, secrets, at) // fails without secrets
	}
	if row.Answer == requests.Accepted {
		all.OK("gateway", "one of its secrets made this signature: it stores nothing else as an event")
		return all
	}
	one, _ := refused.Parse(m.Subject, m.Sequence, m.Time, m.Header, m.Data)
	if !one.Whole() {
		all = slices.DeleteFunc(all, func(f finding.Finding) bool { return slices.Contains([]string{"body", "event", "signature"}, f.Check) })
		all.Warn("body", "it is not here as it came: "+one.State, "its signature cannot be checked any more")
	}
	switch answerKind(row.Answer) {
	case "quiet":
		all.OK("gateway", one.Reason)
	case "warn":
		all.Warn("gateway", one.Reason, "it is in quarantine: look at it there, and release or drop it")
	default:
		all.Fail("gateway", one.Reason, "")
	}
	return all
}

// fate is what became of an event in a team, for people.
type fate struct {
	Team, Words, Kind string
	At                time.Time // when it was done; zero while it is not
	Waits             string    // why the team does not go on with it
	Steps             []step
}

// step is one thing that happened to it.
type step struct {
	At     time.Time
	Text   string
	Failed bool
	Next   *time.Time // when it is tried again
	Letter uint64     // in DEAD
}

var fateKinds = map[trace.State]string{
	trace.Waiting: "quiet", trace.InFlight: "warn", trace.Retrying: "warn", trace.Dead: "bad", trace.Dropped: "quiet", trace.Redriven: "warn",
	trace.Processed: "good", trace.Skipped: "good", trace.Acknowledged: "good", trace.Before: "quiet",
}

func fates(life *trace.Life) (all []fate) {
	for _, f := range life.Events[0].Teams {
		one := fate{Team: f.Team, Words: f.State.Words(), Kind: fateKinds[f.State]}
		if done := f.Done(); done != nil {
			one.At = done.At
		}
		if f.Waits != nil {
			one.Waits = waits(f.Waits)
		}
		one.Steps = steps(f, life.Replayed)
		all = append(all, one)
	}
	return all
}

// waits says why a team does not go on.
func waits(c *team.Condition) string {
	words := map[team.State]string{team.Paused: "the team is paused", team.Blocked: "the team waits for what its handler depends on", team.Hung: "its handler does not return", team.NoProcess: "no process of the team runs"}
	if c.Why == "" {
		return words[c.State]
	}
	return words[c.State] + ": " + c.Why
}

// steps are attempts, and what was done, in the order of time; what is to come is last. The death of a letter that is still
// there is told by the letter alone.
func steps(f *trace.Fate, replayed map[string]string) (all []step) {
	failed := func(attempts []event.Failure) {
		for _, a := range attempts {
			all = append(all, step{At: a.At, Text: a.Error, Failed: true})
		}
	}
	letter := f.LyingLetter()
	for i, h := range f.History {
		if i != letter {
			failed(h.Failures)
			all = append(all, step{At: h.At, Text: trace.About(&h, replayed), Failed: h.Outcome == history.Dead, Letter: h.Letter})
		}
	}
	for _, c := range f.Copies {
		if !f.Died() { // what failed before it was redriven
			failed(c.History)
		}
		failed(c.Failures)
	}
	slices.SortStableFunc(all, func(a, b step) int { return a.At.Compare(b.At) })
	for _, c := range f.Copies {
		now := step{Text: c.About(replayed), Next: c.Next}
		if c.Stream == stream.Dead {
			now.Letter = c.Sequence
		}
		all = append(all, now)
	}
	return all
}

// download hands out a body as it came. No browser shows it: what is in it is a stranger's.
func (s *server) download(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
		defer cancel()
		got, err := s.few(func(r *http.Request) (any, error) { m, _, err := s.message(r, name); return m, err })(r.WithContext(ctx))
		if err != nil {
			s.fail(w, r, err)
			return
		}
		m := got.(*jetstream.RawStreamMsg)
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s-%d.bin"`, strings.ToLower(name), m.Sequence))
		_, _ = w.Write(m.Data) // the browser is gone, then
	}
}
