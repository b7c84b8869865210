// Package room knows who is in which room on this relay, and in what order they hear what.
//
// A message takes this way: the broker calls Room.Deliver, which encodes the message once, keeps
// it in the room's ring and sends the one frame to every member here. There is no lock over all
// rooms, and no lock is held across I/O.
package room

import (
	"context"
	"errors"
	"sync"
	"time"

	"setu/relay/broker"
	"setu/relay/engineio"
	"setu/relay/metrics"
)

// Limits of what a hub keeps and tells.
const (
	RingBytes     = 1 << 20                // of a live room's newest messages kept here
	MaxMembers    = 1000                   // users in a list; a larger room tells the count alone
	MaxReplay     = 4 << 20                // bytes of messages in one answer
	PresencePause = 100 * time.Millisecond // changes within it go out together
	resetMessages = 100                    // messages in a reset
	aheadPause    = 2 * time.Second        // how long a resume waits for what another relay has
	LeaveGrace    = 3 * time.Second        // how long somebody who is expected back stays in a room
)

// ErrGap reports that a page is of a history that is no more.
var ErrGap = broker.ErrGap

// ErrElsewhere reports that an offset names no message of the room.
var ErrElsewhere = errors.New("room: an offset of elsewhere")

// Member is a connection that is in rooms, or about to be.
type Member interface {
	// ID names the connection.
	ID() string
	// User is whose connection it is. Its ID never changes.
	User() broker.User
	// Rename says what the user is called from now on: another connection of the same user has
	// joined a room under another name. It never blocks or calls back, since it is called under the
	// room's lock. Several rooms may call it at a time.
	Rename(broker.User)
	// Send queues a frame. It never blocks or calls back, since it is called under the room's
	// lock. It returns false if the connection is being closed.
	Send(*engineio.Frame) bool
	// HearsMoves reports whether the connection asked to be told of users that are at other places.
	HearsMoves() bool
}

// Hub holds the rooms that have members on this relay.
type Hub struct {
	// immutable after NewHub
	broker  broker.Broker
	history int
	ttl     time.Duration
	metrics *metrics.Metrics
	most    int // users of a room; 0: no bound
	encoder

	rooms   sync.Map // name -> *Room
	opening sync.WaitGroup
	graces  graces

	mu sync.Mutex

	// guarded by mu
	draining bool // leaves are no longer announced one by one

	drain chan struct{} // closed when draining is set
}

// NewHub returns an empty hub. The limits are the broker's.
func NewHub(b broker.Broker, l broker.Limits) *Hub {
	return &Hub{broker: b, history: l.History, ttl: l.TTL, metrics: metrics.New(), encoder: newEncoder(""), drain: make(chan struct{})}
}

// CountIn has what happens counted in m, and returns h. It must be called before h is used.
func (h *Hub) CountIn(m *metrics.Metrics) *Hub {
	h.metrics = m
	m.OnGather(h.measure)
	return h
}

// In says in which region the relay is, of which compact messages say nothing, and returns h. It must be called
// before h is used.
func (h *Hub) In(region string) *Hub {
	h.encoder = newEncoder(region)
	return h
}

// measure looks up how many rooms there are.
func (h *Hub) measure() {
	n := 0
	h.rooms.Range(func(any, any) bool { n++; return true })
	h.metrics.Rooms.Set(float64(n))
}

// ErrFull reports that a room has as many users as it may.
var ErrFull = errors.New("room: full")

// BoundMembers bounds the users of every room, over all relays, unless most is zero, and returns h.
// Members that are invisible don't count. It is to be called before the first Join. The store counts: of
// users who enter at the same moment all may be refused, and while it is away nobody is.
func (h *Hub) BoundMembers(most int) *Hub {
	h.most = most
	return h
}

// JoinOptions says what a member wants to be told on joining.
type JoinOptions struct {
	Since    broker.Offset // a message, or a moment: everything up to a position
	HasSince bool
	Vouched  bool // Since, a moment, is known to be of the store's history: all up to it has been had
	History  int  // how many of the newest messages, if Since is not given or can't be met
	Presence bool // list the users, and send presence events from then on

	// Invisible has the member's user not be in the room for others, unless another connection of the
	// user is. It is decided by the first join, until the member leaves.
	Invisible bool
	Replay    bool // it is part of a resumed session: the messages are sent one by one, as frames

	// Save records that the member is in the room and has everything up to since; if nil, nothing
	// is recorded. It runs while the broker is told of the user, and for the first member of a room
	// also while that is being opened: then once more if since was not known by then. Its failure
	// does not fail the join: the broker makes it good later.
	Save func(ctx context.Context, since broker.Offset) error

	// Again says that the member has just entered the room, as part of a resumed session, and asks for
	// its state: the broker has the user there already. Presence that the member had it keeps.
	Again bool

	known bool // the broker has the user in the room already
}

// Joined is the state of a room as a member enters it. The frames that the member is sent from
// then on continue it.
type Joined struct {
	Offset    broker.Offset
	Recovered bool
	Messages  List
	Notes     List // the annotations that were missed, if it is Recovered
	Count     int
	Members   []string // the JSON of each user; nil if not asked for, or too many
	Rights    string   // JSON that the answer to a join has as "rights"; empty: it has none
	Partial   bool     // Members may lack some: the store could not say. All follow when it can
}

