package seen

import (
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// Of says by the time when it was made which stream the marks are about, zero while there is none, and reports whether
// that is another one than before. Marks about another one are not seen any more, because what they say is stored is
// not; what the stream has, which may be older than itself where it is a restored one, is refilled. It does not ask Redis.
func (r *Redis) Of(created time.Time) (other bool) {
	before := r.stream.Swap(created.UnixMilli())
	if other = before != 0 && before != created.UnixMilli(); other && !created.IsZero() {
		r.Missed(time.Now().Add(-TTL))
	}
	return other
}

const ofStream = "@"

func (r *Redis) valueOf(signature string, sequence uint64) string {
	value := signature + ":" + strconv.FormatUint(sequence, 10)
	if stream := r.stream.Load(); stream != 0 {
		value += ofStream + strconv.FormatInt(stream, 36)
	}
	return value
}

// isMarkOf takes a mark that does not say which stream it is about for one about this.
func (r *Redis) isMarkOf(value, identity string) bool {
	_, signature := event.SplitIdentity(identity)
	rest, same := strings.CutPrefix(value, signature)
	if !same || !strings.HasPrefix(rest, ":") {
		return false
	}
	_, of, told := strings.Cut(rest, ofStream)
	stream := r.stream.Load()
	return !told || stream == 0 || of == strconv.FormatInt(stream, 36)
}
