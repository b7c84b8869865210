package client

import (
	"context"
	"errors"
	"slices"
	"time"
)

const (
	maxInFlight = 256        // calls that wait for an answer on the wire; the rest wait here
	maxHead     = 1 + 3 + 20 // bytes of an event's type, its count of attachments and its ack id
)

// call is a request that waits to be sent, or for its answer. It is sent again after a reconnect.
type call struct {
	// immutable
	event       string
	room        string
	body        []byte // the event's array
	attachments [][]byte
	done        chan result // holds one
	keep        bool        // a publish: sent again where the relay was not able to, or did not answer
	passing     bool        // a leave: done when the connection is gone

	// owned by run
	until time.Time // when a publish is given up; zero: when its context ends
	id    uint64    // of the ack asked for; 0: not on the wire
	due   time.Time // on the wire: when the answer is late; else when to send it again
}

type result struct {
	payload
	err error
}

func newCall(event, room string, body []byte) *call {
	return &call{event: event, room: room, body: body, done: make(chan result, 1)}
}

// request makes a call, waits for its answer and reads it.
func (c *Client) request(ctx context.Context, q *call, into any) error {
	var full bool
	err := c.do(func() {
		if full = len(c.calls) >= c.options.MaxPending; !full {
			c.enqueue(q)
		}
	})
	if err != nil {
		return err
	}
	if full {
		return ErrTooManyPending
	}
	return c.await(ctx, q, into)
}

func (c *Client) await(ctx context.Context, q *call, into any) error {
	select {
	case r := <-q.done:
		if r.err != nil || r.data == nil {
			return r.err
		}
		return answer(r.payload, into)
	case <-ctx.Done():
		_ = c.do(func() { c.done(q, result{}); c.pump() })
		return ctx.Err()
	case <-c.life.Done():
		return context.Cause(c.life)
	}
}

func (c *Client) enqueue(q *call) {
	c.calls = append(c.calls, q)
	c.pumpCalls()
}

// done ends q. Only the first end counts.
func (c *Client) done(q *call, r result) {
	i := slices.Index(c.calls, q)
	if i < 0 {
		return
	}
	delete(c.acks, q.id)
	c.calls = slices.Delete(c.calls, i, i+1)
	q.done <- r
}

// pumpCalls sends the calls that may go now, in their order. A room's wait until it is joined (again), and its publishes
// behind one that has to wait.
func (c *Client) pumpCalls() {
	inFlight := 0
	for _, q := range c.calls {
		if q.id != 0 {
			inFlight++
		}
	}
	var blocked map[string]bool
	for i := 0; i < len(c.calls) && c.phase == live && inFlight < maxInFlight; i++ {
		q := c.calls[i]
		r := c.rooms[q.room]
		switch {
		case q.id != 0 || r != nil && !r.joined || q.keep && blocked[q.room]:
		case !q.due.IsZero():
			if blocked == nil {
				blocked = map[string]bool{}
			}
			blocked[q.room] = true
		case !c.fits(q):
			c.done(q, result{err: &Error{Code: "too_large", Message: "more than this relay takes at a time"}})
			i--
		default:
			c.sendCall(q)
			inFlight++
		}
	}
}

// fits tells whether the relay takes q. One that it does not take would cost the connection, and the next one again.
func (c *Client) fits(q *call) bool {
	n := int64(1 + maxHead + len(q.body))
	for _, a := range q.attachments {
		n += int64(len(a))
	}
	return c.handshake.MaxPayload == 0 || n <= c.handshake.MaxPayload
}

func (c *Client) sendCall(q *call) {
	c.lastID++
	q.id = c.lastID
	q.due = time.Now().Add(ackTimeout)
	c.acks[q.id] = func(p payload) { c.callAnswered(q, p) }
	c.sendEvent(q.id, q.body, q.attachments...)
}

func (c *Client) callAnswered(q *call, p payload) {
	var e *Error
	if q.keep && errors.As(answer(p, nil), &e) && e.retryable() {
		q.id = 0
		q.due = time.Now().Add(c.pause(e))
	} else {
		c.done(q, result{payload: p})
	}
	c.pump()
}

// callsLost: what was on the wire is sent again on the next connection.
func (c *Client) callsLost() {
	for _, q := range slices.Clone(c.calls) {
		q.id, q.due = 0, time.Time{}
		if q.passing {
			c.done(q, result{})
		}
	}
}

// expireCalls gives up publishes that are too old, and sends again those that were not answered.
func (c *Client) expireCalls(past func(time.Time) bool) {
	for _, q := range slices.Clone(c.calls) {
		switch {
		case past(q.until):
			c.done(q, result{err: ErrTimeout})
		case c.phase != live || !past(q.due):
		case q.id != 0 && !q.keep:
			c.done(q, result{err: ErrTimeout})
		default:
			delete(c.acks, q.id)
			q.id, q.due = 0, time.Time{}
		}
	}
}
