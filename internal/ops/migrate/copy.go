package migrate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sluicehq/sluice/internal/stream"
)

// answerWithin bounds the wait for each piece: a server that syncs its disk may take seconds.
const answerWithin = 30 * time.Second

// snapshot is what NATS says of one that it begins, and what it wants to know of one that is restored.
type snapshot struct {
	Error  *jetstream.APIError `json:"error,omitempty"`
	Config json.RawMessage     `json:"config"`
	State  json.RawMessage     `json:"state"`
}

// copyStream makes a stream on the other side from a snapshot of this one, piece by piece: with the sequences, the times and
// the ids of its messages, and the positions of its consumers. It is there, complete, on a return without an error. A copy
// that is broken off leaves nothing.
func copyStream(ctx context.Context, from, to *nats.Conn, config jetstream.StreamConfig) error {
	inbox := nats.NewInbox()
	pieces, err := from.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer func() { _ = pieces.Unsubscribe() }()
	var begun snapshot
	if err := ask(ctx, from, "$JS.API.STREAM.SNAPSHOT."+config.Name, map[string]any{"deliver_subject": inbox, "jsck": true}, &begun); err != nil {
		return err
	}
	if begun.Error != nil {
		return begun.Error
	}
	var restore struct {
		Error   *jetstream.APIError `json:"error,omitempty"`
		Deliver string              `json:"deliver_subject"`
	}
	if err := ask(ctx, to, "$JS.API.STREAM.RESTORE."+config.Name, map[string]any{"config": config, "state": begun.State}, &restore); err != nil {
		return err
	}
	if restore.Error != nil {
		return restore.Error
	}
	return passOn(ctx, pieces, to, restore.Deliver)
}

// passOn hands the pieces over, one after the other; an empty one is the end.
func passOn(ctx context.Context, pieces *nats.Subscription, to *nats.Conn, subject string) error {
	for {
		piece, err := within(ctx, pieces.NextMsgWithContext)
		if err != nil {
			return err
		}
		if status := piece.Header.Get("Status"); len(piece.Data) == 0 && status != "" && status != "204" {
			return fmt.Errorf("the snapshot broke off: %s %s", status, piece.Header.Get("Description"))
		}
		answer, err := within(ctx, func(ctx context.Context) (*nats.Msg, error) { return handOver(ctx, to, subject, piece.Data) })
		if err != nil {
			return err
		}
		if err := refusal(answer.Data); err != nil {
			return err
		}
		if len(piece.Data) == 0 {
			return nil
		}
		if piece.Reply != "" { // the server waits with more until some are taken
			if err := piece.Respond(nil); err != nil {
				return err
			}
		}
	}
}

// handOver waits until the server that restores is known to the one that is asked. What nobody has taken may be sent again.
func handOver(ctx context.Context, to *nats.Conn, subject string, piece []byte) (*nats.Msg, error) {
	for {
		answer, err := to.RequestWithContext(ctx, subject, piece)
		if !errors.Is(err, nats.ErrNoResponders) || ctx.Err() != nil {
			return answer, err
		}
		stream.Pause(ctx, 20*time.Millisecond)
	}
}

func within(ctx context.Context, do func(context.Context) (*nats.Msg, error)) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return do(ctx)
}

func refusal(answer []byte) error {
	var said struct {
		Error *jetstream.APIError `json:"error"`
	}
	if len(answer) == 0 {
		return nil
	}
	if err := json.Unmarshal(answer, &said); err != nil || said.Error == nil {
		return err
	}
	return said.Error
}

func ask(ctx context.Context, nc *nats.Conn, subject string, question, answer any) error {
	text, err := json.Marshal(question)
	if err != nil {
		return err
	}
	said, err := within(ctx, func(ctx context.Context) (*nats.Msg, error) { return nc.RequestWithContext(ctx, subject, text) })
	if err != nil {
		return fmt.Errorf("%s: %w", subject, err)
	}
	return json.Unmarshal(said.Data, answer)
}
