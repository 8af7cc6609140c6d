package ingest

import (
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/valyala/fasthttp"

	"github.com/sluicehq/sluice/gateway/source"
)

// answer is what a request ends with. There is one of each, so that they can be compared by address.
type answer struct {
	source.Answer
	label      string // in metrics and logs
	retryAfter string // seconds; empty for none
	about      string // why it is given, where the request does not say more
	doubtful   bool   // it refuses what was sent for what it is: a stranger may have sent it

	forged bool // it refuses what was signed by nobody: there a stranger is likely

	cause, remedy string // what it may come from where the sender gets it again and again, and what to do

	verified, unverified atomic.Int64 // given to what was authentic, and to what may be the sender's
}

// taken reports whether it is a success to the sender.
func (a *answer) taken() bool { return a.Status/100 == 2 }

// retryAfter asks the sender to come back once an election or a restart is over.
const retryAfter = 30

// answers is the one table from an outcome to what is said to the sender.
type answers struct {
	ok, duplicate, stale, invalid                 *answer
	quarantinedUnroutable, quarantinedLate        *answer
	quarantinedReplayed                           *answer
	notFound, wrongMethod, malformed              *answer
	tooLarge, headerTooLarge, timeout, overloaded *answer
	notStored, unstorable                         *answer
	starting, stopping, broken                    *answer
	crowded, crowdedByOne, unexpected             *answer
	needsTLS, takesNoTLS                          *answer
	all                                           []*answer
}

func newAnswers(words source.Answers) *answers {
	a := &answers{}
	add := func(label string, said source.Answer) *answer {
		one := &answer{Answer: said, label: label}
		if said.Status == http.StatusServiceUnavailable || said.Status == http.StatusTooManyRequests {
			one.retryAfter = strconv.Itoa(retryAfter)
		}
		a.all = append(a.all, one)
		return one
	}
	say := func(label string, status int, text string) *answer {
		return add(label, source.Answer{Status: status, Text: text})
	}

	a.ok = add("ok", words.OK)
	a.duplicate = add("duplicate", words.Duplicate)
	a.stale = add("stale", words.Stale)
	a.invalid = add("invalid", words.Invalid)
	a.quarantinedUnroutable = add("quarantined_unroutable", words.OK)
	a.quarantinedLate = add("quarantined_late", words.Stale)
	a.quarantinedReplayed = add("quarantined_replayed", words.OK)

	a.notFound = say("not_found", http.StatusNotFound, "Not found")
	a.wrongMethod = say("wrong_method", http.StatusMethodNotAllowed, "Method not allowed")
	a.malformed = say("malformed", http.StatusBadRequest, "Bad request")
	a.unexpected = say("unexpected", http.StatusExpectationFailed, "Expectation failed")
	a.tooLarge = say("too_large", http.StatusRequestEntityTooLarge, "Body too large")
	a.headerTooLarge = say("header_too_large", http.StatusRequestHeaderFieldsTooLarge, "Headers too large")
	a.timeout = say("timeout", http.StatusRequestTimeout, "Request timeout")
	a.overloaded = say("overloaded", http.StatusServiceUnavailable, "Overloaded")
	a.notStored = say("not_stored", http.StatusServiceUnavailable, "Not stored, try again")
	a.unstorable = say("unstorable", http.StatusBadRequest, "Bad request")
	a.starting = say("starting", http.StatusServiceUnavailable, "Starting, try again")
	a.stopping = say("stopping", http.StatusServiceUnavailable, "Stopping, try again")
	a.crowded = say("too_many_connections", http.StatusServiceUnavailable, "Too many connections")
	a.crowdedByOne = say("too_many_connections_per_ip", http.StatusTooManyRequests, "Too many connections")
	a.needsTLS = say("plain_http", http.StatusBadRequest, "This port takes HTTPS: use https://")
	a.takesNoTLS = say("tls", http.StatusBadRequest, "This port takes plain HTTP, no TLS: use http://, or the address of the proxy that takes HTTPS")
	a.broken = say("broken", http.StatusInternalServerError, "Internal error")
	for _, one := range []*answer{a.stale, a.invalid, a.notFound, a.wrongMethod, a.malformed, a.unexpected, a.tooLarge, a.headerTooLarge} {
		one.doubtful = true
	}
	a.timeout.doubtful, a.invalid.forged, a.stale.forged = true, true, true
	a.explain()
	a.describe()
	return a
}

func (a *answer) write(ctx *fasthttp.RequestCtx) { a.fill(&ctx.Response) }

func (a *answer) fill(r *fasthttp.Response) {
	r.Header.SetContentType("text/plain; charset=utf-8")
	r.SetStatusCode(a.Status)
	r.SetBodyString(a.Text)
	if a.retryAfter != "" {
		r.Header.Set(fasthttp.HeaderRetryAfter, a.retryAfter)
	}
	if a.Status == http.StatusMethodNotAllowed {
		r.Header.Set(fasthttp.HeaderAllow, fasthttp.MethodPost)
	}
}
