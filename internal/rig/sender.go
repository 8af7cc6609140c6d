package rig

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/zorio"
)

// Secret is the webhook secret of senders and gateways in tests.
const Secret = "0123456789abcdefghijABCDEFGHIJ01"

// Sender sends events as Zorio does: so many a second, whatever becomes of those before. A delivery is tried when it
// happens, after 30 s, 5 min and 30 min; an answer that is no 2xx or takes more than 5 s is a failure; Retry-After is
// honoured. It keeps the account of what was answered 2xx. It is safe for concurrent use.
type Sender struct {
	Sending
	t      testing.TB
	run    string // in all its delivery ids
	client *http.Client

	cancel   context.CancelFunc
	begun    context.Context // until no new event happens
	sending  sync.WaitGroup
	mu       sync.Mutex
	attempts []Attempt // in the order in which they ended
	taken    map[string]bool
	events   int
}

// Attempt is one try of a delivery.
type Attempt struct {
	ID     string
	Nth    int // 0 is the first
	Begin  time.Time
	Took   time.Duration
	Answer string // "200 OK"; what went wrong where none came
	Again  string // Retry-After
}

// Failed is what the sender counts as a failure.
func (a Attempt) Failed() bool { return !strings.HasPrefix(a.Answer, "2") }

// AnswerWithin is how long it waits for an answer.
const AnswerWithin = 5 * time.Second

const (
	connections = 2000 // at once, at most
	bodySize    = 512
)

// waits are between two attempts.
var waits = []time.Duration{30 * time.Second, 5 * time.Minute, 30 * time.Minute}

// Sending is what a sender sends, and where to.
type Sending struct {
	URL    string
	Rate   int            // events a second
	Scale  float64        // the waits between attempts, and those that Retry-After asks for, are shorter by so much
	Events []string       // names, in turns; pbx.call.hangup alone when left out
	Secret string         // [Secret] when left out
	Roots  *x509.CertPool // who signs for an https URL
	Closes int            // one in so many attempts is the last on its connection; 0: none, as far as it goes
}

// StartSender begins to send.
func StartSender(t testing.TB, sending Sending) *Sender {
	t.Helper()
	if len(sending.Events) == 0 {
		sending.Events = []string{"pbx.call.hangup"}
	}
	sending.Secret = cmp.Or(sending.Secret, Secret)
	s := &Sender{Sending: sending, t: t, run: fmt.Sprintf("%08x", rand.Uint32()), taken: map[string]bool{}}
	s.client = &http.Client{Timeout: AnswerWithin, Transport: &http.Transport{
		MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections, TLSClientConfig: &tls.Config{RootCAs: s.Roots},
	}}
	s.begun, s.cancel = context.WithCancel(context.Background())
	t.Cleanup(func() { s.cancel(); s.client.CloseIdleConnections() })
	s.sending.Go(s.happen)
	return s
}

// happen begins the events that are due. A busy machine may delay some, and none is left out.
func (s *Sender) happen() {
	for begin := time.Now(); s.begun.Err() == nil; time.Sleep(time.Millisecond) {
		for due := int(time.Since(begin).Seconds() * float64(s.Rate)); s.events < due; s.events++ {
			id, event := fmt.Sprintf("%s-%d", s.run, s.events), s.Events[s.events%len(s.Events)]
			s.sending.Go(func() { s.deliver(id, event) })
		}
	}
}

// deliver tries a delivery until it is taken or given up.
func (s *Sender) deliver(id, event string) {
	body := fmt.Appendf(nil, `{"event":%q,"timestamp":%q,"data":{"call_uuid":%[3]q,"id":%[3]q,"lead_id":%[3]q,"hangup_cause":"NORMAL_CLEARING"}}`,
		event, time.Now().UTC().Format(time.RFC3339), id)
	body = append(body, bytes.Repeat([]byte(" "), bodySize-len(body))...)
	for nth := 0; ; nth++ {
		a := s.attempt(id, event, nth, body)
		s.note(a)
		if !a.Failed() || nth == len(waits) {
			return
		}
		seconds, _ := strconv.Atoi(a.Again)
		time.Sleep(time.Duration(float64(max(waits[nth], time.Duration(seconds)*time.Second)) / s.Scale))
	}
}

func (s *Sender) attempt(id, event string, nth int, body []byte) Attempt {
	a := Attempt{ID: id, Nth: nth, Begin: time.Now()}
	request, _ := http.NewRequest(http.MethodPost, s.URL, bytes.NewReader(body))
	request.Header = zorio.Headers(s.Secret, event, id, a.Begin, body)
	request.Close = s.Closes > 0 && rand.IntN(s.Closes) == 0
	answer, err := s.client.Do(request)
	if err == nil {
		var text []byte
		text, err = io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		a.Answer, a.Again = fmt.Sprint(answer.StatusCode, " ", string(text)), answer.Header.Get("Retry-After")
	}
	if err != nil {
		a.Answer = reason(err)
	}
	a.Took = time.Since(a.Begin)
	return a
}

// reason is an error without the addresses in it, so that equal ones can be counted.
func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer within " + AnswerWithin.String()
	}
	text := strings.TrimSuffix(err.Error(), ": %!w(<nil>)") // as net/http has it
	return strings.TrimSpace(text[strings.LastIndexByte(text, ':')+1:])
}

func (s *Sender) note(a Attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attempts = append(s.attempts, a)
	if !a.Failed() {
		s.taken[a.ID] = true
	}
}

// End waits until every event that happened was taken or given up. No new one happens.
func (s *Sender) End() {
	s.cancel()
	s.sending.Wait()
}

// Taken are the ids of the deliveries that were answered 2xx.
func (s *Sender) Taken() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := make(map[string]bool, len(s.taken))
	for id := range s.taken {
		taken[id] = true
	}
	return taken
}

// Attempts are all that have ended, in that order.
func (s *Sender) Attempts() []Attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.attempts)
}

// LongestRun is the most failures in a row: at fifty Zorio suspends the URL.
func LongestRun(attempts []Attempt) (longest int) {
	run := 0
	for _, a := range attempts {
		if run++; !a.Failed() {
			run = 0
		}
		longest = max(longest, run)
	}
	return longest
}

// Quantile is how long so great a part of the attempts took at most: 0.99 of them, 1 for all.
func Quantile(attempts []Attempt, part float64) time.Duration {
	if len(attempts) == 0 {
		return 0
	}
	took := make([]time.Duration, len(attempts))
	for i, a := range attempts {
		took[i] = a.Took
	}
	slices.Sort(took)
	return took[int(part*float64(len(took)-1))]
}
