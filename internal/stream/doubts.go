package stream

import "time"

// doubts are the messages that were given up while a copy was on its way: an acknowledgement that comes late still
// counts. At the bound the oldest is forgotten.
type doubts struct {
	messages map[uint64]*Outgoing
	order    []doubt
}

type doubt struct {
	token uint64
	since time.Time
}

const maxDoubts = 32 << 10 // about 500 bytes each

func newDoubts() doubts { return doubts{messages: map[uint64]*Outgoing{}} }

func (d *doubts) add(m *Outgoing, now time.Time) {
	if len(d.order) == maxDoubts {
		d.forgetFirst()
	}
	d.messages[m.token] = m
	d.order = append(d.order, doubt{m.token, now})
}

// take removes a message whose doubt is over; nil when it is not known, or not any more.
func (d *doubts) take(token uint64) *Outgoing {
	m := d.messages[token]
	delete(d.messages, token)
	return m
}

// out is how many were given up while a copy was on its way that still is.
func (d *doubts) out(now time.Time) (n int) {
	for i := len(d.order) - 1; i >= 0 && now.Sub(d.order[i].since) < lostAfter; i-- {
		if m := d.messages[d.order[i].token]; m != nil && m.isOut(now) {
			n++
		}
	}
	return n
}

// forget removes what no acknowledgement is waited for any more.
func (d *doubts) forget(now time.Time) {
	for len(d.order) > 0 && now.Sub(d.order[0].since) > DuplicateWindow {
		d.forgetFirst()
	}
}

func (d *doubts) forgetFirst() {
	delete(d.messages, d.order[0].token)
	d.order = d.order[1:]
}
