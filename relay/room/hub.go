// Package room knows who is in which room on this relay, and in what order they hear what.
//
// A message takes this way: the broker's Deliver -> Room encodes it once, keeps it in its ring -> Member.Send of everyone
// here. There is no lock over all rooms, and no lock is held across I/O.
package room

import (
	"context"
	"errors"
	"sync"
	"time"

	"setu/relay/broker"
	"setu/relay/engineio"
)

// Limits of what a hub keeps and says.
const (
	RingBytes     = 1 << 20                // of a live room's newest messages kept here
	MaxMembers    = 1000                   // users in a list; of a larger room only the count is told
	MaxReplay     = 4 << 20                // bytes of messages in one answer
	PresencePause = 100 * time.Millisecond // changes within it go out together
	resetMessages = 100                    // messages in a reset
	aheadPause    = 2 * time.Second        // how long a resume waits for a message that another relay has seen already
)

// ErrGap: the page asked for is of a history that is no more.
var ErrGap = broker.ErrGap

// Member is somebody in a room: one connection.
type Member interface {
	// ID names the connection.
	ID() string
	// User is who it is. It never changes.
	User() broker.User
	// Send queues a frame and never blocks or calls back; false means that the member is being closed.
	Send(*engineio.Frame) bool
}

// Hub holds the rooms that have members on this relay.
type Hub struct {
	broker  broker.Broker
	history int
	ttl     time.Duration

	rooms   sync.Map // name -> *Room
	opening sync.WaitGroup

	mu       sync.Mutex
	draining bool // leaves are not announced one by one any more
}

// NewHub makes an empty hub. history and ttl are the broker's limits.
func NewHub(b broker.Broker, l broker.Limits) *Hub {
	return &Hub{broker: b, history: l.History, ttl: l.TTL}
}

// JoinOptions says what a member wants to know on joining.
type JoinOptions struct {
	Since    broker.Offset // a message, or a moment: all up to a position
	HasSince bool
	History  int // newest messages, where Since is not given or can't be met
	Presence bool
	Replay   bool // of a whole session: the messages are sent one by one, as frames

	// Keep records that the member is in the room and has all up to since; nil: nothing is kept. It runs while the member is
	// announced. Where it fails the join does not: the broker makes it good later.
	Keep func(ctx context.Context, since broker.Offset) error
}

// Joined is the state of a room as a member enters it; what he is sent from then on continues it.
type Joined struct {
	Offset    broker.Offset
	Recovered bool
	Messages  List
	Count     int
	Members   []string // JSON of each; nil where not asked for, or too many
}

// Join makes m a member. reply is called once, under the room's lock; where Join fails it is not, and m is no member (one
// that was stays one). Between the moment that Joined.Offset names and reply the store is told, and what happens in the
// room meanwhile is sent to m: it holds what it is sent from before Join until reply, and lets it go after the answer.
// A member that joins again holds nothing: frames of the room go on coming before the answer, which is made as reply is
// called. The calls for one member of one room come one after the other, so no Leave meets a Join under way.
func (h *Hub) Join(ctx context.Context, name string, m Member, o JoinOptions, reply func(Joined)) error {
	for {
		r, err := h.enter(ctx, name)
		if err != nil {
			return err
		}
		if r == nil {
			continue // it was closing; by now it is gone
		}
		return r.join(ctx, m, o, reply)
	}
}

// enter returns the live room with one reference taken, having subscribed to it where this is the first; nil without an
// error where the room at hand was closing.
func (h *Hub) enter(ctx context.Context, name string) (*Room, error) {
	found, was := h.rooms.LoadOrStore(name, newRoom(h, name))
	r := found.(*Room)
	if !was {
		h.opening.Go(r.open) // whoever waits may give up; the others still want the room
	} else if !r.retain() {
		select {
		case <-r.gone:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
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
		r.release()
		return nil, err
	}
	return r, nil
}

// Tail returns where a live room stands now; false where none of this name is live.
func (h *Hub) Tail(name string) (broker.Offset, bool) {
	if r := h.room(name); r != nil {
		return r.end()
	}
	return broker.Offset{}, false
}

// Wait waits for rooms that are being opened. It comes after the last Join has returned.
func (h *Hub) Wait() { h.opening.Wait() }

// Leave takes m out of the room. It does nothing where m is not in it.
func (h *Hub) Leave(name string, m Member) {
	if r := h.room(name); r != nil {
		r.leave(m)
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

// Publish stores and fans out publications, in their order.
func (h *Hub) Publish(ctx context.Context, pubs ...broker.Publication) []broker.Receipt {
	return h.broker.Publish(ctx, pubs...)
}

// Signal fans a signal out to everyone in the room but the connection that sent it.
func (h *Hub) Signal(name, sender, body string) { h.broker.Signal(name, sender, body) }

// History returns at most limit messages before an offset (zero: the newest), oldest first: of those as many as one packet
// can carry, so more may be true where the limit was not reached.
func (h *Hub) History(ctx context.Context, name string, before broker.Offset, limit int) (page List, more bool, err error) {
	page, more, err = h.read(ctx, name, before, limit)
	kept := page.fit()
	if len(kept) == 0 && len(page) > 0 {
		kept = page[len(page)-1:] // alone it may be longer than others together: who pages gets on
	}
	return kept, more || len(kept) < len(page), err
}

func (h *Hub) read(ctx context.Context, name string, before broker.Offset, limit int) (List, bool, error) {
	if r := h.room(name); r != nil {
		if page, more, ok := r.page(before, limit); ok {
			return page, more, nil
		}
	}
	page, more, err := h.broker.History(ctx, name, before, limit)
	return encodeAll(quote(name), page), more, err
}

// Members returns the JSON of a room's users, or the count alone where they are too many.
func (h *Hub) Members(ctx context.Context, name string) (users []string, count int, err error) {
	users, count, err = h.broker.Members(ctx, name, MaxMembers)
	if err == nil || !errors.Is(err, broker.ErrUnavailable) {
		return users, count, err
	}
	if r := h.room(name); r != nil {
		users, count = r.here()
		return users, count, nil
	}
	return nil, 0, err
}

// Drain says that all members are about to be closed: their leaving is announced by the broker's Close, all at once, so
// that whoever has come back over another relay by then never left.
func (h *Hub) Drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
}

func (h *Hub) isDraining() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.draining
}