// Join makes m a member. It calls reply once, under the room's lock; if it returns an error it
// has not called reply, and m is no member (if m was one before, it stays one). ErrUnavailable: what m
// has missed since o.Since can't be known now.
//
// The store is told between the moment that Joined.Offset names and reply. What happens in the room
// meanwhile is sent to m, so m must hold what it is sent from before Join until reply, and let it
// go after the answer. A member that joins again holds nothing: the room's frames go on coming
// ahead of the answer, which is made as reply is called.
//
// Calls for one member of one room come one after the other, so no Leave meets a Join under way.
func (h *Hub) Join(ctx context.Context, name string, m Member, o JoinOptions, reply func(Joined)) error {
	for {
		r, f, err := h.enter(ctx, name, m, o)
		if err != nil {
			return err
		}
		if r == nil {
			continue // it was closing, and is gone by now
		}
		return r.join(ctx, m, o, f, reply)
	}
}

// enter returns the live room with one reference taken. If this is the first reference, it subscribes
// to the room, and returns what has been told of the member meanwhile. It returns nil without an error
// if the room it found was closing.
func (h *Hub) enter(ctx context.Context, name string, m Member, o JoinOptions) (*Room, *first, error) {
	var f *first
	found, was := h.rooms.Load(name)
	if !was {
		f = &first{user: m.User()}
		found, was = h.rooms.LoadOrStore(name, newRoom(h, name, f))
	}
	r := found.(*Room)
	if !was {
		list := 0
		if o.Presence {
			list = MaxMembers
		}
		h.opening.Go(func() { r.open(list) }) // the first to wait may give up while others still want the room
		f.tell(ctx, r, o)
	} else if f = nil; !r.retain() {
		select {
		case <-r.gone:
			return nil, nil, nil
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	var err error
	select {
	case <-r.ready:
		err = r.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		if f != nil {
			f.giveUp(r)
		}
		r.release()
		return nil, nil, err
	}
	return r, f, nil
}

// Tail returns where a room stands now. It returns false if the room is not live here.
func (h *Hub) Tail(name string) (broker.Offset, bool) {
	if r := h.room(name); r != nil {
		return r.tail()
	}
	return broker.Offset{}, false
}

// Wait waits for rooms that are being opened. Call it after the last Join has returned.
func (h *Hub) Wait() { h.opening.Wait() }

// Leave takes m out of the room. It does nothing if m is not in it.
func (h *Hub) Leave(name string, m Member) {
	if r := h.room(name); r != nil {
		r.leave(m, false)
	}
}

// LeaveForNow is Leave for a member that is expected to come back, over whatever relay: that its user
// has left is announced after LeaveGrace.
func (h *Hub) LeaveForNow(name string, m Member) {
	if r := h.room(name); r != nil {
		r.leave(m, true)
	}
}

// room returns a room that has been opened, or nil.
func (h *Hub) room(name string) *Room {
	found, ok := h.rooms.Load(name)
	if !ok {
		return nil
	}
	r := found.(*Room)
	select {
	case <-r.ready:
		if r.err == nil {
			return r
		}
	default:
	}
	return nil
}

// Publish stores publications and fans them out, in their order.
func (h *Hub) Publish(ctx context.Context, pubs ...broker.Publication) []broker.Receipt {
	began := time.Now()
	receipts := h.broker.Publish(ctx, pubs...)
	h.metrics.PublishSeconds.Observe(time.Since(began).Seconds())
	for _, r := range receipts {
		h.metrics.Publishes.Of(outcome(r)).Inc()
	}
	return receipts
}

// outcome is what a receipt is counted as.
func outcome(r broker.Receipt) metrics.Publish {
	switch {
	case r.Err != nil:
		return metrics.PublishUnavailable
	case r.Duplicate:
		return metrics.PublishDuplicate
	}
	return metrics.PublishStored
}

// Signal fans a signal out to every connection in the room but its sender.
func (h *Hub) Signal(name, sender, body string) { h.broker.Signal(name, sender, body) }

// History returns at most limit messages before an offset (zero: the newest), oldest first. Of
// those it returns as many as fit into one packet, so more may be true below the limit. That the offset
// is of another room is found out where the room is live and its newest messages reach so far back.
func (h *Hub) History(ctx context.Context, name string, before broker.Offset, limit int) (page List, more bool, err error) {
	page, more, err = h.readPage(ctx, name, before, limit)
	kept := page.fit()
	if len(kept) == 0 && len(page) > 0 {
		kept = page[len(page)-1:] // alone it may be longer than others are together, so paging goes on
	}
	return kept, more || len(kept) < len(page), err
}

func (h *Hub) readPage(ctx context.Context, name string, before broker.Offset, limit int) (List, bool, error) {
	if r := h.room(name); r != nil {
		switch page, more, v := r.page(before, limit); v {
		case covered:
			return page, more, nil
		case lost:
			return nil, false, ErrElsewhere
		}
	}
	read, more, err := h.broker.History(ctx, name, before, limit)
	page := h.encodeAll(quote(name), read).messages()
	if r := h.room(name); r != nil {
		r.update(page)
	}
	return page, more, err
}

// Members returns the JSON of a room's users, or their count alone if they are too many.
func (h *Hub) Members(ctx context.Context, name string) (users []string, count int, err error) {
	users, count, err = h.broker.Members(ctx, name, MaxMembers)
	if err == nil || !errors.Is(err, broker.ErrUnavailable) {
		return users, count, err
	}
	if r := h.room(name); r != nil {
		users, count = r.localUsers()
		return users, count, nil
	}
	return nil, 0, err
}

// Drain says that all members are about to be closed. The broker's Close then announces that they
// have left, all at once: a user who is back over another relay by that time never left.
func (h *Hub) Drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.draining {
		h.draining = true
		close(h.drain)
	}
}

func (h *Hub) isDraining() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.draining
}
