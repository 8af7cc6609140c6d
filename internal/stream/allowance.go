package stream

import (
	"cmp"
	"slices"
)

// allowance bounds what is sent again to a share of what is acknowledged, beside a trickle that finds out whether
// anything is: what waited for a NATS that was away comes back as fast as NATS proves to take it, and no faster.
type allowance struct {
	messages float64 // that may be sent again now
}

const (
	resendShare   = 0.5 // of what is acknowledged
	resendTrickle = 5   // a sweep, which is 250 a second
	resendBurst   = 256 // kept for a moment in which much is refused at once, such as a change of leader
)

// choose takes from what is due as many as are allowed after so many acknowledgements, the newest first.
func (a *allowance) choose(due []*Outgoing, acks int) []*Outgoing {
	share := resendShare * float64(acks)
	a.messages = min(a.messages+resendTrickle+share, resendBurst+share)
	if allowed := int(a.messages); len(due) > allowed {
		slices.SortFunc(due, func(x, y *Outgoing) int { return cmp.Compare(y.token, x.token) })
		due = due[:allowed]
	}
	a.messages -= float64(len(due))
	return due
}

// giveBack takes back the place of a message that was not sent.
func (a *allowance) giveBack() { a.messages = min(a.messages+1, resendBurst) }
