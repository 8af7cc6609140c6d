package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/worker"
)

// errGone is an answer by which a receiver wants no more.
var errGone = errors.New("it answered 410 Gone")

// longestPause bounds what a receiver may ask for: what waits longer than events are kept is lost.
const longestPause = 24 * time.Hour

const maxSaid = 200 // bytes of an answer in an error

// tooLargeTries is how often a body is posted that the receiver finds too large. It stays as large as it is; but a proxy
// that is being set up may say so of everything, and then it is the target that waits, as long as no attempts are used up.
const tooLargeTries = 3

// meaning is what an answer means for the event. Every 4xx but 410 and 413 is tried again: receivers in the shape of
// Zorio's samples answer 400 while a clock is off and 401 while a secret is being rotated.
func meaning(answer *http.Response, said []byte, e *event.Event, now time.Time) error {
	status := answer.StatusCode
	if status >= 200 && status <= 299 {
		return nil
	}
	err := fmt.Errorf("it answered %d %s: %q", status, http.StatusText(status), event.OneLine(string(said[:min(len(said), maxSaid)]), maxSaid))
	switch {
	case status == http.StatusGone:
		return errGone
	case status >= 300 && status <= 399:
		return fmt.Errorf("%w: redirects are not followed: put the final address into the file of targets", err)
	}
	pause := asked(answer.Header.Get("Retry-After"), now)
	switch {
	case pause > 0 && status == http.StatusServiceUnavailable: // nobody is to be served
		return worker.Unavailable(pause, err)
	case pause > 0 && (status == http.StatusTooManyRequests || status == http.StatusRequestEntityTooLarge): // this one was too much
		return worker.RetryAfter(pause, err)
	case status == http.StatusRequestEntityTooLarge:
		return tooLarge(err, e)
	}
	return err
}

func tooLarge(err error, e *event.Event) error {
	err = fmt.Errorf("%w: the body has %d bytes: raise the receiver's limit (Express takes 100 kB, nginx 1 MB by default), then `sluicectl dead redrive`", err, len(e.Body))
	if e.Attempt >= tooLargeTries {
		return worker.Permanent(err)
	}
	return err
}

// isDuplicate knows the contract's answer of a receiver that had the delivery before.
func isDuplicate(answer *http.Response, said []byte) bool {
	return answer.StatusCode == http.StatusOK && string(bytes.TrimSpace(said)) == "Duplicate"
}

// asked is the pause that a Retry-After asks for, in seconds or until a date (RFC 9110, 10.2.3); 0 for none.
func asked(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, longestPause)
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, min(at.Sub(now), longestPause))
	}
	return 0
}
