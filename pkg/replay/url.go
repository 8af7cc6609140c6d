package replay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/mask"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// URL is the target of a replay to an HTTP receiver: each event is posted as the sender would, with the time of now and
// a signature of its own. Redirects are not followed.
type URL struct {
	url, secret string
	refused     func(*event.Event, error)
	client      *http.Client
	pause       time.Duration

	mu    sync.Mutex
	inRow int // events refused in a row
}

// How a receiver is asked.
const (
	postsAtOnce  = 8
	postWithin   = 10 * time.Second
	postAttempts = 3
	postPause    = time.Second // before the second attempt, and twice that before the third
	refusedInRow = 20          // then something is wrong with the receiver and not with the events
)

// NewURL makes a target. It calls refused, from several goroutines, for each event that the receiver does not take.
func NewURL(url, secret string, refused func(*event.Event, error)) *URL {
	return &URL{url: url, secret: secret, refused: refused, pause: postPause, client: &http.Client{
		Timeout: postWithin, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: postsAtOnce},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Deliver posts a batch, several events at a time. An event that is not taken in three attempts counts as refused and
// ends nothing; too many in a row are an error.
func (u *URL) Deliver(ctx context.Context, batch []*event.Event) (o Outcome, err error) {
	var group errgroup.Group
	group.SetLimit(postsAtOnce)
	for _, e := range batch {
		group.Go(func() error {
			err := u.insist(ctx, e)
			u.mu.Lock()
			defer u.mu.Unlock()
			if ctx.Err() != nil { // neither taken nor refused: it comes again
				return context.Cause(ctx)
			}
			if err == nil {
				o.Replayed, u.inRow = o.Replayed+1, 0
				return nil
			}
			u.refused(e, err)
			o.Refused++
			if u.inRow++; u.inRow >= refusedInRow {
				return fmt.Errorf("%d events in a row were refused, the last with: %w", u.inRow, err)
			}
			return nil
		})
	}
	return o, group.Wait()
}

func (u *URL) insist(ctx context.Context, e *event.Event) (err error) {
	for attempt := range postAttempts {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(time.Duration(attempt) * u.pause):
		}
		if err = u.post(ctx, e); err == nil {
			return nil
		}
	}
	return err
}

func (u *URL) post(ctx context.Context, e *event.Event) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.url, bytes.NewReader(e.Body))
	if err != nil {
		return err
	}
	request.Header = zorio.Headers(u.secret, e.Name, e.Delivery, time.Now(), e.Body)
	answer, err := u.client.Do(request)
	if err != nil {
		return errors.New(mask.Text(err.Error(), u.url))
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 200))
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s", answer.Status, event.OneLine(string(text), 200))
	}
	return nil
}
