package client

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Bounds of joins.
const (
	ackTimeout = 10 * time.Second // for the answer to any request that was sent
	maxJoining = 64               // joins sent and not answered
)

// joinCall is a call of Join that has not returned. It gets at most one result.
type joinCall struct {
	options  JoinOptions
	done     chan joinResult // capacity 1
	canceled bool            // the caller no longer waits; owned by run
}

type joinResult struct {
	joined Joined
	err    error
}

// Join enters a room, and enters it again after each reconnect, from the last offset seen (or with
// the last o.History messages if what was missed is no longer stored). It waits for a connection,
// and then at most 10 seconds for the answer (ErrTimeout). An *Error is the relay's refusal, such
// as "unavailable"; ErrTooManyPending means that Options.MaxPending calls wait already.
//
// The messages in Joined are not passed to the Handler as well; live messages may reach the Handler
// before Join has returned. A room may be joined again with other options, and stays joined if that
// fails.
func (c *Client) Join(ctx context.Context, name string, o JoinOptions) (Joined, error) {
	if err := checkRoom(name); err != nil {
		return Joined{}, err
	}
	a := &joinCall{options: o, done: make(chan joinResult, 1)}
	var full bool
	if err := c.do(func() { full = !c.queueJoin(name, a) }); err != nil {
		return Joined{}, err
	}
	if full {
		return Joined{}, ErrTooManyPending
	}
	select {
	case r := <-a.done:
		return r.joined, r.err
	case <-ctx.Done():
		_ = c.do(func() { c.cancelJoin(name, a) })
		return Joined{}, ctx.Err()
	case <-c.ctx.Done():
		return Joined{}, context.Cause(c.ctx)
	}
}

// queueJoin queues a. It returns false if too many calls wait already.
func (c *Client) queueJoin(name string, a *joinCall) bool {
	n := len(c.calls)
	for _, r := range c.order {
		n += len(r.queuedJoins)
		if r.pendingJoin != nil {
			n++
		}
	}
	if n >= c.options.MaxPending {
		return false
	}
	r := c.rooms[name]
	if r == nil {
		r = &room{name: name}
		c.rooms[name] = r
		c.order = append(c.order, r)
	}
	r.queuedJoins = append(r.queuedJoins, a)
	c.sendReady()
	return true
}

// cancelJoin gives up a. A room that no other call has joined or waits for is left, because the
// relay may have taken the join.
func (c *Client) cancelJoin(name string, a *joinCall) {
	a.canceled = true
	r := c.rooms[name]
	if r == nil {
		return
	}
	r.queuedJoins = slices.DeleteFunc(r.queuedJoins, func(b *joinCall) bool { return a == b })
	if r.unwanted() {
		c.leaveRoom(r)
	}
}

// sendReady sends what may be sent now: joins, and then the calls whose rooms are joined.
func (c *Client) sendReady() {
	n := 0
	for _, r := range c.order {
		if r.joinAckID != 0 {
			n++
		}
	}
	for _, r := range c.order {
		if c.phase != phaseConnected || n >= maxJoining {
			break
		}
		if c.needsJoin(r) {
			c.sendJoin(r)
			n++
		}
	}
	c.sendReadyCalls()
}

// needsJoin reports whether a join of r is to be sent now: none is under way or scheduled, and
// either a call waits or r is to be rejoined, which waits for the welcome: that may say that r is
// left.
func (c *Client) needsJoin(r *room) bool {
	switch {
	case r.joinAckID != 0 || !r.dueAt.IsZero():
		return false
	case r.keepJoined && !r.joined:
		return c.welcomed
	}
	return len(r.queuedJoins) > 0
}

func (c *Client) sendJoin(r *room) {
	request := c.beginJoin(r)
	r.dueAt = time.Now().Add(ackTimeout)
	c.sendEvent(r.joinAckID, eventBody("join", request))
}

// beginJoin returns the next join of r, whose answer is awaited from now on.
func (c *Client) beginJoin(r *room) joinRequest {
	o := r.options
	if r.keepJoined && !r.joined {
		o.Since = r.offset
	} else {
		r.pendingJoin, r.queuedJoins = r.queuedJoins[0], r.queuedJoins[1:]
		o = r.pendingJoin.options
	}
	c.lastAckID++
	r.joinAckID = c.lastAckID
	c.acks[r.joinAckID] = func(p payload) { c.onJoinAck(r, p) }
	return joinRequest{r.name, o}
}

type joinRequest struct {
	Room string `json:"room"`
	JoinOptions
}

// onJoinDue is called at r.dueAt: a join that was not answered in time fails, and a rejoin may be
// sent again.
func (c *Client) onJoinDue(r *room) {
	delete(c.acks, r.joinAckID)
	late := r.joinAckID != 0
	r.joinAckID, r.dueAt = 0, time.Time{}
	if a := r.pendingJoin; late && a != nil {
		r.pendingJoin = nil
		if !a.canceled {
			a.done <- joinResult{err: ErrTimeout}
		}
		if r.unwanted() {
			c.leaveRoom(r) // the relay may have taken the join
		}
	}
}

