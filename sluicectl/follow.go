package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// follower watches what becomes of an event: where it is stored, and what each team says about it. Without NATS it
// says why it sees nothing.
type follower struct {
	wait  time.Duration
	url   string // of NATS
	nc    *nats.Conn
	js    jetstream.JetStream
	words *nats.Subscription // what consumers say about messages
	from  uint64             // the stream's next sequence before the event was sent
	begin time.Time
	err   error
}

// follow begins to watch, before the event is sent.
func (s *sender) follow(ctx context.Context) *follower {
	f := &follower{wait: s.wait, url: s.nats}
	if s.nats == "" {
		return f
	}
	f.err = f.open(ctx, stream.Options{URL: s.nats, Creds: os.Getenv("NATS_CREDS"), TLS: s.tls.Files(), Name: "sluicectl send"})
	f.begin = time.Now()
	return f
}

func (f *follower) open(ctx context.Context, o stream.Options) (err error) {
	ctx, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	if f.nc, err = stream.Connect(ctx, o); err != nil {
		return err
	}
	if f.js, err = jetstream.New(f.nc); err != nil {
		return err
	}
	events, err := f.js.Stream(ctx, stream.Events)
	if err != nil {
		return err
	}
	f.from = events.CachedInfo().State.LastSeq + 1
	if f.words, err = f.nc.SubscribeSync("$JS.ACK.>"); err != nil {
		return err
	}
	return f.nc.FlushWithContext(ctx)
}

func (f *follower) close() {
	if f.nc != nil {
		f.nc.Close()
	}
}

// tell prints the event's way.
func (f *follower) tell(ctx context.Context, d delivery, out io.Writer) {
	if f.err != nil {
		fmt.Fprintf(out, "  not followed: %v\n", unreachable(f.err, f.url))
		return
	}
	if f.nc == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	subject := event.Subject(zorio.Source, d.name)
	sequence, err := f.find(ctx, subject, d)
	if err != nil {
		fmt.Fprintf(out, "  not found on %s within %s: see whether `sluicectl quarantine list` has it, and why\n", subject, f.wait)
		return
	}
	fmt.Fprintf(out, "  stored as %s #%d on %s\n", stream.Events, sequence, subject)
	teams, err := f.teams(ctx, subject)
	if err != nil {
		fmt.Fprintf(out, "  not followed further: %v\n", err)
		return
	}
	if len(teams) == 0 {
		fmt.Fprintln(out, "  no team takes this event yet; it waits in the stream")
		return
	}
	f.listen(ctx, sequence, teams, out)
}

// find reads the stream from where it was before the event was sent.
func (f *follower) find(ctx context.Context, subject string, d delivery) (sequence uint64, err error) {
	consumer, err := f.js.OrderedConsumer(ctx, stream.Events, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subject}, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: f.from, HeadersOnly: true,
	})
	if err != nil {
		return 0, err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return 0, err
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return 0, err
		}
		identity := m.Headers().Get(event.HeaderID)
		if identity != event.Identity(d.id, d.digits) && identity != d.digits {
			continue
		}
		meta, err := m.Metadata()
		if err != nil {
			return 0, err
		}
		return meta.Sequence.Stream, nil
	}
}

// teams are the durable consumers that take events of a subject.
func (f *follower) teams(ctx context.Context, subject string) (names []string, err error) {
	events, err := f.js.Stream(ctx, stream.Events)
	if err != nil {
		return nil, err
	}
	consumers := events.ListConsumers(ctx)
	for info := range consumers.Info() {
		filters := append(info.Config.FilterSubjects, info.Config.FilterSubject)
		if info.Config.Durable != "" && slices.ContainsFunc(filters, func(filter string) bool { return event.Match(filter, subject) }) {
			names = append(names, info.Config.Durable)
		}
	}
	return names, consumers.Err()
}

// listen prints what the teams say about an event until each has said its last word.
func (f *follower) listen(ctx context.Context, sequence uint64, teams []string, out io.Writer) {
	for len(teams) > 0 {
		m, err := f.words.NextMsgWithContext(ctx)
		if err != nil {
			fmt.Fprintf(out, "  not processed by %s within %s: `sluicectl teams` says why; the event waits in the stream\n", strings.Join(teams, ", "), f.wait)
			return
		}
		team, about, ok := parseWord(m.Subject)
		if !ok || about != sequence || !slices.Contains(teams, team) {
			continue
		}
		took := milliseconds(time.Since(f.begin))
		switch {
		case (len(m.Data) == 0 || bytes.HasPrefix(m.Data, []byte("+ACK"))) && f.postponed(ctx, team, sequence):
			fmt.Fprintf(out, "  failed in %s after %s, and will be retried: sluicectl trace shows when\n", team, took)
		case len(m.Data) == 0 || bytes.HasPrefix(m.Data, []byte("+ACK")):
			fmt.Fprintf(out, "  processed by %s in %s\n", team, took)
		case bytes.HasPrefix(m.Data, []byte("+TERM")):
			fmt.Fprintf(out, "  dead-lettered by %s after %s: it is in %s, with the reason\n", team, took, stream.Dead)
		case bytes.HasPrefix(m.Data, []byte("-NAK")):
			fmt.Fprintf(out, "  failed in %s after %s, and will be retried\n", team, took)
			continue
		default:
			continue
		}
		teams = slices.DeleteFunc(teams, func(one string) bool { return one == team })
	}
}

// postponed reports whether a team has put the event aside to try it again: a copy is in RETRY before the event is
// acknowledged.
func (f *follower) postponed(ctx context.Context, team string, sequence uint64) bool {
	id := fmt.Sprintf("%s.%d.*", stream.Events, sequence)
	return f.waits(ctx, stream.Retry, event.WaitSubject(team, id), event.RetryFilter(team), sequence) ||
		f.waits(ctx, stream.RetryOf(team), event.AgainWaitSubject(team, id), event.AgainFilter(team), sequence)
}

// waits reports whether a copy of the event waits in a stream, or is due.
func (f *follower) waits(ctx context.Context, name, wait, due string, sequence uint64) bool {
	retry, err := f.js.Stream(ctx, name)
	if err != nil {
		return false
	}
	if _, err := retry.GetLastMsgForSubject(ctx, wait); err == nil {
		return true
	}
	last, err := retry.GetLastMsgForSubject(ctx, due) // its time may have come already
	return err == nil && last.Header.Get(event.HeaderSequence) == strconv.FormatUint(sequence, 10)
}

// parseWord reads the subject of an acknowledgement, $JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.…, with domain
// and account before the stream in the newer form (nats-server, ADR-15).
func parseWord(subject string) (consumer string, sequence uint64, ok bool) {
	tokens := strings.Split(subject, ".")
	at := 2
	if len(tokens) >= 11 {
		at = 4
	}
	if len(tokens) < at+7 || tokens[at] != stream.Events {
		return "", 0, false
	}
	sequence, err := strconv.ParseUint(tokens[at+3], 10, 64)
	return tokens[at+1], sequence, err == nil
}
