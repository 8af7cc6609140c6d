// Package stream is Sluice's use of NATS JetStream: the declaration of the streams, connecting, the server
// that runs inside the gateway where nothing is installed, and publishing with each message's own acknowledgement.
package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The streams.
const (
	Events     = "EVENTS"     // what happened; every team reads it with its own durable
	Quarantine = "QUARANTINE" // authentic, but not routable, or late
	Dead       = "DEAD"       // what a team gave up on, with the reason
	Retry      = "RETRY"      // events that wait until a team tries them again
	Replay     = "REPLAY"     // copies that an operator asked for, for one team
	Begun      = "BEGUN"      // how often a handler has begun a redelivered event and not returned
	History    = "HISTORY"    // what teams did with events, and operators with dead letters
	Audit      = "AUDIT"      // what operators did
	Refused    = "REFUSED"    // the last requests that became no new event, of each cause
)

// Replays is the key-value bucket with an entry for each replay: who, when, what, and how far it is.
const Replays = "SLUICE_REPLAYS"

// Processes is the key-value bucket in which the teams' processes say how they are.
const Processes = "SLUICE_PROCESSES"

// DuplicateWindow is how long JetStream itself knows an event's identity. An identity costs about 260 bytes of the
// server's memory, so the window bridges retries and restarts; the 24 hours of the contract are kept by package seen.
const DuplicateWindow = 5 * time.Minute

// Settings are what a deployment chooses about the streams.
type Settings struct {
	Replicas int           // 1, or 3 with a cluster
	MaxAge   time.Duration // how long events are kept; 0 means 7 days
	MaxBytes int64         // how many bytes of events are kept, the oldest are dropped first; 0 means as Room says
	Room     int64         // how many bytes of events fit; 0 means that it is not known
}

const (
	eventsAge    = 7 * 24 * time.Hour
	keptAge      = 30 * 24 * time.Hour // quarantine, dead letters, history: as long as the sender keeps its own
	begunAge     = time.Hour           // processes that an event kills are started again sooner
	processesAge = time.Hour
	actionsAge   = 400 * 24 * time.Hour // who replayed, redrove or dropped what: more than a year
)

// Bounds of what is about events and not events themselves. NATS sets as much aside on the disk.
const (
	historyBytes = 1 << 30
	deadBytes    = 1 << 30
	leastBytes   = 16 << 20 // of either, where there is no room for more
	auditBytes   = 64 << 20
	refusedEach  = 100 // of each cause; the gateway cuts bodies

	// What teams write that nobody bounds by bytes, because NATS would set them aside.
	begunSize, begunMost   = 1 << 10, 200_000
	reportSize, reportMost = 64 << 10, 10_000
)

// declarations lists every stream as it shall be.
func (s Settings) declarations() []jetstream.StreamConfig {
	limits := func(name, description string, age time.Duration) jetstream.StreamConfig {
		return jetstream.StreamConfig{
			Name: name, Description: description, Subjects: []string{strings.ToLower(name) + ".>"},
			Storage: jetstream.FileStorage, Replicas: max(1, s.Replicas), Duplicates: min(DuplicateWindow, age),
			Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld, MaxAge: age, MaxBytes: -1,
			AllowDirect: true, Compression: jetstream.S2Compression,
		}
	}
	age := s.MaxAge
	if age == 0 {
		age = eventsAge
	}
	events := limits(Events, "Sluice: every event, once", age)
	events.Compression = jetstream.NoCompression // S2 would cost a third more CPU on every publish
	events.AllowAtomicPublish = true             // one sync of the disk for what a gateway kept in its journal
	if s.MaxBytes > 0 {
		events.MaxBytes = s.MaxBytes
	}
	retry := limits(Retry, "Sluice: events that wait until a team tries them again", keptAge)
	schedules(&retry)
	replay := limits(Replay, "Sluice: events replayed to one team", keptAge)
	replay.Retention = jetstream.WorkQueuePolicy
	replay.AllowAtomicPublish = true // one sync of the disk for a batch
	begun := limits(Begun, "Sluice: how often events that came back have begun", begunAge)
	begun.MaxMsgsPerSubject = 1 // the last note is the only one
	begun.MaxMsgs, begun.MaxMsgSize = begunMost, begunSize
	dead := limits(Dead, "Sluice: events that a team gave up on", keptAge)
	dead.MaxBytes, dead.Discard = deadBytes, jetstream.DiscardNew // where it is full, events stay with their team: no letter is dropped for another
	audit := limits(Audit, "Sluice: what operators did", actionsAge)
	audit.MaxBytes, audit.DenyDelete, audit.DenyPurge = auditBytes, true, true
	refused := limits(Refused, "Sluice: the last requests that became no new event, of each cause", eventsAge)
	refused.MaxMsgsPerSubject = refusedEach
	history := limits(History, "Sluice: what teams did with events", keptAge)
	history.MaxBytes = historyBytes
	return []jetstream.StreamConfig{
		events,
		limits(Quarantine, "Sluice: authentic, but not routable or late", keptAge),
		retry, replay, begun, audit, dead, history, refused,
	}
}

