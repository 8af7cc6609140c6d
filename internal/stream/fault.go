package stream

import (
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

// The errors of a message that is not stored.
var (
	// ErrInDoubt means that the message was sent, but not acknowledged before the deadline: it may be stored. Sending it
	// again with its Nats-Msg-Id within [DuplicateWindow] stores it once.
	ErrInDoubt = errors.New("not acknowledged by JetStream in time")
	// ErrNotStored means that NATS did not accept the message before the deadline: it is not stored.
	ErrNotStored = errors.New("not taken by JetStream in time")
	// ErrRefused means that JetStream refuses such messages until an operator acts: it is full, or this user may not
	// publish. The message is not stored, and the deadline was not waited for.
	ErrRefused = errors.New("refused by JetStream")
	// ErrUnstorable means that this message can never be stored: sending it again is useless.
	ErrUnstorable = errors.New("cannot be stored")
)

func isDoubt(err error) bool      { return errors.Is(err, ErrInDoubt) }
func isRefusal(err error) bool    { return errors.Is(err, ErrRefused) }
func isUnstorable(err error) bool { return errors.Is(err, ErrUnstorable) }

// failure is what a message ends with at its deadline.
func (m *Outgoing) failure() error {
	fault := ErrNotStored
	if m.unanswered > 0 {
		fault = ErrInDoubt
	}
	if m.reason == nil {
		return fault
	}
	return fmt.Errorf("%w: %w", fault, m.reason)
}

// inDoubt adds to why a message is given up that another copy of it may be stored.
func (m *Outgoing) inDoubt(reason error) error {
	if m.unanswered == 0 || isUnstorable(reason) {
		return reason
	}
	return fmt.Errorf("%w: %w", ErrInDoubt, reason)
}

// isUnsent reports that the client gave nothing of a message to NATS. Any other error of a publish is one of the
// socket, into which a part of the message, or all of it, may have gone.
func isUnsent(err error) bool {
	for _, before := range []error{
		nats.ErrReconnectBufExceeded, nats.ErrConnectionClosed, nats.ErrConnectionDraining, nats.ErrConnectionReconnecting, nats.ErrHeadersNotSupported,
	} {
		if errors.Is(err, before) {
			return true
		}
	}
	return isUnstorable(err)
}

// explainUnsent tells what the client will never send from what it cannot send now.
func explainUnsent(err error) error {
	for _, forGood := range []error{nats.ErrBadHeaderMsg, nats.ErrBadSubject, nats.ErrInvalidMsg, nats.ErrMaxPayload} {
		if errors.Is(err, forGood) {
			return fmt.Errorf("%w: %w", ErrUnstorable, err)
		}
	}
	if errors.Is(err, nats.ErrHeadersNotSupported) {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}

// Codes of JetStream's answers to a publish, from nats-server's errors.json.
const (
	accountLimits     = 10002
	memoryExceeded    = 10028
	messageTooLarge   = 10054
	storeFailed       = 10077 // what the store said: no space left on device, maximum bytes exceeded, message to large
	headerTooLarge    = 10097
	streamSealed      = 10109
	storeSaysTooLarge = "message to large"
)

// refusal makes an error of JetStream's answer. What is none of ours passes by itself: no leader, too many requests.
func refusal(code int, description string) error {
	err := fmt.Errorf("%s (%d)", description, code)
	switch code {
	case messageTooLarge, headerTooLarge:
		return fmt.Errorf("%w: %w", ErrUnstorable, err)
	case storeFailed:
		if description == storeSaysTooLarge {
			return fmt.Errorf("%w: %w", ErrUnstorable, err)
		}
		return fmt.Errorf("%w: %w", ErrRefused, err)
	case insufficientResources, storageExceeded, memoryExceeded, accountLimits, streamSealed:
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return fmt.Errorf("JetStream: %w", err)
}
