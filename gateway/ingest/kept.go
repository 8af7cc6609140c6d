package ingest

import (
	"crypto/sha256"
	"sync"
	"time"
)

// kept are the identities of what lies in the journal and not yet in a stream: a repetition of one is a duplicate. At the
// bound no more are remembered: their repetitions are kept too, and JetStream's duplicate window makes them one. It is safe
// for concurrent use.
type kept struct {
	mu      sync.Mutex
	of      map[keptKey]struct{}
	leaving []leaving
}

type keptKey [16]byte

// leaving is an identity that a stream has now.
type leaving struct {
	key  keptKey
	when time.Time
}

const (
	mostKept = 1_000_000       // about 40 bytes each
	lingers  = 2 * time.Second // by then its mark is written
)

func newKept() *kept { return &kept{of: map[keptKey]struct{}{}} }

// keptKeyOf tells an event from the same request in quarantine: where a signature alone is the identity, it is that of both.
func keptKeyOf(identity string, isEvent bool) keptKey {
	var room [160]byte // more than the longest identity there is
	text := append(room[:0], identity...)
	if !isEvent {
		text = append(text, " in quarantine"...)
	}
	sum := sha256.Sum256(text)
	return keptKey(sum[:len(keptKey{})])
}

// add reports whether an identity is new.
func (k *kept) add(key keptKey, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget(now)
	if _, known := k.of[key]; known {
		return false
	}
	if len(k.of) < mostKept {
		k.of[key] = struct{}{}
	}
	return true
}

// has reports whether an identity is remembered.
func (k *kept) has(key keptKey, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget(now)
	_, known := k.of[key]
	return known
}

func (k *kept) isEmpty(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget(now)
	return len(k.of) == 0
}

func (k *kept) isFull() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.of) >= mostKept
}

// remove forgets what the journal has not taken.
func (k *kept) remove(key keptKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.of, key)
}

// leave forgets, a little later, what a stream has now.
func (k *kept) leave(key keptKey, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget(now)
	k.leaving = append(k.leaving, leaving{key, now})
}

func (k *kept) forget(now time.Time) {
	for len(k.leaving) > 0 && now.Sub(k.leaving[0].when) > lingers {
		delete(k.of, k.leaving[0].key)
		k.leaving = k.leaving[1:]
	}
}