// Declare creates the streams, or updates those that are there to what settings say. On return they are
// stored as durably as the server stores. It refuses, and changes nothing, when a stream of one of the names
// has other subjects: that stream is somebody else's.
func Declare(ctx context.Context, js jetstream.JetStream, settings Settings) (err error) {
	declarations := settings.declarations()
	have := map[string]*jetstream.StreamInfo{}
	for _, want := range declarations {
		if have[want.Name], err = ours(ctx, js, want); err != nil {
			return err
		}
	}
	for _, want := range declarations {
		if want.Name == Events && settings.MaxBytes == 0 && settings.Room > 0 {
			want.MaxBytes = fitting(have[Events], settings.Room)
		}
		if want.Name == Dead {
			want.MaxBytes = settings.letters(have[Dead])
		}
		if have := have[want.Name]; have != nil && same(have.Config, want) {
			continue
		}
		made, err := declare(ctx, js, want)
		if err != nil {
			return explain(want.Name, err)
		}
		if want.AllowMsgSchedules && !made.CachedInfo().Config.AllowMsgSchedules { // older servers ignore what they do not know
			return fmt.Errorf("stream %s: this nats-server cannot schedule messages: version 2.12 or newer is needed", want.Name)
		}
	}
	return declareBuckets(ctx, js, settings)
}

// same reports whether a stream is as it shall be. An update that changes nothing is written and synced all the same: that
// was most of the time of a gateway's start. What the server fills in differently is updated, as ever.
func same(have, want jetstream.StreamConfig) bool {
	want.MaxConsumers, want.MaxMsgs, want.MaxMsgSize = -1, cmp.Or(want.MaxMsgs, -1), cmp.Or(want.MaxMsgSize, -1)
	want.MaxMsgsPerSubject = cmp.Or(want.MaxMsgsPerSubject, -1)
	want.Metadata, have.FirstSeq = have.Metadata, want.FirstSeq // the server's own
	return reflect.DeepEqual(have, want)
}

// fitting is a bound of EVENTS for so much room. One that is there already stays while it is about right, and no start
// drops events to make the bound fit: a disk that others filled may be emptied again.
func fitting(have *jetstream.StreamInfo, room int64) int64 {
	switch {
	case have == nil:
		return room
	case have.Config.MaxBytes > room/5*4 && have.Config.MaxBytes < room/4*5:
		return have.Config.MaxBytes
	}
	return max(room, int64(have.State.Bytes))
}

// letters is a bound of DEAD. One that is there stays unless it is much too low, and where many letters are there already it
// leaves room for more.
func (s Settings) letters(have *jetstream.StreamInfo) int64 {
	bytes := int64(deadBytes)
	if s.Room > 0 {
		bytes = max(leastBytes, min(bytes, s.Room/4))
	}
	if have == nil {
		return bytes
	}
	if bytes = max(bytes, 2*int64(have.State.Bytes)); have.Config.MaxBytes > bytes/5*4 {
		return have.Config.MaxBytes
	}
	return bytes
}

// declare makes one stream as it shall be. History and dead letters take what room there is: they keep no gateway from
// starting.
func declare(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) (jetstream.Stream, error) {
	for {
		made, err := js.CreateOrUpdateStream(ctx, want)
		if want.Name != History && want.Name != Dead || !lacksRoom(err) || want.MaxBytes <= leastBytes {
			return made, err
		}
		want.MaxBytes /= 2
	}
}

// declareBuckets makes what keeps the last word about something, by its name.
func declareBuckets(ctx context.Context, js jetstream.JetStream, settings Settings) error {
	for _, want := range []jetstream.KeyValueConfig{
		{Bucket: Replays, Description: "Sluice: who replayed what, and how far it is", TTL: actionsAge},
		{Bucket: Processes, Description: "Sluice: how the teams' processes are", TTL: processesAge},
	} {
		want.History, want.Storage, want.Replicas = 1, jetstream.FileStorage, max(1, settings.Replicas)
		if sameBucket(ctx, js, want) {
			continue
		}
		if _, err := js.CreateOrUpdateKeyValue(ctx, want); err != nil {
			return explain("KV_"+want.Bucket, err)
		}
	}
	return keepReports(ctx, js)
}