func (c *Client) onJoinAck(r *room, p payload) {
	a := r.pendingJoin
	r.pendingJoin, r.joinAckID, r.dueAt = nil, 0, time.Time{}
	var j Joined
	err := answer(p, &j)
	j.Room = r.name
	c.doubtStore(err)
	switch {
	case a == nil:
		c.onRejoinAck(r, j, err)
	case a.canceled: // other calls wait for the room, or it was joined before
	case err != nil:
		a.done <- joinResult{err: err}
		if r.unwanted() {
			c.forgetRoom(r)
		}
	case r.joined: // joined again, for a page of history or for presence
		r.options = a.options
		a.done <- joinResult{joined: j}
	default:
		r.joined, r.keepJoined, r.options = true, true, a.options
		r.resetTo(j.Offset, j.Messages)
		a.done <- joinResult{joined: j}
		c.deliverHeld(r)
	}
	c.sendReady()
}

// unwanted reports whether no Join of r has succeeded and none waits.
func (r *room) unwanted() bool {
	return !r.keepJoined && len(r.queuedJoins) == 0 && (r.pendingJoin == nil || r.pendingJoin.canceled)
}

// onRejoinAck takes the answer to a join that the client sent by itself, after a reconnect or
// because of a gap.
func (c *Client) onRejoinAck(r *room, j Joined, err error) {
	var e *Error
	switch {
	case errors.As(err, &e) && r.askForLess(e):
		return // sendReady follows
	case errors.As(err, &e) && !e.Retryable():
		c.reportError(&RejoinError{Room: r.name, Err: err})
		if r.keepJoined = false; r.unwanted() {
			c.forgetRoom(r)
		}
		return
	case err != nil:
		r.dueAt = time.Now().Add(c.retryDelay(err))
		return
	}
	r.joined = true
	if j.Recovered {
		for _, m := range j.Messages {
			if r.isNew(m) {
				m.Recovered = true
				j.Missed++
				c.deliver(r, m)
			}
		}
		for _, a := range j.Annotations {
			a.Recovered = true
			c.deliverAnnotation(a)
		}
		r.setOffset(j.Offset)
	} else {
		c.resetRoom(r, Reset{Room: r.name, Reason: "rejoin", Offset: j.Offset, Messages: j.Messages, Count: j.Count})
	}
	j.Messages, j.Annotations = nil, nil
	if h := c.options.Handler.Rejoined; h != nil {
		c.emit(func() { h(j) })
	}
	c.deliverHeld(r)
}

// askForLess has a rejoin that was refused for want of a right ask for what takes no such right. It
// reports false if nothing of that was asked for. What was missed without the right to read history
// is missing for good, and the rejoin says so.
func (r *room) askForLess(e *Error) bool {
	switch {
	case e.Code != "forbidden":
	case e.Right == "history" && (r.offset != "" || r.options.History > 0):
		r.offset, r.options.History = "", 0
		return true
	case e.Right == "members" && r.options.Presence:
		r.options.Presence = false
		return true
	}
	return false
}

// retryDelay returns how long to wait before a failed request is made again: the time that the
// relay gave, else a second, plus a random part so that clients don't all come at once.
func (c *Client) retryDelay(err error) time.Duration {
	d := time.Second
	var e *Error
	if errors.As(err, &e) && e.Retry > 0 {
		d = min(time.Duration(e.Retry)*time.Millisecond, c.options.MaxBackoff)
	}
	return d + c.jitter(d/4)
}

// Leave leaves a room. If there is a connection, it waits for the relay's answer, for at most 10
// seconds (ErrTimeout); without one, it returns at once and the room is not joined again. Calls of
// Join for the room that have not returned get ErrLeft. Leaving a room that was not joined does
// nothing.
func (c *Client) Leave(ctx context.Context, name string) error {
	var q *call
	err := c.do(func() {
		if r := c.rooms[name]; r != nil {
			q = c.leaveRoom(r)
		}
	})
	if err != nil || q == nil {
		return err
	}
	return c.await(ctx, q, nil)
}

// leaveRoom removes r, and sends a leave if there is a connection: the relay may have taken a join.
// It returns the call that waits for the answer, or nil.
func (c *Client) leaveRoom(r *room) *call {
	for _, a := range append(r.queuedJoins, r.pendingJoin) {
		if a != nil && !a.canceled {
			a.done <- joinResult{err: ErrLeft}
		}
	}
	c.forgetRoom(r)
	if c.phase != phaseConnected {
		return nil
	}
	q := newCall("leave", r.name, eventBody("leave", roomRequest{r.name}))
	q.dropOnDisconnect = true
	c.enqueue(q)
	return q
}

func (c *Client) forgetRoom(r *room) {
	delete(c.acks, r.joinAckID)
	delete(c.rooms, r.name)
	c.order = slices.DeleteFunc(c.order, func(o *room) bool { return o == r })
}
