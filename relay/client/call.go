package client

import (
	"context"
	"errors"
	"slices"
	"time"
)

const (
	maxInFlight    = 256        // requests sent and not answered; further ones wait in Client.calls
	maxEventHeader = 1 + 3 + 20 // bytes: an event's type, its count of attachments, its ack id
)

// call is a request that is not answered yet. It is sent again after a reconnect.
type call struct {
	// immutable once queued
	event            string
	room             string
	body             []byte // JSON array: the event's name and its argument
	attachments      [][]byte
	done             chan result  // capacity 1
	retryable        bool         // a publish: sent again after a failure or no answer
	dropOnDisconnect bool         // done once the connection is lost: a leave, a token
	finished         func(result) // called by run with the result; nil: nothing is

	// owned by run
	expiresAt time.Time // when a publish fails with ErrTimeout; zero: never
	ackID     uint64    // of the ack that answers it; 0: not sent on this connection
	dueAt     time.Time // sent: when the answer is late; else when to send again (zero: now)
}

type result struct {
	payload
	err error
}

func newCall(event, room string, body []byte) *call {
	return &call{event: event, room: room, body: body, done: make(chan result, 1)}
}

// request queues q, waits for its answer and decodes that into into.
func (c *Client) request(ctx context.Context, q *call, into any) error {
	if err := c.queue(q); err != nil {
		return err
	}
	return c.await(ctx, q, into)
}

// queue queues q, unless too many calls wait.
func (c *Client) queue(q *call) error {
	full := false
	err := c.do(func() {
		if full = len(c.calls) >= c.options.MaxPending; !full {
			c.enqueue(q)
		}
	})
	if err == nil && full {
		err = ErrTooManyPending
	}
	return err
}

func (c *Client) await(ctx context.Context, q *call, into any) error {
	select {
	case r := <-q.done:
		if r.err != nil || r.data == nil {
			return r.err
		}
		return answer(r.payload, into)
	case <-ctx.Done():
		_ = c.do(func() { c.finishCall(q, result{}); c.sendReady() })
		return ctx.Err()
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}

func (c *Client) enqueue(q *call) {
	c.calls = append(c.calls, q)
	c.sendReadyCalls()
}

// finishCall removes q and gives its caller r. Only the first result counts.
func (c *Client) finishCall(q *call, r result) {
	i := slices.Index(c.calls, q)
	if i < 0 {
		return
	}
	delete(c.acks, q.ackID)
	c.calls = slices.Delete(c.calls, i, i+1)
	if q.finished != nil {
		q.finished(r)
	}
	q.done <- r
}

// sendReadyCalls sends the calls that may be sent now, in order. A room's calls wait until it is
// joined (again), and its publishes also wait behind a publish that is to be sent again later.
func (c *Client) sendReadyCalls() {
	inFlight := 0
	for _, q := range c.calls {
		if q.ackID != 0 {
			inFlight++
		}
	}
	var blocked map[string]bool
	for i := 0; i < len(c.calls) && c.phase == phaseConnected && inFlight < maxInFlight; i++ {
		q := c.calls[i]
		r := c.rooms[q.room]
		switch {
		case q.ackID != 0 || r != nil && !r.joined || q.retryable && blocked[q.room]:
		case !q.dueAt.IsZero():
			if blocked == nil {
				blocked = map[string]bool{}
			}
			blocked[q.room] = true
		case !c.withinMaxPayload(q):
			c.finishCall(q, result{err: &Error{Code: "too_large", Message: "more than this relay takes at a time"}})
			i--
		default:
			c.sendCall(q)
			inFlight++
		}
	}
}

// withinMaxPayload reports whether the relay accepts a packet of q's size. One that is too large
// would close the connection, and the next one again.
func (c *Client) withinMaxPayload(q *call) bool {
	n := int64(1 + maxEventHeader + len(q.body))
	for _, a := range q.attachments {
		n += int64(len(a))
	}
	return c.handshake.MaxPayload == 0 || n <= c.handshake.MaxPayload
}

func (c *Client) sendCall(q *call) {
	c.lastAckID++
	q.ackID = c.lastAckID
	q.dueAt = time.Now().Add(ackTimeout)
	c.acks[q.ackID] = func(p payload) { c.onCallAck(q, p) }
	c.sendEvent(q.ackID, q.body, q.attachments...)
}

func (c *Client) onCallAck(q *call, p payload) {
	var e *Error
	if q.retryable && errors.As(answer(p, nil), &e) && e.Retryable() {
		q.ackID = 0
		q.dueAt = time.Now().Add(c.retryDelay(e))
		c.doubtStore(e)
	} else {
		c.finishCall(q, result{payload: p})
	}
	c.sendReady()
}

// requeueCalls has the calls that were sent on a connection now lost sent again on the next one.
func (c *Client) requeueCalls() {
	for _, q := range slices.Clone(c.calls) {
		q.ackID, q.dueAt = 0, time.Time{}
		if q.dropOnDisconnect {
			c.finishCall(q, result{})
		}
	}
}

// expireCalls fails calls that have waited too long, and has publishes sent again that were not
// answered in time.
func (c *Client) expireCalls(past func(time.Time) bool) {
	for _, q := range slices.Clone(c.calls) {
		switch {
		case past(q.expiresAt):
			c.finishCall(q, result{err: ErrTimeout})
		case c.phase != phaseConnected || !past(q.dueAt):
		case q.ackID != 0 && !q.retryable:
			c.finishCall(q, result{err: ErrTimeout})
		default:
			delete(c.acks, q.ackID)
			q.ackID, q.dueAt = 0, time.Time{}
		}
	}
}
