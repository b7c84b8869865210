package client

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Bounds of joins.
const (
	ackTimeout = 10 * time.Second // for the answer to any request
	maxJoining = 64               // joins under way at a time
)

// ask is a call of Join that waits. Whoever holds done takes one result from it.
type ask struct {
	options JoinOptions
	done    chan joinResult // holds one
	gone    bool            // the caller waits no more; owned by run
}

type joinResult struct {
	joined Joined
	err    error
}

// Join enters a room, and enters it again after each reconnect, from the last offset seen (or with the last o.History
// messages where what was missed is no more). It waits for a connection, and for the answer at most 10 s once asked; an
// *Error is the relay's refusal, "unavailable" perhaps, after which the room is not joined. What Joined holds does not come
// through the Handler as well; live messages may reach the Handler before the caller has looked at Joined. A room may be
// joined again with other options.
func (c *Client) Join(ctx context.Context, name string, o JoinOptions) (Joined, error) {
	if err := checkText(name); err != nil {
		return Joined{}, err
	}
	a := &ask{options: o, done: make(chan joinResult, 1)}
	var full bool
	if err := c.do(func() { full = !c.ask(name, a) }); err != nil {
		return Joined{}, err
	}
	if full {
		return Joined{}, ErrTooManyPending
	}
	select {
	case r := <-a.done:
		return r.joined, r.err
	case <-ctx.Done():
		_ = c.do(func() { c.unask(name, a) })
		return Joined{}, ctx.Err()
	case <-c.life.Done():
		return Joined{}, context.Cause(c.life)
	}
}

// ask is false where too much waits already.
func (c *Client) ask(name string, a *ask) bool {
	n := len(c.calls)
	for _, r := range c.order {
		n += len(r.asks)
		if r.asking != nil {
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
	r.asks = append(r.asks, a)
	c.pump()
	return true
}

// unask gives up a. A room that nobody else wants is left, as the relay may have taken the join.
func (c *Client) unask(name string, a *ask) {
	a.gone = true
	r := c.rooms[name]
	if r == nil {
		return
	}
	r.asks = slices.DeleteFunc(r.asks, func(b *ask) bool { return a == b })
	if r.unwanted() {
		c.leaveRoom(r)
	}
}

// pump sends what may be sent now: joins, and then the calls whose rooms are joined.
func (c *Client) pump() {
	n := 0
	for _, r := range c.order {
		if r.joinID != 0 {
			n++
		}
	}
	for _, r := range c.order {
		if c.phase != live || n >= maxJoining {
			break
		}
		if r.wantsJoin() {
			c.sendJoin(r)
			n++
		}
	}
	c.pumpCalls()
}

// wantsJoin: there is something to ask the relay, and nothing asked yet.
func (r *room) wantsJoin() bool {
	return r.joinID == 0 && r.due.IsZero() && (len(r.asks) > 0 || r.stood && !r.joined)
}

func (c *Client) sendJoin(r *room) {
	o := r.options
	if r.stood && !r.joined {
		o.Since = r.offset
	} else {
		r.asking, r.asks = r.asks[0], r.asks[1:]
		o = r.asking.options
	}
	c.lastID++
	r.joinID = c.lastID
	r.due = time.Now().Add(ackTimeout)
	c.acks[r.joinID] = func(p payload) { c.joinAnswered(r, p) }
	c.sendEvent(r.joinID, eventBody("join", joinRequest{r.name, o}))
}

type joinRequest struct {
	Room string `json:"room"`
	JoinOptions
}

// joinDue: the answer is late, or it is time to try again.
func (c *Client) joinDue(r *room) {
	delete(c.acks, r.joinID)
	late := r.joinID != 0
	r.joinID, r.due = 0, time.Time{}
	if a := r.asking; late && a != nil {
		r.asking = nil
		if !a.gone {
			a.done <- joinResult{err: ErrTimeout}
		}
		if r.unwanted() {
			c.leaveRoom(r) // the relay may have taken it all the same
		}
	}
}

func (c *Client) joinAnswered(r *room, p payload) {
	a := r.asking
	r.asking, r.joinID, r.due = nil, 0, time.Time{}
	var j Joined
	err := answer(p, &j)
	j.Room = r.name
	switch {
	case a == nil:
		c.rejoined(r, j, err)
	case a.gone: // others ask after it, or the room stood before
	case err != nil:
		a.done <- joinResult{err: err}
		if r.unwanted() {
			c.remove(r)
		}
	case r.joined: // asked again, for a page of it or for presence
		r.options = a.options
		a.done <- joinResult{joined: j}
	default:
		r.joined, r.stood, r.options = true, true, a.options
		r.adopt(j.Offset, j.Messages)
		a.done <- joinResult{joined: j}
		c.release(r)
	}
	c.pump()
}

// unwanted: no Join has succeeded, and nobody waits for one.
func (r *room) unwanted() bool {
	return !r.stood && len(r.asks) == 0 && (r.asking == nil || r.asking.gone)
}

// rejoined takes the answer to a join that nobody called for: after a reconnect, or to mend a hole.
func (c *Client) rejoined(r *room, j Joined, err error) {
	var e *Error
	switch {
	case errors.As(err, &e) && !e.retryable():
		c.fault(&RejoinError{Room: r.name, Err: err})
		if r.stood = false; r.unwanted() {
			c.remove(r)
		}
		return
	case err != nil:
		r.due = time.Now().Add(c.pause(err))
		return
	}
	r.joined = true
	if j.Recovered {
		for _, m := range j.Messages {
			if r.fresh(m) {
				m.Recovered = true
				j.Missed++
				c.accept(r, m)
			}
		}
		r.at(j.Offset)
	} else {
		c.reset(r, Reset{Room: r.name, Reason: "rejoin", Offset: j.Offset, Messages: j.Messages, Count: j.Count})
	}
	j.Messages = nil
	if h := c.options.Handler.Rejoined; h != nil {
		c.emit(func() { h(j) })
	}
	c.release(r)
}

// pause is how long to wait before a request that failed is made again: what the relay says, else a second, and a bit of
// chance, so that not all come at once.
func (c *Client) pause(err error) time.Duration {
	d := time.Second
	var e *Error
	if errors.As(err, &e) && e.Retry > 0 {
		d = min(time.Duration(e.Retry)*time.Millisecond, c.options.MaxBackoff)
	}
	return d + c.jitter(d/4)
}

// Leave leaves a room, and waits for the relay's word where there is a connection. Joins of the room that wait return
// ErrLeft. Without a connection there is nothing to wait for: the room is just not joined again.
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

// leaveRoom forgets r, and tells the relay where it may know of us.
func (c *Client) leaveRoom(r *room) *call {
	for _, a := range append(r.asks, r.asking) {
		if a != nil && !a.gone {
			a.done <- joinResult{err: ErrLeft}
		}
	}
	c.remove(r)
	if c.phase != live {
		return nil
	}
	q := newCall("leave", r.name, eventBody("leave", roomRequest{r.name}))
	q.passing = true
	c.enqueue(q)
	return q
}

func (c *Client) remove(r *room) {
	delete(c.acks, r.joinID)
	delete(c.rooms, r.name)
	c.order = slices.DeleteFunc(c.order, func(o *room) bool { return o == r })
}
