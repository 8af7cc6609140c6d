package embedded

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"
)

// serverLog passes on what the embedded server finds worth a warning; its notices are for debugging.
type serverLog struct {
	log    *slog.Logger
	turned atomic.Int64 // when somebody was last said to be turned away, in Unix seconds
}

// turnedEvery is how often it is said that somebody is turned away: who is asks again every second or two.
const turnedEvery = time.Minute

// Errorf passes an error on. That somebody has no credentials is no fault of the server's.
func (l *serverLog) Errorf(format string, v ...any) {
	text := "nats: " + fmt.Sprintf(format, v...)
	if !strings.Contains(text, " - authentication error") {
		l.log.Error(text)
		return
	}
	now, last := time.Now().Unix(), l.turned.Load()
	if now-last < int64(turnedEvery.Seconds()) || !l.turned.CompareAndSwap(last, now) {
		l.log.Debug(text)
		return
	}
	l.log.Warn("the embedded NATS turns somebody away who has no credentials, or others", "client", text,
		"remedy", "set NATS_CREDS for that process to a file of nats/users in the gateway's data folder; one of an earlier version has to be replaced", "said_at_most_every", turnedEvery.String())
}

func (l *serverLog) Noticef(format string, v ...any) {
	l.log.Debug("nats: " + fmt.Sprintf(format, v...))
}
func (l *serverLog) Warnf(format string, v ...any) { l.log.Warn("nats: " + fmt.Sprintf(format, v...)) }
func (l *serverLog) Fatalf(format string, v ...any) {
	l.log.Error("nats: " + fmt.Sprintf(format, v...))
}
func (l *serverLog) Debugf(string, ...any) {}
func (l *serverLog) Tracef(string, ...any) {}
