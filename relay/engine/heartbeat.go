package engine

import (
	"sync"
	"time"

	"setu/relay/engineio"
)

// heartbeat pings the client, and bounds how long it may be connected to nothing; one appointment does
// both.
type heartbeat struct {
	appointment // the agenda's

	mu       sync.Mutex // guards what follows
	s        *Session   // nil before start
	due      time.Time  // the next ping, or the end of the wait for a pong
	deadline time.Time  // for connecting; zero while there is none
	waiting  bool       // for a pong
	ping     uint64     // the frame of the outbox that it is to answer, or one before
	stopped  bool
	ponged   func() // wanted at a pong, or nil
	asked    bool   // the pong of the ping under way will do for ponged
}

var pingFrame = controlFrame(engineio.Ping)

// pingSlots is how many moments of a PingInterval there are at which clients are pinged: those who are
// due between two of them are pinged together, a little early, since waking up costs more than a ping.
const pingSlots = 256

// pingAfter returns when a client is pinged that was heard of now.
func (srv *Server) pingAfter(now time.Time) time.Time {
	return srv.agenda.floor(now.Add(srv.cfg.PingInterval))
}

func (h *heartbeat) start(s *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return
	}
	h.s = s
	h.due = s.srv.pingAfter(time.Now())
	h.appoint()
}

// appoint has tick called when something is due. h.mu is held.
func (h *heartbeat) appoint() {
	next := h.due
	if !h.deadline.IsZero() && h.deadline.Before(next) {
		next = h.deadline
	}
	h.s.srv.agenda.appoint(h, next)
}

// setConnectDeadline gives the client a time in which to connect; zero ends the wait. The next ping
// stays where it was, since a client counts from the last one.
func (h *heartbeat) setConnectDeadline(within time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deadline = time.Time{}
	if within <= 0 || h.stopped {
		return
	}
	h.deadline = time.Now().Add(within)
	if h.s != nil {
		h.appoint()
	}
}

// onPong has f called at the pong of a ping that is sent from now on.
func (h *heartbeat) onPong(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ponged, h.asked = f, false
}

// tick pings, or ends a session that let a deadline pass.
func (h *heartbeat) tick() {
	h.mu.Lock()
	now := time.Now()
	due := !now.Before(h.due)
	unconnected := !h.deadline.IsZero() && !now.Before(h.deadline)
	stopped, late, ping := h.stopped, due && h.waiting, due && !h.waiting
	if !stopped && !late && !unconnected {
		if ping {
			h.waiting, h.due = true, h.dueSince(now).Add(h.s.srv.cfg.PingTimeout)
			h.ping, h.asked = h.s.out.next(), h.ponged != nil
		}
		h.appoint()
	}
	h.mu.Unlock()
	switch {
	case stopped:
	case unconnected:
		h.s.close(closeGone, noConnect, false)
	case late:
		h.s.close(closeGone, noPong, true)
	case ping:
		h.s.SendBypass(pingFrame)
	}
}

// dueSince is when the ping that is due was due: an agenda that is late, because the machine is busy,
// gives nobody more time. One that is very late has slept, and the client may have, too. h.mu is
// held.
func (h *heartbeat) dueSince(now time.Time) time.Time {
	if now.Sub(h.due) > time.Second {
		return now
	}
	return h.due
}

// checkNow does what is due, if the agenda is late: it may be so late that a ping and the end of the wait
// for its pong are. A request of the client's calls it.
func (h *heartbeat) checkNow() {
	for range 2 {
		h.mu.Lock()
		due := h.s != nil && !h.stopped && !time.Now().Before(h.due)
		h.mu.Unlock()
		if !due {
			return
		}
		h.tick()
	}
}

// pong takes the client's answer to a ping. It reports false if there was none to answer.
func (h *heartbeat) pong() (ok bool) {
	f, ok := h.takePong()
	if f != nil {
		f()
	}
	return ok
}

// takePong notes a pong, and returns what is to be called for it. One that comes before its ping is sent
// answers nothing: a client that reads nothing is not there.
func (h *heartbeat) takePong() (ponged func(), ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.waiting || h.stopped || !h.s.out.hasTaken(h.ping) {
		return nil, false
	}
	if h.asked {
		ponged, h.ponged, h.asked = h.ponged, nil, false
	}
	h.waiting, h.due = false, h.s.srv.pingAfter(time.Now())
	h.appoint()
	return ponged, true
}

func (h *heartbeat) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	if h.s != nil {
		h.s.srv.agenda.cancel(h)
	}
}
