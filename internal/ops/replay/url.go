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

	"github.com/sluicehq/sluice/internal/mask"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/zorio"
)

// URL is the target of a replay to an HTTP receiver: each event is posted as the sender would, with the time of now and
// a signature of its own. Redirects are not followed.
type URL struct {
	url, secret string
	refused     func(*event.Event, error)
	client      *http.Client
	pause       time.Duration

	mu       sync.Mutex
	inRow    int   // events refused in a row
	count    int   // refused in all
	refusing error // why the receiver is given up
}

// How a receiver is asked.
const (
	postsAtOnce  = 8
	postWithin   = 10 * time.Second
	postAttempts = 3
	postPause    = time.Second // before the second attempt, and twice that before the third
	refusedInRow = 20          // then something is wrong with the receiver and not with the events
	refusedMost  = 1000        // so many are kept to be tried again
)

// NewURL makes a target. It calls refused, from several goroutines, for each event that the receiver does not take.
func NewURL(url, secret string, refused func(*event.Event, error)) *URL {
	return &URL{url: url, secret: secret, refused: refused, pause: postPause, client: &http.Client{
		Timeout: postWithin, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: postsAtOnce},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Deliver posts a batch, several events at a time. An event that is not taken in three attempts is refused, and ends
// nothing; too many in a row, or in all, are [ErrRefusing]: what is left of the batch is not posted then, and counts as
// refused.
func (u *URL) Deliver(ctx context.Context, batch []*event.Event) (o Outcome, err error) {
	var group errgroup.Group
	group.SetLimit(postsAtOnce)
	for _, e := range batch {
		group.Go(func() error { return u.settle(ctx, e, &o) })
	}
	err = group.Wait()
	if ctx.Err() != nil { // some are neither taken nor refused: the batch comes again
		return Outcome{}, context.Cause(ctx)
	}
	return o, err
}

// settle posts an event, unless the receiver is given up, and notes what became of it.
func (u *URL) settle(ctx context.Context, e *event.Event, o *Outcome) (err error) {
	refusing := u.givenUp()
	if refusing == nil {
		err = u.insist(ctx, e)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if refusing == nil && err == nil {
		o.Replayed, u.inRow = o.Replayed+1, 0
		return nil
	}
	o.Refused = append(o.Refused, e.Sequence)
	if refusing != nil || ctx.Err() != nil {
		return refusing
	}
	u.refused(e, err)
	u.inRow, u.count = u.inRow+1, u.count+1
	switch {
	case u.inRow >= refusedInRow:
		u.refusing = fmt.Errorf("%w: %d in a row were refused, the last with: %w", ErrRefusing, u.inRow, err)
	case u.count >= refusedMost:
		u.refusing = fmt.Errorf("%w: %d were refused, the last with: %w", ErrRefusing, u.count, err)
	}
	return u.refusing
}

func (u *URL) givenUp() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.refusing
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
