package stream

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// Range says which messages of a stream are read. What comes in while it is read is not.
type Range struct {
	Filters     []string  // subjects that may not overlap; none means all
	From        uint64    // the first sequence; 0 means from Since on
	Since       time.Time // stored then or later; zero means from the beginning
	To          uint64    // the last sequence; 0 means the last one that is there
	HeadersOnly bool      // without bodies
}

// What a reader asks for at once: measured, 5,000 messages make it a third faster than the client's 500.
const (
	readAhead      = 5000
	readAheadBytes = 16 << 20
)

// How long a reader waits for NATS.
const (
	readSilence   = 5 * time.Second        // then it begins anew behind what it has
	readAgain     = 250 * time.Millisecond // before it begins anew after an error
	readForgotten = 10 * time.Second       // after the server forgets the reader: until then every new event costs it a look at that
	readGiveUp    = 30 * time.Second       // without a message: a cluster that lost its leader takes up to 10 s
)

// Read calls take for each message of a range in the order of the stream, at more than 100,000 a second, and ends with
// its first error. It outlives a NATS that is away for less than half a minute. It needs a stream whose retention is not
// that of a work queue: those are read with [Scan]. So is a range of one filter by a user who may look at messages and make
// no consumer: that is slower.
func Read(ctx context.Context, js jetstream.JetStream, name string, r Range, take func(*jetstream.RawStreamMsg) error) error {
	s, err := js.Stream(ctx, name)
	if err != nil {
		return explain(name, err)
	}
	if last := s.CachedInfo().State.LastSeq; r.To == 0 || r.To > last {
		r.To = last
	}
	reading := reader{Range: r, js: js, stream: s, take: take, heard: time.Now()}
	for {
		done, err := reading.read(ctx)
		switch {
		case done:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case isRefused(err):
			return explain(name, err)
		case time.Since(reading.heard) > readGiveUp:
			return fmt.Errorf("stream %s: NATS delivers no more messages: %w", name, err)
		}
		Pause(ctx, readAgain)
	}
}

// isRefused tells a server that says no from one that cannot answer now.
func isRefused(err error) bool {
	var said jetstream.JetStreamError
	var api *jetstream.APIError
	switch {
	case errors.As(err, &api):
	case errors.As(err, &said):
		api = said.APIError()
	}
	return api != nil && api.Code >= 400 && api.Code < 500 && api.ErrorCode != jetstream.JSErrCodeConsumerNotFound
}

// reader is a range that is being read; From moves behind what is taken.
type reader struct {
	Range
	js     jetstream.JetStream
	stream jetstream.Stream
	take   func(*jetstream.RawStreamMsg) error
	heard  time.Time // when the last message came
}

func (r *Range) config() jetstream.OrderedConsumerConfig {
	c := jetstream.OrderedConsumerConfig{
		FilterSubjects: r.Filters, HeadersOnly: r.HeadersOnly, DeliverPolicy: jetstream.DeliverAllPolicy,
		InactiveThreshold: readForgotten,
	}
	switch {
	case r.From > 0:
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.From
	case !r.Since.IsZero():
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &r.Since
	}
	return c
}

// read takes what is left with one consumer. It is done at the end of the range, which a consumer knows for sure when
// it is made, or with an error of take's; any other error is one of NATS, and passes.
func (r *reader) read(ctx context.Context) (done bool, err error) {
	consumer, err := r.consumer(ctx)
	if errors.Is(err, ErrForbidden) {
		return true, r.scan(ctx, err)
	}
	if err != nil {
		return false, err
	}
	if consumer.CachedInfo().NumPending == 0 {
		return true, nil
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessagesWithBytesLimit(readAhead, readAheadBytes))
	if err != nil {
		return false, err
	}
	defer messages.Stop()
	for !done && err == nil {
		done, err = r.some(ctx, messages)
	}
	return done, err
}

