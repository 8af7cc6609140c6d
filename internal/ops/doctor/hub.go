package doctor

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/ops/finding"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
)

// hub is a NATS that is connected to.
type hub struct {
	nc *nats.Conn
	js jetstream.JetStream
}

const askWithin = 3 * time.Second

// jetStream reports whether it can store at all.
func (h *hub) jetStream(ctx context.Context, all *finding.List) bool {
	const check = "jetstream"
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	account, err := h.js.AccountInfo(ctx)
	if err != nil {
		all.Fail(check, err.Error(), "enable JetStream (nats-server -js), and let this user use $JS.API.>")
		return false
	}
	store(all, account)
	return true
}

// store is how much of what it may store it has stored.
func store(all *finding.List, account *jetstream.AccountInfo) {
	const check = "jetstream"
	detail := mebibytes(account.Store) + " stored"
	limit := account.Limits.MaxStore
	if limit > 0 {
		detail += " of " + mebibytes(uint64(limit))
	}
	if limit > 0 && float64(account.Store) > 0.9*float64(limit) {
		all.Warn(check, detail, "raise the account's or the server's max_file_store, or lower SLUICE_EVENTS_MAX_BYTES")
		return
	}
	all.OK(check, detail)
}

func mebibytes(bytes uint64) string { return fmt.Sprintf("%d MiB", bytes>>20) }

// streams are all there, have a leader and do what they are for.
func (h *hub) streams(ctx context.Context, all *finding.List) {
	const check = "streams"
	before := len(*all)
	var counts []string
	for _, name := range []string{stream.Events, stream.Quarantine, stream.Dead, stream.Retry, stream.Replay, stream.Begun, stream.History, stream.Audit, stream.Refused, "KV_" + stream.Replays, "KV_" + stream.Processes} {
		s, err := h.js.Stream(ctx, name)
		if err != nil {
			all.Fail(check, name+": "+err.Error(), "start a gateway of this version: it creates the streams")
			continue
		}
		info := s.CachedInfo()
		streamIsRight(all, info)
		if !strings.HasPrefix(name, "KV_") {
			counts = append(counts, fmt.Sprintf("%s %d", name, info.State.Msgs))
		}
	}
	if len(*all) == before {
		all.OK(check, strings.Join(counts, ", "))
	}
}

func streamIsRight(all *finding.List, info *jetstream.StreamInfo) {
	const check = "streams"
	c := info.Config
	switch {
	case c.Name == stream.Retry && !c.AllowMsgSchedules:
		all.Fail(check, c.Name+": this NATS cannot schedule messages, so no event can be retried", "use nats-server 2.12 or newer, and start the gateway again")
	case c.Name == stream.Replay && !c.AllowAtomicPublish:
		all.Warn(check, c.Name+": this NATS takes no batches, so replays are slow", "use nats-server 2.12 or newer, and start the gateway again")
	case c.Name == stream.Events && c.Duplicates < stream.DuplicateWindow:
		all.Warn(check, fmt.Sprintf("%s finds duplicates within %s only", c.Name, c.Duplicates), "start the gateway again: it sets five minutes")
	}
	if info.Cluster == nil {
		return
	}
	if info.Cluster.Leader == "" {
		all.Fail(check, c.Name+" has no leader: it stores nothing", "start the servers of the cluster: more than half must run")
	}
	for _, peer := range info.Cluster.Replicas {
		if peer.Offline || !peer.Current {
			all.Warn(check, fmt.Sprintf("%s: its replica on %s is behind or offline", c.Name, peer.Name), "look at that server")
		}
	}
}

// Bounds of the difference between two clocks: the contract allows a timestamp to be 300 s off.
const (
	someSkew = 2 * time.Second
	muchSkew = 60 * time.Second
)

// clock compares this machine's with that of NATS.
func (h *hub) clock(ctx context.Context, all *finding.List) {
	const check = "clock"
	s, err := h.js.Stream(ctx, stream.Events)
	if err != nil {
		return // the streams are not there, which is said
	}
	begin := time.Now()
	info, err := s.Info(ctx)
	took := time.Since(begin)
	if err != nil || info.TimeStamp.IsZero() {
		all.Warn(check, "NATS does not tell its time", "make sure that NTP sets the machines' clocks")
		return
	}
	off := info.TimeStamp.Sub(begin.Add(took / 2))
	detail := fmt.Sprintf("%.3f s off the clock of NATS, ± %.3f s", math.Abs(off.Seconds()), (took / 2).Seconds())
	const remedy = "set the clocks by NTP: the gateway refuses every delivery when its clock is 300 s off"
	switch {
	case off.Abs() > muchSkew:
		all.Fail(check, detail, remedy)
	case off.Abs() > someSkew:
		all.Warn(check, detail, remedy)
	default:
		all.OK(check, detail)
	}
}

// permissions tries to store something that no stream takes: a sequence is expected that no stream has.
func (h *hub) permissions(ctx context.Context, all *finding.List) {
	const check = "permissions"
	before := len(*all)
	for _, subject := range []string{"events.doctor.probe", "quarantine.doctor.probe", "dead.doctor.doctor.probe", "replay.doctor.doctor.probe", "retry.doctor.due.doctor.probe", "history.doctor.probe", "audit.doctor.probe"} {
		bounded, cancel := context.WithTimeout(ctx, askWithin)
		_, err := h.js.Publish(bounded, subject, nil, jetstream.WithExpectLastSequence(math.MaxInt64), jetstream.WithRetryAttempts(0))
		cancel()
		var api *jetstream.APIError
		if errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
			continue
		}
		all.Fail(check, fmt.Sprintf("cannot publish to %s: %v", subject, err), "let this user publish to "+subject[:strings.IndexByte(subject, '.')]+".> and subscribe to its inbox")
	}
	if len(*all) == before {
		all.OK(check, "this user can publish to every stream")
	}
}

// gateways that say how they are say it here too.
func (h *hub) gateways(ctx context.Context, all *finding.List) {
	if reports, err := team.Gateways(ctx, h.js); err == nil { // where it is not, the stream is not there, which is said
		gateways(all, reports, time.Now())
		disks(all, reports, time.Now())
	}
}

// teams that fall behind lose what retention drops.
func (h *hub) teams(ctx context.Context, all *finding.List) {
	const check = "teams"
	statuses, err := team.Statuses(ctx, h.js, 0)
	if err != nil {
		all.Warn(check, err.Error(), "look at the streams above")
		return
	}
	before, names := len(*all), []string{}
	for _, s := range statuses {
		names = append(names, s.Team)
		teamIsRight(all, s)
	}
	switch {
	case len(names) == 0:
		all.Warn(check, "no team has started yet: events wait in EVENTS", "start a consumer")
	case len(*all) == before:
		all.OK(check, strings.Join(names, ", ")+": no event is close to being dropped")
	}
}
