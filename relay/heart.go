package relay

import (
	"sync"
	"time"

	"setu/relay/engineio"
)

// heart is the server's heartbeat, and the wait for the client to connect to something; one timer for both.
type heart struct {
	s *Session

	mu       sync.Mutex
	timer    *time.Timer
	due      time.Time // the next ping, or the end of the wait for a pong
	deadline time.Time // for connecting; zero while connected, or where nobody expects it
	waiting  bool      // for a pong
	stopped  bool
	settled  func() // wanted at a pong; nil: not
	asked    bool   // the ping under way is one whose pong will do
}

var pingFrame = control(engineio.Ping)

func (h *heart) start(s *Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return
	}
	h.s = s
	now := time.Now()
	h.due = now.Add(s.eng.cfg.PingInterval)
	h.timer = time.AfterFunc(h.pause(now), h.beat)
}

// pause is how long nothing is due. h.mu is held.
func (h *heart) pause(now time.Time) time.Duration {
	if !h.deadline.IsZero() && h.deadline.Before(h.due) {
		return h.deadline.Sub(now)
	}
	return h.due.Sub(now)
}

// expect gives the client a time in which to connect, again where it has disconnected; none ends it. The next ping stays where
// it was: a client counts from the last one.
func (h *heart) expect(within time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deadline = time.Time{}
	if within <= 0 || h.stopped {
		return
	}
	now := time.Now()
	h.deadline = now.Add(within)
	if h.timer != nil {
		h.timer.Reset(h.pause(now))
	}
}

// settle has f called once the client has shown that it has all that was sent up to now: by its answer to a ping sent after it.
// A later f takes an earlier one's place. f must not block.
func (h *heart) settle(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settled, h.asked = f, false
}

// beat is the timer's: it pings, or ends a session that let a wait pass.
func (h *heart) beat() {
	h.mu.Lock()
	now := time.Now()
	due := !now.Before(h.due)
	unconnected := !h.deadline.IsZero() && !now.Before(h.deadline)
	stopped, late, ping := h.stopped, due && h.waiting, due && !h.waiting
	if !stopped && !late && !unconnected {
		if ping {
			h.waiting, h.due = true, h.since(now).Add(h.s.eng.cfg.PingTimeout)
			h.asked = h.settled != nil
		}
		h.timer.Reset(h.pause(now))
	}
	h.mu.Unlock()
	switch {
	case stopped:
	case unconnected:
		h.s.close(closeGone, "no CONNECT in time", false)
	case late:
		h.s.close(closeGone, "no pong in time", true)
	case ping:
		h.s.SendAhead(pingFrame)
	}
}

// since is when the ping that is due was due: a timer that is late, because the machine is busy, gives nobody more time. One
// that is very late has slept, and the client may have, too. h.mu is held.
func (h *heart) since(now time.Time) time.Time {
	if now.Sub(h.due) > time.Second {
		return now
	}
	return h.due
}

// look does what is due and not done yet, for whoever asks just then.
func (h *heart) look() {
	h.mu.Lock()
	due := h.timer != nil && !time.Now().Before(h.due)
	h.mu.Unlock()
	if due {
		h.beat()
	}
}

func (h *heart) pong() {
	if f := h.answered(); f != nil {
		f()
	}
}

// answered takes a pong, and returns whom it settles.
func (h *heart) answered() (settled func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.waiting || h.stopped {
		return nil
	}
	if h.asked {
		settled, h.settled, h.asked = h.settled, nil, false
	}
	now := time.Now()
	h.waiting, h.due = false, now.Add(h.s.eng.cfg.PingInterval)
	h.timer.Reset(h.pause(now))
	return settled
}

func (h *heart) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	if h.timer != nil {
		h.timer.Stop()
	}
}
