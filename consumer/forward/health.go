package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/telemetry"
)

const pausedRemedy = "when that is repaired, send SIGHUP or restart to try it again, or remove it from the file of targets; its events wait in the stream, nothing is lost"

// paused says that nothing is posted to a target any more.
func (f *forwarder) paused(t *target, why error) {
	f.metrics.paused.WithLabelValues(t.Name).Set(1)
	f.log.Error("a target is paused", "target", t.Name, "error", why, "remedy", pausedRemedy)
}

const fileRemedy = "mend the file, bin/forward --check names each mistake, and send SIGHUP again"

// noteFile keeps whether the file of targets could be used when it was read last.
func (f *forwarder) noteFile(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wrong, f.since = err, time.Now()
}

// health is degraded while a target is paused, or the file is not what is at work: the others, or the targets of before,
// go on.
func (f *forwarder) health() telemetry.Health {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wrong != nil {
		return telemetry.Health{Status: telemetry.Degraded, Since: f.since, Detail: "still using the previous targets, because their file is wrong: " + f.wrong.Error(), Remedy: fileRemedy}
	}
	return f.targetsHealth()
}

func (f *forwarder) targetsHealth() telemetry.Health {
	h := telemetry.Health{Status: telemetry.OK, Since: f.since}
	var details []string
	for _, name := range slices.Sorted(maps.Keys(f.runners)) {
		since, ended := f.runners[name].state()
		if ended == nil {
			continue
		}
		details = append(details, fmt.Sprintf("%s is paused: %v", name, ended))
		if len(details) == 1 || since.Before(h.Since) {
			h.Since = since
		}
	}
	if len(details) > 0 {
		h.Status, h.Detail, h.Remedy = telemetry.Degraded, strings.Join(details, "; "), pausedRemedy
	}
	return h
}

// allFailed is an error when no worker can work, for another reason than a receiver's: then it is not the targets that
// are wrong, but NATS or the settings.
func (f *forwarder) allFailed() (err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.runners {
		_, ended := r.state()
		if ended == nil || errors.Is(ended, errGone) {
			return nil
		}
		err = ended
	}
	return err
}
