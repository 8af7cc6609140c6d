package seen

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluicehq/sluice/pkg/event"
)

// In the small layout a delivery is a field of a hash of some hundred, which Redis keeps in one piece of memory. The
// field is the identity in raw bytes, the value its sequence in EVENTS. A hash is of one half-day and is dropped with it,
// 24 hours after its end: what lies in it is remembered for 24 to 36 hours. A look-up asks the three half-days that
// matter, in one round trip. Half-days begin at another time in each tag, so that what is dropped is dropped evenly.
//
//	sluice:seen:{<tag>}:<half-day>.<generation>.<number>
//
// How many hashes a tag has depends on the load, and is written down: see generation.go.

const (
	tags    = 1024 // of which each lies in one slot of a Cluster
	halfDay = TTL / 2
)

// spot is where an identity lies.
type spot struct {
	tag    int
	number uint64 // modulo how many hashes there are
	field  string
}

func spotOf(identity string) spot {
	delivery, digits := event.SplitIdentity(identity)
	return newSpot(delivery, rawSignature(delivery, digits))
}

// newSpot is that of all identities of a delivery where no signature is given.
func newSpot(delivery, signature string) spot {
	sum := sha256.Sum256([]byte(delivery))
	place := binary.BigEndian.Uint64(sum[:])
	return spot{tag: int(place % tags), number: place / tags, field: fieldOf(delivery, sum) + signature}
}

// fieldOf begins the field of each identity of a delivery. The lengths of fields, 24, 32, 40, 48 and 64 bytes, keep the
// forms apart; Redis keeps hashes of longer ones in another way, with three times the memory.
func fieldOf(delivery string, sum [sha256.Size]byte) string {
	if raw := rawUUID(delivery); raw != nil {
		return string(raw)
	}
	return string(sum[:])
}

// rawUUID is nil for what is no UUID in its usual form.
func rawUUID(text string) []byte {
	if len(text) != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-' {
		return nil
	}
	return rawHex(text[:8] + text[9:13] + text[14:18] + text[19:23] + text[24:])
}

// rawHex is nil for what is not in lower case, which would be another identity with the same bytes.
func rawHex(digits string) []byte {
	raw, err := hex.DecodeString(digits)
	if err != nil || strings.ContainsAny(digits, "ABCDEF") {
		return nil
	}
	return raw
}

// rawSignature is empty for an identity that is the signature alone.
func rawSignature(delivery, digits string) string {
	if delivery == digits {
		return ""
	}
	if raw := rawHex(digits); len(raw) == 8 {
		return string(raw)
	}
	sum := sha256.Sum256([]byte(digits))
	return string(sum[:])
}

func spotsOf(identities []string) (spots []spot, keys []string) {
	spots, keys = make([]spot, len(identities)), make([]string, len(identities))
	for i, identity := range identities {
		spots[i] = spotOf(identity)
		keys[i] = tagKeys[spots[i].tag]
	}
	return spots, keys
}

// tagKeys begin the keys of each tag.
var tagKeys = func() (keys [tags]string) {
	for tag := range keys {
		keys[tag] = coveredKey + ":{" + strconv.Itoa(tag) + "}:"
	}
	return keys
}()

// halfDayOf counts half-days since 1970, each tag with its own beginning.
func halfDayOf(t time.Time, tag int) int64 {
	return (t.UnixMilli() + shift(tag)) / halfDay.Milliseconds()
}

func shift(tag int) int64 { return int64(tag) * halfDay.Milliseconds() / tags }

// endOf is when a half-day is dropped.
func endOf(half int64, tag int) time.Time {
	return time.UnixMilli((half+1)*halfDay.Milliseconds() - shift(tag)).Add(TTL + margin)
}

// key is that of the hash of a spot.
func (s *spot) key(half int64, g generation) string {
	key := make([]byte, 0, 64)
	key = append(key, tagKeys[s.tag]...)
	key = strconv.AppendInt(key, half, 36)
	key = append(append(append(key, '.'), g.text...), '.')
	return string(strconv.AppendUint(key, s.number%g.hashes(), 36))
}

// askTags asks the shards of the tags. Of a Cluster it has to be known who they are.
func (r *Redis) askTags(ctx context.Context, keys []string, batch func(ctx context.Context, s *shard, which []int) error) (failed []int, err error) {
	if all := r.shards.Load(); r.cluster && all.owner == nil {
		if err := all.list[0].ask(ctx, r.learn); err != nil {
			return everyPlace(keys), err
		}
	}
	return r.ask(ctx, keys, batch)
}

