package engine

import (
	"sync"
	"time"
)

// agenda calls heartbeats when something of them is due. Those that are due at the same time, which clients are that
// are pinged together, share a timer: ten thousand of them would take more memory, and more of a processor, than the
// pings.
type agenda struct {
	// immutable
	began time.Time
	grain time.Duration

	mu    sync.Mutex              // guards what follows, and the appointment of each heartbeat
	slots map[time.Duration]*slot // by when it is, since the agenda began
}

// slot is a moment.
type slot struct {
	at    time.Duration // since the agenda began
	timer *time.Timer
	first *heartbeat // of a list; nil: nobody is called any more
}

// appointment is a heartbeat's place in an agenda.
type appointment struct {
	slot       *slot // nil: there is none
	prev, next *heartbeat
}

func newAgenda(grain time.Duration) *agenda {
	return &agenda{began: time.Now(), grain: max(1, grain), slots: map[time.Duration]*slot{}}
}

// floor returns the last moment up to t of those at which clients are pinged.
func (a *agenda) floor(t time.Time) time.Time { return t.Add(-(t.Sub(a.began) % a.grain)) }

// appoint has h.tick called at t, and not at the time that was appointed before.
func (a *agenda) appoint(h *heartbeat, t time.Time) {
	at := t.Sub(a.began)
	a.mu.Lock()
	defer a.mu.Unlock()
	if h.slot != nil && h.slot.at == at {
		return
	}
	a.remove(h)
	s := a.slots[at]
	if s == nil {
		s = &slot{at: at}
		s.timer = time.AfterFunc(time.Until(t), func() { a.ring(s) })
		a.slots[at] = s
	}
	if h.slot, h.next = s, s.first; h.next != nil {
		h.next.prev = h
	}
	s.first = h
}

// cancel has h.tick not called any more.
func (a *agenda) cancel(h *heartbeat) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.remove(h)
}

// remove ends an appointment, if there is one. a.mu is held.
func (a *agenda) remove(h *heartbeat) {
	s := h.slot
	if s == nil {
		return
	}
	if h.next != nil {
		h.next.prev = h.prev
	}
	if h.prev != nil {
		h.prev.next = h.next
	} else if s.first = h.next; s.first == nil {
		a.drop(s)
	}
	h.appointment = appointment{}
}

// drop forgets a slot. a.mu is held.
func (a *agenda) drop(s *slot) {
	s.timer.Stop()
	if a.slots[s.at] == s {
		delete(a.slots, s.at)
	}
}

// ring calls those of a slot. What is appointed meanwhile gets a slot of its own, however soon that is.
func (a *agenda) ring(s *slot) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(s)
	for h := s.first; h != nil; h = s.first {
		a.remove(h)
		a.mu.Unlock()
		h.tick()
		a.mu.Lock()
	}
}
