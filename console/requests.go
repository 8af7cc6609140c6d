package main

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/internal/ops/requests"
	"github.com/sluicehq/sluice/internal/refused"
	"github.com/sluicehq/sluice/internal/stream"
)

func (s *server) requestsRoutes() {
	s.page(page{path: "/requests", name: "requests", title: "Requests", menu: true, live: []string{"choices", "rows"}, data: s.shared(s.few(s.requestsPage))})
}

// requestsView is a page of requests, with what may be chosen.
type requestsView struct {
	*requests.Page
	Counts  *requests.Counts
	Query   query
	Answers []choice
	Spans   []choice
	Names   []choice
	Sources []choice
	Shown   int
	First   bool   // nothing is newer
	Older   string // address of the next page
	Newest  string // of the first page
	Empty   bool   // nothing has come at all
	Command string // that does about the same
}

// choice is something that a list can be narrowed to, with how many there are.
type choice struct {
	Label, Value, Link string
	Count              string
	Chosen             bool
}

// spans are the last whiles that may be chosen.
var spans = []time.Duration{15 * time.Minute, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}

const rowsShown = 50

func (s *server) requestsPage(r *http.Request) (any, error) {
	q := query(r.URL.Query())
	filter, err := q.filter(time.Now())
	if err != nil {
		return nil, err
	}
	at, err := q.position()
	if err != nil {
		return nil, err
	}
	counts, err := requests.CountAll(r.Context(), s.js, spans...)
	if err != nil {
		return nil, err
	}
	list, err := requests.List(r.Context(), s.js, filter, at, rowsShown)
	if err != nil {
		return nil, err
	}
	v := requestsView{Page: list, Counts: counts, Query: q, Shown: len(list.Rows), First: at == requests.Position{}, Newest: q.with("before", "")}
	v.Empty = counts.Events+counts.Refused == 0
	v.Older = q.with("before", fmt.Sprintf("%d.%d", list.Next.Events, list.Next.Refused))
	v.Answers, v.Spans = q.answers(counts), q.spans(counts)
	v.Names, v.Sources = q.named("event", "any event", counts.Names), q.named("source", "any source", counts.Sources)
	v.Command = q.command()
	return v, nil
}

// query is what the address of the page says.
type query url.Values

// encode is the query as it stands in an address.
func (q query) encode() string { return url.Values(q).Encode() }

// Get is for templates.
func (q query) Get(name string) string { return url.Values(q).Get(name) }

// Narrowed reports whether not everything is meant.
func (q query) Narrowed() bool { return q.with("before", "") != "/requests" }

// with is the address of the page with one thing changed. A page further down is one of the same list only.
func (q query) with(name, value string) string {
	changed := url.Values{}
	for _, key := range []string{"last", "from", "to", "source", "event", "answer", "delivery", "before"} {
		if v := q.Get(key); v != "" && (key != "before" || name == "before") {
			changed.Set(key, v)
		}
	}
	if changed.Set(name, value); value == "" {
		changed.Del(name)
	}
	if len(changed) == 0 {
		return "/requests"
	}
	return "/requests?" + changed.Encode()
}

func (q query) filter(now time.Time) (f requests.Filter, err error) {
	f = requests.Filter{Source: q.Get("source"), Event: strings.TrimSpace(q.Get("event")), Answer: q.Get("answer"), Delivery: strings.TrimSpace(q.Get("delivery"))}
	if a := f.Answer; a != "" && a != requests.Accepted && a != requests.Refused && !slices.Contains(refused.Causes, a) {
		return f, fmt.Errorf("%w: no answer is called %q: choose one of the page", errMisused, a)
	}
	if last := q.Get("last"); last != "" {
		d, err := time.ParseDuration(last)
		if err != nil || d <= 0 {
			return f, fmt.Errorf("%w: last=%q: use a duration such as 15m or 24h", errMisused, last)
		}
		f.Since = now.Add(-d)
	}
	if f.Since, err = q.time("from", f.Since); err != nil {
		return f, err
	}
	f.Until, err = q.time("to", time.Time{})
	return f, err
}

// time reads what a field for a time has, in UTC, or what stands in a link.
func (q query) time(name string, otherwise time.Time) (time.Time, error) {
	text := q.Get(name)
	if text == "" {
		return otherwise, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339Nano} {
		if at, err := time.ParseInLocation(layout, text, time.UTC); err == nil {
			return at, nil
		}
	}
	return otherwise, fmt.Errorf("%w: %s=%q: use a time in UTC such as 2026-01-31T08:00", errMisused, name, text)
}

