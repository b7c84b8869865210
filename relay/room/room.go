package room

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"setu/relay/broker"
)

// Room is one room's members on this relay. It is the broker's Subscriber.
type Room struct {
	// immutable after newRoom
	hub    *Hub
	name   string
	quoted string        // the name as JSON
	ready  chan struct{} // closed by open
	gone   chan struct{} // closed when the room is out of the hub

	// written by open, before ready
	err  error
	stop func()

	mu      sync.Mutex // guards what follows; held for map work and sends that never block, never across I/O
	refs    int        // memberships, joins under way, and open
	closed  bool
	members map[Member]*membership
	list    []*membership
	users   map[string]*user // who is here, by id
	count   int              // users over all relays, as last heard
	asking  int              // members that asked for presence
	ring    ring
	moved   chan struct{} // closed at the next message; nil while nobody waits for it
	changes changes
	joining int             // joins, or reads of who is here, under way
	stale   int             // times that changes went by unheard, since a read of who is here began; 0: none is under way
	heard   []broker.Change // while there are any: a join may have read before these who is here
}

// membership is one member; list[at] is itself, so that fan-out runs over a slice.
type membership struct {
	member   Member
	at       int
	presence bool
}

type user struct {
	connections int
	who         broker.User
	json        string // of who
}

func newRoom(h *Hub, name string) *Room {
	return &Room{hub: h, name: name, quoted: quote(name), ready: make(chan struct{}), gone: make(chan struct{}), refs: 2,
		members: map[Member]*membership{}, users: map[string]*user{},
		ring: ring{count: h.history, bytes: RingBytes, ttl: h.ttl}}
}

// open subscribes to the room. The broker's own time-outs bound it. Of a new room's two references one is the first
// joiner's and one its own: all who wait may give up.
func (r *Room) open() {
	r.stop, r.err = r.hub.broker.Subscribe(context.Background(), r.name, r)
	if r.err != nil { // whoever comes next tries again
		r.mu.Lock()
		r.closed = true
		r.mu.Unlock()
		r.hub.rooms.CompareAndDelete(r.name, r)
		close(r.gone)
	}
	close(r.ready)
	r.release()
}

// retain takes a reference; false where the room is closing.
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
		r.changes.stop()
	}
	r.mu.Unlock()
	if last {
		r.stop()
		r.hub.rooms.CompareAndDelete(r.name, r)
		close(r.gone)
	}
}

// Load implements broker.Subscriber. With a reason, everyone is told that what may be missing is gone.
func (r *Room) Load(s broker.Snapshot, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring.load(s, encodeAll(r.quoted, s.Messages), time.Now())
	r.wakeWaiters()
	if reason == "" || len(r.list) == 0 {
		return
	}
	newest, _ := r.ring.last(resetMessages)
	f := resetFrame(r.quoted, reason, s.Tail, list(newest).fit(), r.count).Mark(&Reset{r.name, s.Tail})
	for _, m := range r.list {
		m.member.Send(f)
	}
}

// Deliver implements broker.Subscriber.
func (r *Room) Deliver(m broker.Message) {
	s := encode(r.quoted, m)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring.append(entry{m.Offset(), s}, time.Now())
	r.wakeWaiters()
	for _, m := range r.list {
		m.member.Send(s.frame)
	}
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

func (r *Room) wakeWaiters() {
	if r.moved != nil {
		close(r.moved)
		r.moved = nil
	}
}

// join makes m a member; the caller's reference becomes the membership's. It reads the past first, becomes a member at one
// point of the room's order, and has that kept while it announces itself: the two go to the store together.
func (r *Room) join(ctx context.Context, m Member, o JoinOptions, reply func(Joined)) error {
	u := m.User()
	encoded, _ := json.Marshal(u) // a struct of strings and a bool
	text := string(encoded)
	past := r.past(ctx, o)
	if err := ctx.Err(); err != nil {
		r.release()
		return err
	}
	r.mu.Lock()
	j := r.state(past, o)
	again := r.admit(m, text)
	r.mu.Unlock()

	from := r.listen()
	count, members := r.announce(ctx, u, text, o, j.Offset)

	r.mu.Lock()
	heard := r.unlisten(from)
	if err := ctx.Err(); err != nil { // whoever asked is gone
		r.mu.Unlock()
		if !again {
			r.leave(m)
		}
		return err
	}
	defer r.mu.Unlock()
	if count > 0 && len(heard) == 0 {
		r.count = count
	}
	if again { // frames of the room have gone out since, ahead of this answer
		j = r.state(past, o)
	}
	j.Count, j.Members = max(r.count, len(r.users)), amend(members, heard)
	r.ask(r.members[m], o.Presence)
	reply(j)
	return nil
}

// state is how the room stands, for a member that enters it now. r.mu is held.
func (r *Room) state(p past, o JoinOptions) Joined {
	p = r.complete(p, o)
	return Joined{Offset: r.ring.tail, Recovered: p.recovered, Messages: p.messages}
}

// announce has the broker know of the user, and meanwhile whoever keeps sessions of the room.
func (r *Room) announce(ctx context.Context, u broker.User, text string, o JoinOptions, at broker.Offset) (int, []string) {
	var keeping sync.WaitGroup
	if o.Keep != nil {
		keeping.Go(func() { _ = o.Keep(ctx, at) }) // the broker makes it good
	}
	count, members := r.arrive(ctx, u, text, o.Presence)
	keeping.Wait()
	return count, members
}

// ask notes whether a member wants to hear who comes and goes. r.mu is held.
func (r *Room) ask(m *membership, presence bool) {
	if m.presence {
		r.asking--
	}
	if m.presence = presence; presence {
		r.asking++
	}
}

// end is where the room stands now.
func (r *Room) end() (broker.Offset, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ring.tail, !r.closed
}

func (r *Room) page(before broker.Offset, limit int) (List, bool, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, false, false
	}
	r.ring.expire(time.Now())
	page, more, ok := r.ring.page(before, limit)
	return list(page), more, ok
}
