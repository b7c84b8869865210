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
	refs    int
	closed  bool
	members map[Member]*membership
	list    []*membership
	users   map[string]*user // who is here, by id
	count   int              // users over all relays, as last heard
	ring    ring
	moved   chan struct{} // closed at the next message; nil while nobody waits for it
	changes changes
}

// membership is one member; list[at] is itself, so that fan-out runs over a slice.
type membership struct {
	member   Member
	at       int
	presence bool
}

type user struct {
	connections int
	json        string
}

func newRoom(h *Hub, name string) *Room {
	return &Room{hub: h, name: name, quoted: quote(name), ready: make(chan struct{}), gone: make(chan struct{}),
		members: map[Member]*membership{}, users: map[string]*user{},
		ring: ring{count: h.history, bytes: RingBytes, ttl: h.ttl}}
}

// open subscribes to the room. The broker's own time-outs bound it.
func (r *Room) open() {
	r.stop, r.err = r.hub.broker.Subscribe(context.Background(), r.name, r)
	if r.err != nil {
		r.hub.rooms.CompareAndDelete(r.name, r)
		close(r.gone)
	}
	close(r.ready)
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
	last := r.refs == 0
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
	f := resetFrame(r.quoted, reason, s.Tail, fit(objects(newest)), r.count)
	for _, m := range r.list {
		m.member.Send(f)
	}
}

// Deliver implements broker.Subscriber.
func (r *Room) Deliver(m broker.Message) {
	f, object := messageFrame(r.quoted, m)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring.append(entry{m.Offset(), object}, time.Now())
	r.wakeWaiters()
	for _, m := range r.list {
		m.member.Send(f)
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

// join makes m a member; the caller's reference becomes the membership's.
func (r *Room) join(ctx context.Context, m Member, o JoinOptions, reply func(Joined)) {
	count, members := r.arrive(ctx, m, o.Presence)
	past := r.past(ctx, o)
	r.mu.Lock()
	defer r.mu.Unlock()
	past = r.complete(past, o)
	if count > 0 {
		r.count = count
	}
	reply(Joined{Offset: r.ring.tail, Recovered: past.recovered, Messages: past.messages, Count: max(r.count, len(r.users)), Members: members})
	if was := r.members[m]; was != nil { // joined again: one membership, one reference, one connection of the user's
		was.presence = o.Presence
		r.refs--
		r.users[m.User().ID].connections--
		return
	}
	ms := &membership{member: m, at: len(r.list), presence: o.Presence}
	r.members[m] = ms
	r.list = append(r.list, ms)
}

// arrive announces m's user, and reads who is there where m wants to know. Where the broker can't tell, this relay's own
// members are the answer: a live room can be joined without it.
func (r *Room) arrive(ctx context.Context, m Member, list bool) (count int, members []string) {
	u := m.User()
	text, _ := json.Marshal(u) // a struct of strings and a bool
	r.mu.Lock()
	here := r.users[u.ID]
	if here == nil {
		here = &user{}
		r.users[u.ID] = here
	}
	here.connections++
	here.json = string(text)
	r.mu.Unlock()

	count, err := r.hub.broker.Enter(ctx, r.name, u)
	if err != nil {
		count = 0
	}
	if !list {
		return count, nil
	}
	members, n, err := r.hub.Members(ctx, r.name)
	if err != nil {
		members, n = r.here()
	}
	if members == nil && n > 0 {
		return max(count, n), nil // too many to list
	}
	members = with(members, u.ID, string(text))
	return max(count, len(members)), members
}

// with adds a user to a list that may have been read just before he entered.
func with(members []string, id, text string) []string {
	for _, m := range members {
		var u broker.User
		if json.Unmarshal([]byte(m), &u) == nil && u.ID == id {
			return members
		}
	}
	return append(members[:len(members):len(members)], text)
}

// here lists the users on this relay.
func (r *Room) here() (members []string, count int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.users) > MaxMembers {
		return nil, len(r.users)
	}
	members = make([]string, 0, len(r.users))
	for _, u := range r.users {
		members = append(members, u.json)
	}
	return members, len(members)
}

func (r *Room) leave(m Member) {
	id := m.User().ID
	r.mu.Lock()
	ms := r.members[m]
	if ms == nil {
		r.mu.Unlock()
		return
	}
	delete(r.members, m)
	end := len(r.list) - 1
	r.list[ms.at] = r.list[end]
	r.list[ms.at].at = ms.at
	r.list[end] = nil
	r.list = r.list[:end]
	last := r.depart(id)
	r.mu.Unlock()
	if last && !r.hub.isDraining() {
		r.hub.broker.Leave(r.name, id)
		r.reenter(id)
	}
	r.release()
}

// depart counts one connection of a user's less; true for the last one here. r.mu is held.
func (r *Room) depart(id string) bool {
	u := r.users[id]
	if u.connections--; u.connections > 0 {
		return false
	}
	delete(r.users, id)
	return true
}

// reenter makes good a Leave that was overtaken by the same user's next connection.
func (r *Room) reenter(id string) {
	r.mu.Lock()
	u := r.users[id]
	var who broker.User
	back := u != nil && json.Unmarshal([]byte(u.json), &who) == nil
	r.mu.Unlock()
	if back {
		_, _ = r.hub.broker.Enter(context.Background(), r.name, who) // the broker remembers it if Redis is away
	}
}

func (r *Room) page(before broker.Offset, limit int) (Objects, bool, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring.expire(time.Now())
	page, more, ok := r.ring.page(before, limit)
	return objects(page), more, ok
}