func everyPlace(keys []string) []int {
	places := make([]int, len(keys))
	for i := range places {
		places[i] = i
	}
	return places
}

func (r *Redis) lookupSmall(ctx context.Context, identities []string, seen []bool) error {
	spots, keys := spotsOf(identities)
	_, err := r.askTags(ctx, keys, func(ctx context.Context, s *shard, which []int) error {
		for {
			if sure, err := r.lookupIn(ctx, s, spots, which, seen); sure || err != nil {
				return err
			}
		}
	})
	return err
}

// question is whether the identity at this place lies in one hash.
type question struct {
	answer *redis.BoolCmd
	at     int
}

// lookupIn reports whether all generations were known that there are: otherwise it is to be repeated.
func (r *Redis) lookupIn(ctx context.Context, s *shard, spots []spot, which []int, seen []bool) (sure bool, err error) {
	now, pipe := time.Now(), r.client.Pipeline()
	halves := halvesAt(now)
	known, told := s.generations(halves), pipe.MGet(ctx, s.generationKeys(halves)...)
	questions := make([]question, 0, 3*len(which))
	for _, at := range which {
		spot := &spots[at]
		for half := halfDayOf(now.Add(-TTL-margin), spot.tag); half <= halfDayOf(now.Add(margin), spot.tag); half++ {
			for _, g := range r.about(known[half]) {
				questions = append(questions, question{pipe.HExists(ctx, spot.key(half, g), spot.field), at})
			}
		}
	}
	if _, err := exec(ctx, pipe); err != nil {
		return false, err
	}
	for _, q := range questions {
		seen[q.at] = seen[q.at] || q.answer.Val()
	}
	return !s.learnGenerations(halves, texts(told.Val())), nil
}

func (r *Redis) markSmall(ctx context.Context, marks []Mark) error {
	spots, keys := spotsOf(identitiesOf(marks))
	failed, err := r.askTags(ctx, keys, func(ctx context.Context, s *shard, which []int) error {
		for {
			if sure, err := r.markIn(ctx, s, marks, spots, which); sure || err != nil {
				return err
			}
		}
	})
	r.missed(marks, keys, failed)
	return err
}

// markIn reports whether the generations are there that it marked in: otherwise it is to be repeated.
func (r *Redis) markIn(ctx context.Context, s *shard, marks []Mark, spots []spot, which []int) (sure bool, err error) {
	now, pipe := time.Now(), r.client.Pipeline()
	into := map[int64]*opened{}
	for _, at := range which {
		stored := marks[at].Stored
		if stored.After(now) { // by another clock
			stored = now
		}
		half := halfDayOf(stored, spots[at].tag)
		if into[half] == nil {
			into[half] = r.open(ctx, pipe, s, half, now)
		}
		key := spots[at].key(half, into[half].generation)
		pipe.HSetNX(ctx, key, spots[at].field, marks[at].Sequence)
		pipe.Expire(ctx, key, endOf(half, spots[at].tag).Sub(now))
	}
	if _, err := exec(ctx, pipe); err != nil {
		return false, err
	}
	sure = true
	for half, o := range into {
		s.learnGenerations([]int64{half}, []string{o.told.Val()})
		sure = sure && s.has(half, o.generation)
	}
	return sure, nil
}

// findSmall returns the sequence of the first that is remembered of a delivery.
func (r *Redis) findSmall(ctx context.Context, delivery string) (sequence uint64, err error) {
	spot := newSpot(delivery, "")
	_, err = r.askTags(ctx, []string{tagKeys[spot.tag]}, func(ctx context.Context, s *shard, _ []int) error {
		halves := halvesAt(time.Now())
		told, err := r.client.MGet(ctx, s.generationKeys(halves)...).Result()
		if err != nil {
			return err
		}
		s.learnGenerations(halves, texts(told))
		pipe := r.client.Pipeline()
		for half, all := range s.generations(halves) {
			for _, g := range r.about(all) {
				pipe.HGetAll(ctx, spot.key(half, g))
			}
		}
		commands, err := exec(ctx, pipe)
		for _, command := range commands {
			for field, value := range command.(*redis.MapStringStringCmd).Val() {
				if strings.HasPrefix(field, spot.field) {
					sequence, _ = strconv.ParseUint(value, 10, 64) // written by Mark
				}
			}
		}
		return err
	})
	return sequence, err
}