// keepReports bounds the bucket that every team writes to, and takes from it what all buckets have: one message of a team's
// could empty it.
func keepReports(ctx context.Context, js jetstream.JetStream) error {
	const name = "KV_" + Processes
	s, err := js.Stream(ctx, name)
	if err != nil {
		return explain(name, err)
	}
	want := s.CachedInfo().Config
	if !want.AllowRollup && want.MaxMsgs == reportMost {
		return nil
	}
	want.AllowRollup, want.Discard, want.MaxMsgs, want.MaxMsgSize = false, jetstream.DiscardOld, reportMost, reportSize
	_, err = js.UpdateStream(ctx, want)
	return explainUnlessNil(name, err)
}

// sameBucket is [same] for a bucket. What went wrong goes wrong again when it is declared.
func sameBucket(ctx context.Context, js jetstream.JetStream, want jetstream.KeyValueConfig) bool {
	bucket, err := js.KeyValue(ctx, want.Bucket)
	if err != nil {
		return false
	}
	status, err := bucket.Status(ctx)
	if err != nil {
		return false
	}
	have := status.Config()
	want.MaxValueSize, want.MaxBytes, want.Metadata = have.MaxValueSize, have.MaxBytes, have.Metadata
	return reflect.DeepEqual(have, want)
}

// Absent are the streams that [Declare] makes and that are not there.
func Absent(ctx context.Context, js jetstream.JetStream) (absent []string, err error) {
	for _, d := range (Settings{}).declarations() {
		absent = append(absent, d.Name)
	}
	absent = append(absent, "KV_"+Replays, "KV_"+Processes)
	found := js.StreamNames(ctx)
	for name := range found.Name() {
		absent = slices.DeleteFunc(absent, func(a string) bool { return a == name })
	}
	return absent, found.Err()
}

// ours is a stream that is there, nil where it is not; an error when it is somebody else's.
func ours(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) (*jetstream.StreamInfo, error) {
	found, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, explain(want.Name, err)
	}
	if subjects := found.CachedInfo().Config.Subjects; !slices.Equal(subjects, want.Subjects) {
		return nil, fmt.Errorf("stream %s already exists with the subjects %s instead of %s: it is not Sluice's; remove or rename it, or give Sluice an account of its own (NATS_CREDS)",
			want.Name, strings.Join(subjects, ", "), strings.Join(want.Subjects, ", "))
	}
	return found.CachedInfo(), nil
}

// Missing is the error of a stream that does not exist, with the remedy.
func Missing(name string) error {
	return fmt.Errorf("stream %s does not exist (%w): start a gateway of this version, which creates it", name, jetstream.ErrStreamNotFound)
}

// explain adds the remedy to what JetStream says.
func explain(name string, err error) error {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount), errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("NATS runs without JetStream (%w): start nats-server with -js, or put jetstream {} into its configuration; if it is there, make room on its disk, where a full one turns it off, and restart it", err)
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return Missing(name)
	case lacksRoom(err):
		return fmt.Errorf("stream %s: NATS has no room for it (%w): raise max_file_store, or lower SLUICE_EVENTS_MAX_BYTES", name, err)
	case errors.As(err, &api) && api.ErrorCode == noPeers:
		return fmt.Errorf("stream %s: too few servers of the cluster are running for its copies (%w): start them, or lower SLUICE_REPLICAS", name, err)
	case errors.As(err, &api) && api.ErrorCode == replicasNotSupported:
		return fmt.Errorf("stream %s: this NATS is not a cluster (%w): set SLUICE_REPLICAS=1", name, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("stream %s: JetStream did not answer in time (%w): is it enabled (nats-server -js), does the cluster have a leader, and may this account use $JS.API.>?", name, err)
	}
	return fmt.Errorf("stream %s: %w", name, err)
}

func lacksRoom(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == insufficientResources || api.ErrorCode == storageExceeded)
}

// Error codes of the JetStream API, from nats-server's errors.json.
const (
	noPeers               = 10005
	clusterNotAvailable   = 10008
	clusterNotLeader      = 10009
	insufficientResources = 10023
	storageExceeded       = 10047
	replicasNotSupported  = 10074
	streamOffline         = 10118
	streamOfflineReason   = 10194
)
