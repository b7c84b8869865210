package client

import (
	"errors"
	"slices"
	"time"
)

// Bounds of the messages that a room holds while a join is under way.
const (
	maxHeld      = 1024     // messages
	maxHeldBytes = 16 << 20 // of their data and attachments together
)

var (
	errTooManyHeld = errors.New("client: too many messages came before the answer to a join")
	errOffset      = errors.New("client: a message without room, sequence or offset")
	errGap         = errors.New("client: a message is missing; asking for it")
)

// room is a room that the client has joined or is to join. All of it is owned by run.
type room struct {
	name       string
	options    JoinOptions // of the latest Join that succeeded
	keepJoined bool        // a Join has succeeded: rejoin after each reconnect
	joined     bool        // on this connection; else messages are held

	joinAckID   uint64      // of the join under way; 0: none
	pendingJoin *joinCall   // the call that the join under way answers; nil: it is a rejoin
	queuedJoins []*joinCall // the calls after it
	dueAt       time.Time   // when the join under way is late; without one, when to retry; 0: now

	offset      string // the last one known, for the next rejoin
	seq         int64  // of the last message; 0: unknown
	firstOffset string // of the message with Seq 1; empty: not seen

	held      []Message // that came while not joined, in order
	heldBytes int
}

// onDisconnect resets what belongs to the lost connection. Held messages are dropped: the rejoin
// brings them again.
func (r *room) onDisconnect() {
	if r.pendingJoin != nil && !r.pendingJoin.canceled {
		r.queuedJoins = append([]*joinCall{r.pendingJoin}, r.queuedJoins...)
	}
	r.joined, r.joinAckID, r.pendingJoin, r.dueAt = false, 0, nil, time.Time{}
	r.held, r.heldBytes = nil, 0
}

// resetTo sets the position in the room's history to offset, after messages.
func (r *room) resetTo(offset string, messages []Message) {
	r.offset, r.seq, r.firstOffset = "", 0, ""
	for _, m := range messages {
		r.advance(m)
	}
	r.setOffset(offset)
}

// setOffset records the room's position as the relay gave it.
func (r *room) setOffset(offset string) {
	if offset != "" {
		r.offset = offset
	}
}

// advance records that m has been delivered.
func (r *room) advance(m Message) {
	r.seq, r.offset = m.Seq, m.Offset
	if m.Seq == 1 {
		r.firstOffset = m.Offset
	}
}

// isNew reports whether m has not been delivered yet. A room counts from 1 again when all of its
// history has expired, so a message with Seq 1 is new unless it has the offset of the one that was
// seen.
func (r *room) isNew(m Message) bool {
	if m.Offset == r.offset || m.Offset == r.firstOffset {
		return false
	}
	return m.Seq > r.seq || m.Seq == 1
}

// receiveMessage handles a live message.
func (c *Client) receiveMessage(m Message) {
	r := c.rooms[m.Room]
	switch {
	case r == nil: // left
	case m.Offset == "" || m.Seq < 1:
		c.onProtocolError(errOffset)
	case !r.joined:
		c.hold(r, m)
	case !r.isNew(m):
	case r.seq > 0 && m.Seq > r.seq+1:
		// Relays promise that there are no gaps. If there is one all the same, a rejoin recovers it
		// or reports it.
		c.reportError(errGap)
		r.joined = false
		c.hold(r, m)
		c.sendReady()
	default:
		c.deliver(r, m)
	}
}

// hold keeps m, in order, until the join is answered. Seq 1, and what follows it, stays behind the
// higher numbers of a history that has expired.
func (c *Client) hold(r *room, m Message) {
	at := len(r.held)
	for m.Seq > 1 && at > 0 && r.held[at-1].Seq > m.Seq {
		at--
	}
	r.held = slices.Insert(r.held, at, m)
	r.heldBytes += m.size()
	if len(r.held) > maxHeld || r.heldBytes > maxHeldBytes {
		c.onProtocolError(errTooManyHeld)
	}
}

// deliverHeld delivers the held messages that are still new.
func (c *Client) deliverHeld(r *room) {
	held := r.held
	r.held, r.heldBytes = nil, 0
	for _, m := range held {
		if r.isNew(m) {
			c.deliver(r, m)
		}
	}
}

func (c *Client) deliver(r *room, m Message) {
	r.advance(m)
	h := c.options.Handler.Message
	if m.Event != "" {
		h = c.options.Handler.Event
	}
	if h != nil {
		c.emit(func() { h(m) })
	}
}

// resetRoom replaces the room's state by the one that the relay gave.
func (c *Client) resetRoom(r *room, now Reset) {
	r.resetTo(now.Offset, now.Messages)
	if h := c.options.Handler.Reset; h != nil {
		c.emit(func() { h(now) })
	}
}

func (c *Client) receiveReset(now Reset) {
	r := c.rooms[now.Room]
	if r == nil {
		return
	}
	r.held, r.heldBytes = nil, 0 // they belong to the history that was replaced
	c.resetRoom(r, now)
}
