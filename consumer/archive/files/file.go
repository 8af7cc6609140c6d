package files

import (
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// FolderOf is where an event's file lies: a folder for each source, event and hour in which the gateway took it, UTC,
// named so that DuckDB, pandas and Spark make columns of them ("hive partitioning"). It depends on the event alone.
func FolderOf(source, name string, received time.Time) string {
	received = received.UTC()
	return fmt.Sprintf("source=%s/event=%s/date=%s/hour=%02d/", url.PathEscape(source), name, received.Format(time.DateOnly), received.Hour())
}

// Span is the first and the last sequence in a file. Between them may be events of other folders, and such that came
// late and are in another file.
type Span struct{ First, Last uint64 }

const Extension = ".parquet"

// fileName sorts by sequence. No two files of a folder begin with the same one, because no event is in two files, unless
// the stream was made anew and counts from the beginning again: then there is a copy to count, from 0.
func (s Span) FileName(copy int) string {
	if copy == 0 {
		return fmt.Sprintf("%010d-%010d%s", s.First, s.Last, Extension)
	}
	return fmt.Sprintf("%010d-%010d-%d%s", s.First, s.Last, copy, Extension)
}

// SpanOf reads a file's name; false for one that is not the archive's.
func SpanOf(file string) (s Span, ok bool) {
	name, isParquet := strings.CutSuffix(path.Base(file), Extension)
	n, err := fmt.Sscanf(name, "%d-%d", &s.First, &s.Last)
	return s, isParquet && err == nil && n == 2
}

func (s Span) Contains(sequence uint64) bool { return s.First <= sequence && sequence <= s.Last }

// ReceivedOr is when the gateway took an event; when the stream did, for one that does not say it.
func ReceivedOr(e *event.Event, stored time.Time) time.Time {
	if e.Received.IsZero() {
		return stored.UTC()
	}
	return e.Received.UTC()
}
