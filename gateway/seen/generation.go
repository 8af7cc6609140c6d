package seen

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// generation is a set of hashes of a half-day: about which stream, and how many. Each shard has a list of those that there
// are, a key a half-day, to which whoever needs one more appends it. The list is read in the same round trip as the hashes:
// a look-up that did not know all of it, or a mark in one that is gone, is done again. Nothing else has to be agreed on.
type generation struct {
	text   string // <when EVENTS was made>.<level>, as in the keys
	stream string
	level  int
}

const (
	growth   = 8   // one level has so many times the hashes of the one below
	topLevel = 7   // 2 million hashes a tag
	crowded  = 200 // fields in a hash, at which a level more is begun; with 512 Redis would keep them in another way
	sparse   = 16  // fields in a hash at the end of a half-day, below which the next one begins a level lower
	samples  = 8
)

// hashes is how many there are in each tag.
func (g generation) hashes() uint64 { return 1 << (3 * g.level) }

func newGeneration(stream string, level int) generation {
	return generation{text: stream + "." + strconv.Itoa(level), stream: stream, level: level}
}

func parseGenerations(list string) (all []generation) {
	for _, text := range strings.Fields(list) {
		stream, digits, _ := strings.Cut(text, ".")
		level, err := strconv.Atoi(digits)
		g := newGeneration(stream, level)
		if err == nil && level >= 0 && level <= topLevel && !slices.Contains(all, g) {
			all = append(all, g)
		}
	}
	return all
}

// noStream is the name of a stream that nobody knows yet: what is marked about it counts for any.
const noStream = "0"

func (r *Redis) streamName() string { return strconv.FormatInt(r.stream.Load(), 36) }

// about leaves out the generations that are about a stream that is gone.
func (r *Redis) about(all []generation) (some []generation) {
	now := r.streamName()
	if !slices.ContainsFunc(all, func(g generation) bool { return g.stream != now }) {
		return all
	}
	for _, g := range all {
		if g.stream == now || g.stream == noStream || now == noStream {
			some = append(some, g)
		}
	}
	return some
}

// last is the generation that is marked in: the newest about the stream, or about any while none is known.
func (r *Redis) last(all []generation) (last generation, there bool) {
	now := r.streamName()
	for _, g := range all {
		if g.stream == now || now == noStream {
			last, there = g, true
		}
	}
	return last, there
}

// halvesAt are the half-days that matter to any tag.
func halvesAt(now time.Time) (halves []int64) {
	for half := halfDayOf(now.Add(-TTL-margin), 0); half <= halfDayOf(now.Add(margin), tags-1); half++ {
		halves = append(halves, half)
	}
	return halves
}

func (s *shard) generationKey(half int64) string {
	return s.base + ":half-day:" + strconv.FormatInt(half, 36)
}

func (s *shard) generationKeys(halves []int64) []string {
	keys := make([]string, len(halves))
	for i, half := range halves {
		keys[i] = s.generationKey(half)
	}
	return keys
}

// generations are those that were known last.
func (s *shard) generations(halves []int64) map[int64][]generation {
	s.listing.Lock()
	defer s.listing.Unlock()
	all := make(map[int64][]generation, len(halves))
	for _, half := range halves {
		all[half] = s.lists[half].all
	}
	return all
}

func (s *shard) has(half int64, g generation) bool {
	return slices.Contains(s.generations([]int64{half})[half], g)
}

// list is the generations of a half-day, and as which text they were read.
type list struct {
	text string
	all  []generation
}

// learnGenerations takes what Redis says, and reports whether it is news.
func (s *shard) learnGenerations(halves []int64, texts []string) (news bool) {
	s.listing.Lock()
	defer s.listing.Unlock()
	for i, half := range halves {
		if s.lists[half].text != texts[i] {
			s.lists[half] = list{texts[i], parseGenerations(texts[i])}
			news = true
		}
	}
	for half := range s.lists {
		if half < halves[0]-4 {
			delete(s.lists, half)
		}
	}
	return news
}

// opened is a generation that is marked in, and the list that was read beside.
type opened struct {
	generation
	told *redis.StringCmd
}

// open finds the generation to mark in, or begins one, in the pipeline that marks.
func (r *Redis) open(ctx context.Context, pipe redis.Pipeliner, s *shard, half int64, now time.Time) *opened {
	g, there := r.last(s.generations([]int64{half})[half])
	key := s.generationKey(half)
	if !there {
		g = newGeneration(r.streamName(), int(s.level.Load()))
		pipe.Append(ctx, key, " "+g.text)
	}
	pipe.Expire(ctx, key, endOf(half, 0).Sub(now))
	return &opened{g, pipe.Get(ctx, key)}
}

// sample is how many fields one hash has.
type sample struct {
	half  int64
	count *redis.IntCmd
}

// grow looks into some hashes of each half-day, and begins a level more where they are crowded. Where it fails, the next
// probe tries again.
func (r *Redis) grow(ctx context.Context, s *shard) {
	if r.layout != Small {
		return
	}
	if err := r.growIn(ctx, s); err != nil {
		r.log.Debug("cannot look how full the hashes in Redis are", "error", err)
	}
}

func (r *Redis) growIn(ctx context.Context, s *shard) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	now, pipe := time.Now(), r.client.Pipeline()
	halves := halvesAt(now)
	known := s.generations(halves)
	var taken []sample
	for range samples {
		spot, found := r.somewhere(s)
		for _, half := range halves {
			if g, there := r.last(known[half]); found && there {
				taken = append(taken, sample{half, pipe.HLen(ctx, spot.key(half, g))})
			}
		}
	}
	if _, err := exec(ctx, pipe); err != nil {
		return err
	}
	most := map[int64]int64{}
	for _, one := range taken {
		most[one.half] = max(most[one.half], one.count.Val())
	}
	return r.raise(ctx, s, known, most)
}

// somewhere is a place in a shard, by chance.
func (r *Redis) somewhere(s *shard) (where spot, found bool) {
	all := r.shards.Load()
	for range 100 * len(all.list) {
		if tag := rand.IntN(tags); all.of(tagKeys[tag]) == s {
			return spot{tag: tag, number: rand.Uint64()}, true
		}
	}
	return spot{}, false
}

// raise begins a level more in half-days whose hashes are crowded. The level of the next one is that of the last one.
func (r *Redis) raise(ctx context.Context, s *shard, known map[int64][]generation, most map[int64]int64) error {
	level := 0
	for half, count := range most {
		g, _ := r.last(known[half])
		if count < sparse {
			level = max(level, g.level-1)
			continue
		}
		if level = max(level, g.level); count < crowded || g.level == topLevel {
			continue
		}
		level = max(level, g.level+1)
		if err := r.client.Append(ctx, s.generationKey(half), " "+newGeneration(g.stream, g.level+1).text).Err(); err != nil {
			return err
		}
	}
	s.level.Store(int32(level))
	return nil
}

// texts are the values of several keys, "" where there is none.
func texts(values []any) []string {
	all := make([]string, len(values))
	for i, value := range values {
		all[i], _ = value.(string)
	}
	return all
}