// consumer makes one. That this user may not is said on the connection, and not in an answer.
func (r *reader) consumer(ctx context.Context) (jetstream.Consumer, error) {
	ctx, stop := UnlessForbidden(ctx, r.js.Conn(), ".CONSUMER.CREATE."+r.stream.CachedInfo().Config.Name+".")
	defer stop()
	consumer, err := r.stream.OrderedConsumer(ctx, r.config())
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, ErrForbidden) {
		return nil, cause
	}
	return consumer, err
}

var errEnd = errors.New("the end of the range")

// scan takes what is left without a consumer, which this user may not make.
func (r *reader) scan(ctx context.Context, forbidden error) (err error) {
	subject, from, info := ">", r.From, r.stream.CachedInfo()
	switch {
	case len(r.Filters) == 1:
		subject = r.Filters[0]
	case len(r.Filters) > 1:
		return forbidden
	}
	if from == 0 && !r.Since.IsZero() {
		if from, err = SequenceAt(ctx, r.js, info, r.Since); err != nil {
			return err
		}
	}
	_, err = ScanSome(ctx, r.js, info.Config.Name, subject, from, Bound{}, func(m *jetstream.RawStreamMsg) error {
		if m.Sequence > r.To {
			return errEnd
		}
		if r.HeadersOnly {
			m.Header, m.Data = withSize(m), nil
		}
		return r.take(m)
	})
	if errors.Is(err, errEnd) {
		return nil
	}
	return err
}

// withSize are the headers of a message as NATS sends them without its body.
func withSize(m *jetstream.RawStreamMsg) nats.Header {
	h := nats.Header{}
	maps.Copy(h, m.Header)
	h.Set("Nats-Msg-Size", strconv.Itoa(len(m.Data)))
	return h
}

// some takes messages for a second: a bound of its own for each would cost as much as the message.
func (r *reader) some(ctx context.Context, messages jetstream.MessagesContext) (done bool, err error) {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, readSilence)
	defer cancel()
	for !done && err == nil && time.Since(begin) < time.Second {
		done, err = r.next(ctx, messages)
	}
	return done, err
}

// next takes one message; done says that it was the last of the range, or that take has failed.
func (r *reader) next(ctx context.Context, messages jetstream.MessagesContext) (done bool, err error) {
	m, err := messages.Next(jetstream.NextContext(ctx))
	if err != nil {
		return false, err
	}
	meta, err := m.Metadata()
	if err != nil {
		return false, err
	}
	if meta.Sequence.Stream > r.To {
		return true, nil
	}
	if err := r.take(&jetstream.RawStreamMsg{Subject: m.Subject(), Sequence: meta.Sequence.Stream, Header: m.Headers(), Data: m.Data(), Time: meta.Timestamp}); err != nil {
		return true, err
	}
	r.From, r.heard = meta.Sequence.Stream+1, time.Now()
	return meta.NumPending == 0 || meta.Sequence.Stream >= r.To, nil
}

const (
	scanPage      = 256
	scanPageBytes = 8 << 20
)

// Scan calls take for each message that lies on a subject, which may have wildcards, in the order of the stream, and
// ends with its first error. It takes part in no consumer, and so works on the streams that are work queues.
func Scan(ctx context.Context, js jetstream.JetStream, name, subject string, take func(*jetstream.RawStreamMsg) error) error {
	_, err := ScanSome(ctx, js, name, subject, 1, Bound{}, take)
	return err
}

// ScanLast is [Scan] of the last sequences of a stream, so many at most, whatever lies on them.
func ScanLast(ctx context.Context, js jetstream.JetStream, name, subject string, sequences uint64, take func(*jetstream.RawStreamMsg) error) error {
	s, err := js.Stream(ctx, name)
	if err != nil {
		return explain(name, err)
	}
	last := s.CachedInfo().State.LastSeq
	_, err = ScanSome(ctx, js, name, subject, last-min(last, sequences)+1, Bound{}, take)
	return err
}

// Bound ends a scan early. Zero is no bound.
type Bound struct{ Messages, Bytes int }

