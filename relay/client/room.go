package client

import (
	"errors"
	"slices"
	"time"
)

// Bounds of what a room holds back while a join is under way.
const (
	maxHeld      = 1024     // messages
	maxHeldBytes = 16 << 20 // of their data and attachments
)

var (
	errHeld   = errors.New("client: too many messages came before the answer to a join")
	errOffset = errors.New("client: a message without room, sequence or offset")
	errHole   = errors.New("client: a message is missing; asking for it")
)

// room is a room that we are in, or want to be in. All of it is owned by run.
type room struct {
	name    string
	options JoinOptions // of the latest Join that succeeded
	stood   bool        // a Join has succeeded: it is joined again after each reconnect
	joined  bool        // on this connection: messages go straight through

	joinID uint64    // of the ack of the join under way; 0: none
	asking *ask      // whom that join answers; nil: it is a rejoin
	asks   []*ask    // the Joins after it
	due    time.Time // with a join under way: when its answer is late; else when to try again

	offset string // the last that we know
	seq    int64  // of the last message; 0: none known
	first  string // offset of the message with sequence 1, where we saw it

	held      []Message // came while not joined
	heldBytes int
}

// lost: the connection is gone. What was held comes again with the rejoin.
func (r *room) lost() {
	if r.asking != nil && !r.asking.gone {
		r.asks = append([]*ask{r.asking}, r.asks...)
	}
	r.joined, r.joinID, r.asking, r.due = false, 0, nil, time.Time{}
	r.held, r.heldBytes = nil, 0
}

// adopt takes a state of the room as the one from which to go on.
func (r *room) adopt(offset string, messages []Message) {
	r.offset, r.seq, r.first = "", 0, ""
	for _, m := range messages {
		r.passed(m)
	}
	r.at(offset)
}

// at notes where the relay says that the room is.
func (r *room) at(offset string) {
	if offset != "" {
		r.offset = offset
	}
}

func (r *room) passed(m Message) {
	r.seq, r.offset = m.Seq, m.Offset
	if m.Seq == 1 {
		r.first = m.Offset
	}
}

// fresh tells whether m was not seen yet. Sequence 1 comes again when all of a room's history has expired: it is new
// unless it is the very one that we saw.
func (r *room) fresh(m Message) bool {
	if m.Offset == r.offset || m.Offset == r.first {
		return false
	}
	return m.Seq > r.seq || m.Seq == 1
}

// receiveMessage takes a live message.
func (c *Client) receiveMessage(m Message) {
	r := c.rooms[m.Room]
	switch {
	case r == nil: // left
	case m.Offset == "" || m.Seq < 1:
		c.broken(errOffset)
	case !r.joined:
		c.hold(r, m)
	case !r.fresh(m):
	case r.seq > 0 && m.Seq > r.seq+1:
		// Relays promise that this does not happen. Should it happen, nobody is to believe that all is well.
		c.fault(errHole)
		r.joined = false
		c.hold(r, m)
		c.pump()
	default:
		c.accept(r, m)
	}
}

// hold keeps m until the answer to the join, in order. Numbers that begin again stay behind the old ones.
func (c *Client) hold(r *room, m Message) {
	at := len(r.held)
	for m.Seq > 1 && at > 0 && r.held[at-1].Seq > m.Seq {
		at--
	}
	r.held = slices.Insert(r.held, at, m)
	r.heldBytes += m.size()
	if len(r.held) > maxHeld || r.heldBytes > maxHeldBytes {
		c.broken(errHeld)
	}
}

// release delivers what was held and is still new.
func (c *Client) release(r *room) {
	held := r.held
	r.held, r.heldBytes = nil, 0
	for _, m := range held {
		if r.fresh(m) {
			c.accept(r, m)
		}
	}
}

func (c *Client) accept(r *room, m Message) {
	r.passed(m)
	if h := c.options.Handler.Message; h != nil {
		c.emit(func() { h(m) })
	}
}

// reset takes the relay's word for what the room is now.
func (c *Client) reset(r *room, now Reset) {
	r.adopt(now.Offset, now.Messages)
	if h := c.options.Handler.Reset; h != nil {
		c.emit(func() { h(now) })
	}
}

func (c *Client) receiveReset(now Reset) {
	r := c.rooms[now.Room]
	if r == nil {
		return
	}
	r.held, r.heldBytes = nil, 0 // of the history that is no more
	c.reset(r, now)
}
