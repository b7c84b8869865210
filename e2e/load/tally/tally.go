// Package tally tells from sequence numbers what was lost, came twice, or came in another order.
package tally

// Window is how far back a message that came twice is known again. What comes later than that counts as out of
// order, so nothing passes unseen.
const Window = 64

// Track follows what one receiver hears of one publisher, whose messages count from 1.
type Track struct {
	seen  uint64 // bit k: high-k was heard
	high  uint32
	heard uint32
}

// Verdict is what a message was.
type Verdict int

const (
	InOrder Verdict = iota
	Duplicate
	Late // after one that was published after it
)

// Hear takes down a message.
func (t *Track) Hear(seq uint32) Verdict {
	if seq > t.high {
		t.seen = t.seen<<(seq-t.high) | 1
		t.high = seq
		t.heard++
		return InOrder
	}
	if back := t.high - seq; back < Window {
		if t.seen&(1<<back) != 0 {
			return Duplicate
		}
		t.seen |= 1 << back
	}
	t.heard++
	return Late
}

// Lost returns how many of what was published have not been heard.
func (t *Track) Lost(published uint32) int { return int(published) - int(t.heard) }

// Order is a digest of what one receiver has heard, in its order: members of a room have all the same.
type Order uint64

// Add takes a message into it.
func (o Order) Add(publisher int, seq uint32) Order {
	const prime = 0x100000001b3 // FNV's
	return (o^Order(publisher)<<32^Order(seq))*prime + 1
}

// Faults are what no relay may do. Zero is what a run has to end with.
type Faults struct {
	Lost       int `json:"lost"`
	Duplicate  int `json:"duplicate"`
	Late       int `json:"late"`
	Disagreed  int `json:"disagreed"`  // members that heard a room's messages in another order than its others
	Misrouted  int `json:"misrouted"`  // messages of other rooms
	Refused    int `json:"refused"`    // requests
	Closed     int `json:"closed"`     // connections that the other end closed
	Unexpected int `json:"unexpected"` // packets that were none that are expected
}

// Any reports whether there are some.
func (f Faults) Any() bool { return f != Faults{} }

// Add adds those of g.
func (f *Faults) Add(g Faults) {
	f.Lost += g.Lost
	f.Duplicate += g.Duplicate
	f.Late += g.Late
	f.Disagreed += g.Disagreed
	f.Misrouted += g.Misrouted
	f.Refused += g.Refused
	f.Closed += g.Closed
	f.Unexpected += g.Unexpected
}
