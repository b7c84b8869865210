package client

import (
	"errors"
	"slices"
	"time"
)

// Times of the probes, which measure the round trip and detect a dead connection.
const (
	probeInterval = 15 * time.Second // from one probe to the next
	earlyInterval = time.Second      // from the answer to one of a connection's first probes to the next
	probeTimeout  = 10 * time.Second // dead if no frame at all comes for this long after a probe
	checkTimeout  = 5 * time.Second  // the same for a probe that Retry asked for
)

// probe is a "ping" event that waits for its ack.
type probe struct {
	ackID        uint64 // 0: none under way
	sentAt       time.Time
	deadline     time.Time
	framesBefore uint64    // the count of frames received when it was sent
	nextAt       time.Time // when to send the next one
}

// rtts are a connection's latest round trips, the newest last.
type rtts []time.Duration

const (
	keptRTTs  = 5 // of which the median is told
	earlyRTTs = 3 // measured early: the first of a connection waits for all that comes with it

	slowStore = time.Second // a relay's way to the store that takes longer is asked after early, too
)

// add takes a measurement, and returns the median: of two it is the lower one.
func (r *rtts) add(rtt time.Duration) (median time.Duration) {
	*r = append(*r, rtt)
	*r = (*r)[max(0, len(*r)-keptRTTs):]
	var sorted [keptRTTs]time.Duration
	for i, rtt := range *r { // by insertion: package slices would add 26 kB to the browser's program
		for ; i > 0 && sorted[i-1] > rtt; i-- {
			sorted[i] = sorted[i-1]
		}
		sorted[i] = rtt
	}
	return sorted[(len(*r)-1)/2]
}

var pingBody = []byte(`["ping",{}]`)

// sendProbe starts a measurement of the round trip. If no frame at all comes within the time given,
// the connection is lost.
func (c *Client) sendProbe(within time.Duration) {
	now := time.Now()
	delete(c.acks, c.probe.ackID)
	c.lastAckID++
	c.probe = probe{ackID: c.lastAckID, sentAt: now, deadline: now.Add(within), framesBefore: c.framesReceived, nextAt: now.Add(probeInterval)}
	c.acks[c.lastAckID] = func(p payload) {
		now := time.Now()
		var said struct{ Store float64 }
		_ = answer(p, &said) // it has come: that is what counts
		rtt, store := c.rtts.add(now.Sub(c.probe.sentAt)), time.Duration(said.Store*float64(time.Millisecond))
		c.probe.ackID = 0
		if len(c.rtts) <= earlyRTTs || store > slowStore {
			c.probe.nextAt = now.Add(earlyInterval)
		}
		c.updateState(func(s *State) { s.RTT, s.Store = rtt, store })
	}
	c.sendEvent(c.lastAckID, pingBody)
}

// doubtStore has the next probe sent at once if a request failed since the relay could not do it: the probe tells
// whether its way to the store holds.
func (c *Client) doubtStore(err error) {
	var e *Error
	if errors.As(err, &e) && e.Code == codeUnavailable && c.probe.ackID == 0 && c.phase == phaseConnected {
		c.probe.nextAt = time.Now()
	}
}

// checkNow does what Retry asked for.
func (c *Client) checkNow() {
	switch c.phase {
	case phaseWaiting:
		c.connect()
	case phaseConnected:
		c.sendProbe(checkTimeout)
	}
}

// setTimer sets the timer to the time of nextDue.
func (c *Client) setTimer() {
	due := c.nextDue()
	if due.Equal(c.timerAt) {
		return
	}
	c.timerAt = due
	if due.IsZero() {
		c.timer.Stop()
		return
	}
	c.timer.Reset(time.Until(due))
}

// nextDue returns the earliest time at which expire has something to do; zero means none.
func (c *Client) nextDue() (first time.Time) {
	at := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	switch c.phase {
	case phaseWaiting:
		at(c.retryAt)
	case phaseConnected:
		at(c.pingDeadline)
		at(c.probe.nextAt)
		if c.probe.ackID != 0 {
			at(c.probe.deadline)
		}
		at(c.renewal.retryAt)
		for _, r := range c.order {
			at(r.dueAt)
		}
	default:
		at(c.connectDeadline)
	}
	for _, q := range c.calls {
		at(q.expiresAt)
		if c.phase == phaseConnected {
			at(q.dueAt)
		}
	}
	return first
}

// expire does all that is due by now.
func (c *Client) expire(now time.Time) {
	past := func(t time.Time) bool { return !t.IsZero() && !t.After(now) }
	switch c.phase {
	case phaseWaiting:
		if past(c.retryAt) {
			c.connect()
		}
	case phaseConnected:
		c.expireConnected(past)
	default:
		if past(c.connectDeadline) {
			c.onDisconnect(errConnectTimeout)
		}
	}
	c.expireCalls(past)
	c.sendReady()
}

func (c *Client) expireConnected(past func(time.Time) bool) {
	switch {
	case past(c.pingDeadline):
		c.onDisconnect(errHeartbeat)
		return
	case c.probe.ackID != 0 && past(c.probe.deadline):
		if c.framesReceived == c.probe.framesBefore {
			c.onDisconnect(errNoResponse)
			return
		}
		delete(c.acks, c.probe.ackID) // the relay is alive, but has not answered
		c.probe.ackID = 0
	case past(c.probe.nextAt):
		c.sendProbe(probeTimeout)
	}
	if past(c.renewal.retryAt) {
		c.renewToken()
	}
	for _, r := range slices.Clone(c.order) {
		if past(r.dueAt) {
			c.onJoinDue(r)
		}
	}
}
