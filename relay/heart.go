package relay

import (
	"sync"
	"time"

	"setu/relay/engineio"
	"setu/relay/room"
)

// heart is the server's heartbeat, and before that the wait for CONNECT.
type heart struct {
	s *session

	mu          sync.Mutex
	timer       *time.Timer
	unconnected *time.Timer
	waiting     bool // for a pong
	stopped     bool
}

var pingFrame = room.NewFrame(1, func(dst []byte) []byte { return append(dst, byte(engineio.Ping)) })

func (h *heart) start(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return
	}
	h.s = s
	h.timer = time.AfterFunc(s.srv.cfg.PingInterval, h.beat)
	h.unconnected = time.AfterFunc(connectTimeout, func() { s.close(closeGone, "no CONNECT in time", false) })
}

// connect ends the wait for CONNECT.
func (h *heart) connect() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.unconnected != nil {
		h.unconnected.Stop()
		h.unconnected = nil
	}
}

func (h *heart) beat() {
	h.mu.Lock()
	late := h.waiting
	if !late && !h.stopped {
		h.waiting = true
		h.timer.Reset(h.s.srv.cfg.PingTimeout)
	}
	stopped := h.stopped
	h.mu.Unlock()
	switch {
	case stopped:
	case late:
		h.s.close(closeGone, "no pong in time", true)
	default:
		h.s.Send(pingFrame)
	}
}

func (h *heart) pong() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting && !h.stopped {
		h.waiting = false
		h.timer.Reset(h.s.srv.cfg.PingInterval)
	}
}

func (h *heart) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	if h.timer != nil {
		h.timer.Stop()
	}
	if h.unconnected != nil {
		h.unconnected.Stop()
	}
}