func (q query) position() (at requests.Position, err error) {
	before := q.Get("before")
	if before == "" {
		return at, nil
	}
	events, refused, _ := strings.Cut(before, ".")
	at.Events, err = strconv.ParseUint(events, 10, 64)
	if err == nil {
		at.Refused, err = strconv.ParseUint(cmp.Or(refused, "0"), 10, 64)
	}
	if err != nil {
		return at, fmt.Errorf("%w: before=%q: follow the links of the page", errMisused, before)
	}
	return at, nil
}

// answers are all that were given, as far as they are kept. Of those that made no event a sample is.
func (q query) answers(c *requests.Counts) (all []choice) {
	add := func(label, value string, n uint64) {
		all = append(all, choice{Label: label, Value: value, Link: q.with("answer", value), Count: count(n), Chosen: q.Get("answer") == value})
	}
	add("all", "", c.Events+c.Refused)
	add("accepted", requests.Accepted, c.Events)
	if c.Refused > 0 {
		add("not accepted", requests.Refused, c.Refused)
	}
	for _, cause := range c.Causes {
		add(answerWord(cause.Name), cause.Name, cause.Count)
	}
	return all
}

func (q query) spans(c *requests.Counts) []choice {
	all := []choice{{Label: "all that is kept", Link: q.with("last", ""), Count: count(c.Events), Chosen: q.Get("last") == ""}}
	for _, span := range c.Spans {
		value := fmt.Sprintf("%dm", int(span.Last.Minutes()))
		if span.Last%time.Hour == 0 {
			value = fmt.Sprintf("%dh", int(span.Last.Hours()))
		}
		all = append(all, choice{Label: "last " + lasts(span.Last), Value: value, Link: q.with("last", value), Count: count(span.Events), Chosen: q.Get("last") == value})
	}
	return all
}

func (q query) named(name, every string, counts []requests.Count) []choice {
	all := []choice{{Label: every, Chosen: q.Get(name) == ""}}
	known := false
	for _, c := range counts {
		known = known || q.Get(name) == c.Name
		all = append(all, choice{Label: c.Name, Value: c.Name, Count: count(c.Count), Chosen: q.Get(name) == c.Name})
	}
	if value := q.Get(name); value != "" && !known {
		all = append(all, choice{Label: value, Value: value, Count: "0", Chosen: true})
	}
	return all
}

func (q query) command() string {
	words := "sluicectl tail"
	if event := strings.TrimSpace(q.Get("event")); event != "" {
		words += " " + quoted(event)
	}
	if q.Get("answer") != requests.Accepted {
		words += " --refused"
	}
	return words + " --since " + quoted(cmp.Or(q.Get("last"), "1h"))
}

// answerWords are the answers for people, where a label of the metrics is not a word.
var answerWords = map[string]string{
	"invalid": "wrong signature", "quarantined_late": "quarantined: late", "quarantined_unroutable": "quarantined: unroutable", "quarantined_replayed": "quarantined: replayed",
	"plain_http": "HTTP to an HTTPS port", "tls": "TLS to an HTTP port", "too_many_connections_per_ip": "too many connections from one address",
}

func answerWord(label string) string {
	return cmp.Or(answerWords[label], strings.ReplaceAll(label, "_", " "))
}

// answerKind is the colour of an answer.
func answerKind(label string) string {
	switch {
	case label == requests.Accepted:
		return "good"
	case label == "duplicate":
		return "quiet"
	case strings.HasPrefix(label, "quarantined"):
		return "warn"
	}
	return "bad"
}

// rowLink is where everything about a request is shown.
func rowLink(r requests.Row) string {
	if r.Stream == stream.Refused {
		return fmt.Sprintf("/refused/%d", r.Sequence)
	}
	return fmt.Sprintf("/events/%d", r.Sequence)
}

// took is a duration in milliseconds; empty where it is not known.
func took(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	ms := float64(d) / float64(time.Millisecond)
	if ms < 0.1 {
		return "<0.1"
	}
	return strconv.FormatFloat(ms, 'f', map[bool]int{true: 1, false: 0}[ms < 10], 64)
}
