package client

import (
	"slices"
	"time"
)

// Round trips and signs of life.
const (
	probeEvery   = 15 * time.Second // between measurements of the round trip
	probeTimeout = 10 * time.Second // a relay that says nothing for so long after a probe is gone
	reviveWithin = 5 * time.Second  // the same, where we have reason to doubt
)

// probe is a "ping" event that waits for its ack.
type probe struct {
	id    uint64 // of the ack; 0: none under way
	sent  time.Time
	by    time.Time
	heard uint64    // frames that had come when it was sent
	next  time.Time // when to send the next
}

var pingBody = []byte(`["ping",{}]`)

// ping measures the round trip. Where nothing at all is heard within the time given, the connection is lost.
func (c *Client) ping(within time.Duration) {
	now := time.Now()
	delete(c.acks, c.probe.id)
	c.lastID++
	c.probe = probe{id: c.lastID, sent: now, by: now.Add(within), heard: c.heard, next: now.Add(probeEvery)}
	c.acks[c.lastID] = func(payload) {
		rtt := time.Since(c.probe.sent)
		c.probe.id = 0
		c.changed(func(s *State) { s.RTT = rtt })
	}
	c.sendEvent(c.lastID, pingBody)
}

// revive is Retry.
func (c *Client) revive() {
	switch c.phase {
	case waiting:
		c.connect()
	case live:
		c.ping(reviveWithin)
	}
}

// arm sets the timer to what is due first.
func (c *Client) arm() {
	due := c.due()
	if due.Equal(c.armed) {
		return
	}
	c.armed = due
	if due.IsZero() {
		c.timer.Stop()
		return
	}
	c.timer.Reset(time.Until(due))
}

func (c *Client) due() (first time.Time) {
	at := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	switch c.phase {
	case waiting:
		at(c.retryAt)
	case live:
		at(c.pingBy)
		at(c.probe.next)
		if c.probe.id != 0 {
			at(c.probe.by)
		}
		for _, r := range c.order {
			at(r.due)
		}
	default:
		at(c.deadline)
	}
	for _, q := range c.calls {
		at(q.until)
		if c.phase == live {
			at(q.due)
		}
	}
	return first
}

// expire does what is due.
func (c *Client) expire(now time.Time) {
	past := func(t time.Time) bool { return !t.IsZero() && !t.After(now) }
	switch c.phase {
	case waiting:
		if past(c.retryAt) {
			c.connect()
		}
	case live:
		c.expireLive(past)
	default:
		if past(c.deadline) {
			c.lost(errConnectTimeout)
		}
	}
	c.expireCalls(past)
	c.pump()
}

func (c *Client) expireLive(past func(time.Time) bool) {
	switch {
	case past(c.pingBy):
		c.lost(errHeartbeat)
		return
	case c.probe.id != 0 && past(c.probe.by):
		if c.heard == c.probe.heard {
			c.lost(errSilent)
			return
		}
		delete(c.acks, c.probe.id) // the relay lives, but does not answer
		c.probe.id = 0
	case past(c.probe.next):
		c.ping(probeTimeout)
	}
	for _, r := range slices.Clone(c.order) {
		if past(r.due) {
			c.joinDue(r)
		}
	}
}
