package relay

import (
	"sync"
	"time"

	"setu/relay/engineio"
)

// heart is the server's heartbeat, and before that the wait for CONNECT; one timer for both.
type heart struct {
	s *session

	mu       sync.Mutex
	timer    *time.Timer
	due      time.Time // the next ping, or the end of the wait for a pong
	deadline time.Time // for CONNECT; zero once it came
	waiting  bool      // for a pong
	stopped  bool
}

var pingFrame = engineio.NewFrame(1, func(dst []byte) []byte { return append(dst, byte(engineio.Ping)) })

func (h *heart) start(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return
	}
	h.s = s
	now := time.Now()
	h.due = now.Add(s.srv.cfg.PingInterval)
	h.deadline = now.Add(connectTimeout)
	h.timer = time.AfterFunc(h.pause(now), h.beat)
}

// pause is how long nothing is due. h.mu is held.
func (h *heart) pause(now time.Time) time.Duration {
	if !h.deadline.IsZero() && h.deadline.Before(h.due) {
		return h.deadline.Sub(now)
	}
	return h.due.Sub(now)
}

// connect ends the wait for CONNECT. The next ping stays where it was: a client counts from the last one.
func (h *heart) connect() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.deadline = time.Time{}
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
			h.waiting, h.due = true, now.Add(h.s.srv.cfg.PingTimeout)
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
		h.s.Send(pingFrame)
	}
}

func (h *heart) pong() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting && !h.stopped {
		now := time.Now()
		h.waiting, h.due = false, now.Add(h.s.srv.cfg.PingInterval)
		h.timer.Reset(h.pause(now))
	}
}

func (h *heart) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	if h.timer != nil {
		h.timer.Stop()
	}
}
