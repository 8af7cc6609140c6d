package stream

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Told begins the subjects on which processes say how they are: of whom, and one of its processes.
const Told = "$KV." + Processes + "."

// How often a process says how it is.
const (
	tellEvery  = 5 * time.Second
	tellWithin = 2 * time.Second
	tellAgain  = time.Minute // after NATS refused: it may be a permission that is not there
)

// Tell publishes what one process of somebody says, as JSON, every few seconds until ctx ends, and then what it says at
// its end. It serves only to show it: while NATS is away or does not permit it, nothing is published, and that is no error.
func Tell(ctx context.Context, js jetstream.JetStream, of string, says func(ending bool) any) {
	subject := Told + of + "." + rand.Text()
	tell := func(ctx context.Context, ending bool) error {
		ctx, cancel := context.WithTimeout(ctx, tellWithin)
		defer cancel()
		text, err := json.Marshal(says(ending))
		if err == nil {
			_, err = js.Publish(ctx, subject, text)
		}
		return err
	}
	for ctx.Err() == nil {
		pause := tellEvery
		if tell(ctx, false) != nil && js.Conn().IsConnected() {
			pause = tellAgain
		}
		Pause(ctx, pause)
	}
	if js.Conn().IsConnected() {
		_ = tell(context.WithoutCancel(ctx), true)
	}
}