// ScanSome is [Scan] from a sequence on, within a bound. More says that there may be messages behind it.
func ScanSome(ctx context.Context, js jetstream.JetStream, name, subject string, from uint64, bound Bound, take func(*jetstream.RawStreamMsg) error) (more bool, err error) {
	s, err := js.Stream(ctx, name)
	if err != nil {
		return false, explain(name, err)
	}
	last, messages, bytes := s.CachedInfo().State.LastSeq, 0, 0
	for from = max(from, 1); from <= last; {
		page, err := jetstreamext.GetBatch(ctx, js, name, scanPage, jetstreamext.GetBatchSeq(from),
			jetstreamext.GetBatchSubject(subject), jetstreamext.GetBatchMaxBytes(scanPageBytes))
		if err != nil {
			return false, fmt.Errorf("stream %s: %w", name, err)
		}
		before := from
		for m, err := range page {
			if errors.Is(err, jetstreamext.ErrNoMessages) {
				return false, nil
			}
			if err != nil {
				return false, fmt.Errorf("stream %s: %w", name, err)
			}
			if m.Sequence > last {
				return false, nil
			}
			if bound.Messages > 0 && messages == bound.Messages || bound.Bytes > 0 && bytes >= bound.Bytes {
				return true, nil
			}
			strip(m)
			if err := take(m); err != nil {
				return false, err
			}
			from, messages, bytes = m.Sequence+1, messages+1, bytes+len(m.Data)
		}
		if from == before {
			return false, fmt.Errorf("stream %s: NATS did not answer in time", name)
		}
	}
	return false, nil
}

// Get returns one message, or [jetstream.ErrMsgNotFound].
func Get(ctx context.Context, js jetstream.JetStream, name string, sequence uint64) (*jetstream.RawStreamMsg, error) {
	s, err := js.Stream(ctx, name)
	if err != nil {
		return nil, explain(name, err)
	}
	m, err := s.GetMsg(ctx, sequence)
	if err != nil {
		return nil, err
	}
	strip(m)
	return m, nil
}

// strip removes the headers that an answer has beside those of the message.
func strip(m *jetstream.RawStreamMsg) {
	for _, name := range []string{jetstream.StreamHeader, jetstream.SequenceHeader, jetstream.TimeStampHeaer, jetstream.SubjectHeader, "Nats-Num-Pending", "Nats-Last-Sequence"} {
		delete(m.Header, name)
	}
}

// Delete removes one message. One that is gone already is no error.
func Delete(ctx context.Context, js jetstream.JetStream, name string, sequence uint64) error {
	_, err := Remove(ctx, js, name, sequence)
	return err
}

// Remove removes one message, and reports whether it was gone already. Of several who remove the same one, one alone is
// told that it was there.
func Remove(ctx context.Context, js jetstream.JetStream, name string, sequence uint64) (gone bool, err error) {
	s, err := js.Stream(ctx, name)
	if err != nil {
		return false, explain(name, err)
	}
	err = s.DeleteMsg(ctx, sequence)
	if gone = isGone(err); err != nil && !gone {
		return false, fmt.Errorf("remove #%d from %s: %w", sequence, name, err)
	}
	return gone, nil
}

// Window is where the last messages of a stream lie: so many sequences at most, or all where there are no more messages
// than that. Older counts the messages before it, as far as that is known without reading.
func Window(ctx context.Context, js jetstream.JetStream, name string, most uint64) (from, to, older uint64, err error) {
	s, err := js.Stream(ctx, name)
	if err != nil {
		return 0, 0, 0, explain(name, err)
	}
	state := s.CachedInfo().State
	if from, to = state.FirstSeq, state.LastSeq; state.Msgs > most {
		from, older = to-most+1, state.Msgs-most
	}
	return from, to, older, nil
}

// isGone knows how a server says that there is no message to remove: the client passes its words on, not its code.
func isGone(err error) bool {
	return errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) &&
		(strings.Contains(err.Error(), "not found") || strings.Contains(err.Error(), "no message found") || strings.Contains(err.Error(), "EOF"))
}
