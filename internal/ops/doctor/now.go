package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/ops/finding"
	"github.com/sluicehq/sluice/internal/stream"
	"github.com/sluicehq/sluice/internal/team"
)

// Now is how everything is, as far as NATS alone tells: streams, gateways and teams.
type Now struct {
	At       time.Time // by the clock of NATS
	Streams  map[string]*jetstream.StreamInfo
	Account  *jetstream.AccountInfo
	Gateways []*team.Gateway // that reported within an hour, the latest report first
	Teams    []*team.Status  // by name
}

// Look asks NATS a few questions, and one or two for each team.
func Look(ctx context.Context, js jetstream.JetStream) (*Now, error) {
	n := &Now{Streams: map[string]*jetstream.StreamInfo{}}
	streams := js.ListStreams(ctx)
	for info := range streams.Info() {
		n.Streams[info.Config.Name], n.At = info, info.TimeStamp.UTC()
	}
	if err := streams.Err(); err != nil {
		return nil, err
	}
	if n.Events() == nil {
		return nil, stream.Missing(stream.Events)
	}
	var failed [3]error
	n.Account, failed[0] = js.AccountInfo(ctx)
	n.Gateways, failed[1] = team.Gateways(ctx, js)
	n.Teams, failed[2] = team.Statuses(ctx, js, 0)
	return n, errors.Join(failed[:]...)
}

// Events is the stream EVENTS.
func (n *Now) Events() *jetstream.StreamInfo { return n.Streams[stream.Events] }

// Compare measures the teams' rates since an earlier look.
func (n *Now) Compare(earlier *Now) {
	before := map[string]*team.Status{}
	for _, s := range earlier.Teams {
		before[s.Team] = s
	}
	for _, s := range n.Teams {
		if b := before[s.Team]; b != nil {
			s.Compare(b)
		}
	}
}

// Seen are the last sequences of dead letters and of quarantine that somebody has looked at.
type Seen struct{ Dead, Quarantine uint64 }

// Findings are what needs somebody, the worst first: nothing that is right is in it.
func (n *Now) Findings(seen Seen) (all finding.List) {
	gateways(&all, n.Gateways, n.At)
	if len(n.Gateways) == 0 {
		all.Warn("gateway", "no gateway has reported within an hour", "start one; one of an earlier version does not report: see its /readyz")
	}
	store(&all, n.Account)
	for _, name := range slices.Sorted(maps.Keys(n.Streams)) {
		streamIsRight(&all, n.Streams[name])
	}
	for _, s := range n.Teams {
		teamIsRight(&all, s)
	}
	n.unseen(&all, seen)
	disks(&all, n.Gateways, n.At)
	slices.SortStableFunc(all, func(a, b finding.Finding) int { return cmp.Compare(rank(a.Level), rank(b.Level)) })
	return slices.DeleteFunc(all, func(f finding.Finding) bool { return f.Level == finding.OK })
}

func rank(l finding.Level) int {
	return slices.Index([]finding.Level{finding.Fail, finding.Warn, finding.OK}, l)
}

// unseen are dead letters and quarantined deliveries that came since somebody looked.
func (n *Now) unseen(all *finding.List, seen Seen) {
	if count := newer(n.Streams[stream.Dead], seen.Dead); count > 0 {
		all.Warn("dead letters", counted(count, "dead letter")+whose(n.Teams, seen.Dead == 0)+" nobody has looked at",
			"see why the handler failed, repair it, and redrive them: nothing is lost meanwhile")
		all.About("", "sluicectl dead list", firstOf(n.Streams[stream.Dead], seen.Dead))
	}
	if count := newer(n.Streams[stream.Quarantine], seen.Quarantine); count > 0 {
		all.Warn("quarantine", counted(count, "authentic delivery", "authentic deliveries")+" in quarantine that nobody has looked at",
			"see why they could not be routed or came late, and release or drop them")
		all.About("", "sluicectl quarantine list", firstOf(n.Streams[stream.Quarantine], seen.Quarantine))
	}
}

// firstOf is when the first message behind a sequence was stored, where the stream's own state tells it.
func firstOf(info *jetstream.StreamInfo, seen uint64) *time.Time {
	if seen >= info.State.FirstSeq {
		return nil
	}
	return &info.State.FirstTime
}

// newer is how many messages a stream has behind a sequence, at most.
func newer(info *jetstream.StreamInfo, seen uint64) uint64 {
	if info == nil || info.State.LastSeq <= seen {
		return 0
	}
	return min(info.State.Msgs, info.State.LastSeq-seen)
}

// whose says which teams gave up on them.
func whose(teams []*team.Status, all bool) string {
	var parts []string
	for _, s := range teams {
		if s.Dead > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", s.Team, s.Dead))
		}
	}
	if !all || len(parts) == 0 {
		return " that"
	}
	return " (" + strings.Join(parts, ", ") + ") that"
}

// counted is a number with its noun.
func counted(n uint64, one string, many ...string) string {
	if n == 1 {
		return "1 " + one
	}
	if len(many) > 0 {
		return fmt.Sprintf("%d %s", n, many[0])
	}
	return fmt.Sprintf("%d %ss", n, one)
}
