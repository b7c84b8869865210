package room

import (
	"context"
	"sync"
	"time"

	"setu/relay/broker"
	"setu/relay/metrics"
)

// Room is one room on this relay: who gets its frames, its newest messages, and its subscription
// from the first join to the last leave. It is the broker's Subscriber.
type Room struct {
	// immutable after newRoom
	hub    *Hub
	name   string
	quoted string        // the name as JSON
	ready  chan struct{} // closed by open
	gone   chan struct{} // closed when the room is out of the hub

	// written by open before it closes ready, immutable after
	err  error
	stop func()

	// mu is held for map work and sends that never block, never across I/O.
	mu sync.Mutex

	// guarded by mu
	refs          int    // memberships, joins under way, and open
	first         *first // who is about to be the first member; nil: admitted, or has given up
	closed        bool   // nobody is here and nobody can join
	members       map[Member]*membership
	list          []*membership // the same, in no order
	sinks         []Member      // those of list, in its order: a fan-out touches nothing else
	ring          ring
	moved         chan struct{} // closed at the next message; nil while nobody waits for it
	roster        roster
	expected      map[string]expected // users who are not here and are expected back, by id; nil if there were none
	presenceTimer *time.Timer         // runs sendChanges; nil if no change waits
}

// membership is a connection's being in the room: Room.list[at], whose member is Room.sinks[at].
type membership struct {
	member    Member
	at        int
	presence  bool  // set by roster.ask
	invisible bool  // it does not count as its user's being here
	listed    int64 // when it was last told who is there, ms; 0 if it has not asked
}

func newRoom(h *Hub, name string, f *first) *Room {
	return &Room{hub: h, name: name, quoted: quote(name), refs: 2, first: f,
		ready: make(chan struct{}), gone: make(chan struct{}),
		members: map[Member]*membership{}, roster: newRoster(),
		ring: ring{count: h.history, bytes: RingBytes, ttl: h.ttl, enc: h.encoder, room: quote(name)}}
}

// open subscribes to the room, within the broker's own time-outs, and lists its users if list is set.
// Of a new room's two references one is the first joiner's and one is open's own, so that all who
// wait may give up.
func (r *Room) open(list int) {
	r.stop, r.err = r.hub.broker.Subscribe(context.Background(), r.name, r, list)
	if r.err != nil { // the next to join tries again
		r.mu.Lock()
		r.closed = true
		r.mu.Unlock()
		r.hub.rooms.CompareAndDelete(r.name, r)
		close(r.gone)
	}
	close(r.ready)
	r.release()
}

// retain takes a reference. It returns false if the room is closing.
func (r *Room) retain() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.refs++
	return true
}

// release gives a reference back; the last one closes the room.
func (r *Room) release() {
	r.mu.Lock()
	r.refs--
	last := r.refs == 0 && !r.closed
	if last {
		r.closed = true
		if r.presenceTimer != nil {
			r.presenceTimer.Stop()
		}
	}
	r.mu.Unlock()
	if last {
		r.stop()
		r.hub.rooms.CompareAndDelete(r.name, r)
		close(r.gone)
	}
}

// Load implements broker.Subscriber. With a reason, every member is told that what it may have
// missed is gone.
func (r *Room) Load(s broker.Snapshot, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring.load(s, r.hub.encodeAll(r.quoted, s.Messages), time.Now())
	r.wakeWaiters()
	if reason == "" {
		r.roster.count = s.Count
		if r.first != nil {
			r.first.load(s, r.roster.log.begin())
		}
	}
	if reason == "" || len(r.list) == 0 {
		return
	}
	last, _ := r.ring.last(resetMessages)
	newest := list(last).fit()
	f := resetFrame(r.quoted, reason, s.Tail, newest, r.roster.count).Mark(&Reset{r.name, s.Tail})
	noted := newest.isNoted()
	for _, m := range r.list {
		if noted { // each is told which of the reactions are its own
			f = resetFrame(r.quoted, reason, s.Tail, newest.For(m.member.User().ID), r.roster.count).Mark(&Reset{r.name, s.Tail})
		}
		m.member.Send(f)
	}
	r.hub.metrics.Resets.Of(metrics.Reset(reason)).Add(float64(len(r.list)))
}

// Deliver implements broker.Subscriber.
func (r *Room) Deliver(m broker.Message) {
	s := r.hub.encode(r.quoted, m)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring.append(entry{m.Offset(), s}, time.Now())
	if s.note != nil {
		r.ring.take(s)
	}
	r.wakeWaiters()
	if s.envelope != nil && s.envelope.except != "" {
		r.sendExcept(s)
		return
	}
	for _, m := range r.sinks {
		m.Send(s.frame)
	}
	r.hub.metrics.Deliveries.Add(float64(len(r.sinks)))
}

// sendExcept sends a message to all but the connection that is not to hear it. r.mu is held.
func (r *Room) sendExcept(s stored) {
	sent := 0
	for _, m := range r.sinks {
		if !s.isExcepted(m.ID()) {
			m.Send(s.frame)
			sent++
		}
	}
	r.hub.metrics.Deliveries.Add(float64(sent))
}

// Signal implements broker.Subscriber.
func (r *Room) Signal(s broker.Signal) {
	f := signalFrame(r.quoted, s)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.list {
		if m.member.ID() != s.Sender {
			m.member.Send(f)
		}
	}
}

// wakeWaiters wakes the joins that wait for a message. r.mu is held.
func (r *Room) wakeWaiters() {
	if r.moved != nil {
		close(r.moved)
		r.moved = nil
	}
}

// tail is where the room stands now. It returns false if the room is closed.
func (r *Room) tail() (broker.Offset, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ring.tail, !r.closed
}

// update has messages that were read from the store be as they are by now.
func (r *Room) update(read List) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring.update(read)
}

// page returns a page of history from the ring, if its verdict is covered.
func (r *Room) page(before broker.Offset, limit int) (page List, more bool, v verdict) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, false, older
	}
	r.ring.expire(time.Now())
	entries, more, v := r.ring.page(before, limit)
	return list(entries), more, v
}
