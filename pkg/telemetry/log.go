// Package telemetry has what every Sluice process needs to be observed and stopped: log, metrics, health and signals.
package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"github.com/sluicehq/sluice/internal/harmless"
)

// Logger logs to w: text when it is a terminal, JSON otherwise, neither with control characters. Level is debug, info, warn or error. Durations are
// logged as time.Duration, and stand there as 1.23ms or 4.2s.
func Logger(w io.Writer, level string) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("SLUICE_LOG=%q: use debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: least, ReplaceAttr: readable}
	if f, isFile := w.(*os.File); isFile && term.IsTerminal(int(f.Fd())) {
		return slog.New(slog.NewTextHandler(w, options)), nil
	}
	return slog.New(slog.NewJSONHandler(harmless.JSON{Out: w}, options)), nil
}

// readable writes durations as people and the settings do, such as 1.23ms, 4.2s or 1h2m0s: JSON would have nanoseconds.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(rounded(a.Value.Duration()).String())
	}
	return a
}

// rounded keeps three or four digits.
func rounded(d time.Duration) time.Duration {
	switch size := d.Abs(); {
	case size >= time.Minute:
		return d.Round(time.Second)
	case size >= time.Second:
		return d.Round(10 * time.Millisecond)
	case size >= time.Millisecond:
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}

// Limiter logs at most one line per cause and interval, with the number of lines that it suppressed. It is for what
// strangers can cause as often as they like. It is safe for concurrent use.
type Limiter struct {
	log    *slog.Logger
	every  time.Duration
	causes sync.Map // string → *cause; the callers' causes are constants, so it is bounded
}

type cause struct {
	next atomic.Int64 // when a line may be logged again, in nanoseconds since 1970
	held atomic.Uint64
}

// NewLimiter makes a Limiter that logs to log.
func NewLimiter(log *slog.Logger, every time.Duration) *Limiter {
	return &Limiter{log: log, every: every}
}

// Allow reports whether a line for this cause may be logged now, and how many were held back since the last one. A
// refusal allocates nothing, so ask before making the line's attributes.
func (l *Limiter) Allow(name string) (held uint64, ok bool) {
	found, known := l.causes.Load(name)
	if !known {
		found, _ = l.causes.LoadOrStore(name, new(cause))
	}
	c := found.(*cause)
	now, next := time.Now().UnixNano(), c.next.Load()
	if now < next || !c.next.CompareAndSwap(next, now+int64(l.every)) {
		c.held.Add(1)
		return 0, false
	}
	return c.held.Swap(0), true
}

// Info logs a line at info if its cause may be logged now.
func (l *Limiter) Info(name, msg string, key1, value1, key2, value2 string) {
	if held, ok := l.Allow(name); ok {
		l.log.Info(msg, key1, value1, key2, value2, "held_back", held)
	}
}

// Warn logs a line at warn if its cause may be logged now.
func (l *Limiter) Warn(name, msg string, err error, remedy string) {
	if held, ok := l.Allow(name); ok {
		l.log.Warn(msg, "error", err, "remedy", remedy, "held_back", held)
	}
}
