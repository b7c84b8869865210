package broker

import (
	"context"
	"slices"
	"time"
)

// memorySession is a session in a Memory's keeping. All but b and key is guarded by b.mu.
type memorySession struct {
	b   *Memory
	key string

	id      string
	user    User
	keyed   bool
	data    string
	rooms   Memberships
	invalid bool
	owner   *memoryHandle // nil: released
	expires time.Time     // once released
}

// memoryHandle is one connection's handle: it does nothing once it is not the owner any more.
type memoryHandle struct {
	*memorySession
	fenced func()
}

// Keep implements Broker.
func (b *Memory) Keep(key string, s Session, fenced func()) SessionHandle {
	b.mu.Lock()
	defer b.mu.Unlock()
	kept := &memorySession{b: b, key: key, id: s.ID, user: s.User, keyed: s.Keyed, data: s.Data}
	for _, m := range s.Rooms {
		kept.rooms.Join(m)
	}
	h := &memoryHandle{kept, fenced}
	if !b.closed {
		kept.owner = h
		b.sessions[key] = kept
	}
	return h
}

// Resume implements Broker.
func (b *Memory) Resume(_ context.Context, key string, at Offset, fenced func()) (Resumed, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return Resumed{}, ErrClosed
	}
	s := b.session(key)
	if s == nil {
		return Resumed{}, ErrGone
	}
	if was := s.owner; was != nil {
		b.fences.Go(was.fenced)
	}
	s.owner = nil
	room, when, ok := b.vouch(s, at)
	if !ok {
		delete(b.sessions, key)
		return Resumed{}, ErrGone
	}
	s.owner = &memoryHandle{s, fenced}
	state := Session{ID: s.id, User: s.user, Keyed: s.keyed, Rooms: slices.Clone(s.rooms.Joined), Data: s.data}
	return Resumed{Session: state, Handle: s.owner, Room: room, At: when}, nil
}

// session returns what is kept under key, nil if that has expired. b.mu is held.
func (b *Memory) session(key string) *memorySession {
	s := b.sessions[key]
	if s != nil && s.owner == nil && !time.Now().Before(s.expires) {
		delete(b.sessions, key)
		return nil
	}
	return s
}

// vouch finds the message that at names in one of the session's rooms, or its successor if it was
// the last one that was let go of. b.mu is held.
func (b *Memory) vouch(s *memorySession, at Offset) (room string, when int64, ok bool) {
	if s.invalid || at.Epoch != b.epoch || at.Pos > b.pos {
		return "", 0, false
	}
	names := slices.Clone(s.rooms.Left)
	for _, m := range s.rooms.Joined {
		if m.Since.Epoch != b.epoch {
			return "", 0, false
		}
		names = append(names, m.Room)
	}
	if at.Seq == 0 {
		return "", at.At, true
	}
	for _, name := range names {
		if b.rooms[name] == nil {
			continue
		}
		messages := b.room(name).messages
		if i := slices.IndexFunc(messages, func(m Message) bool { return m.Pos == at.Pos }); i >= 0 {
			return name, messages[i].At, messages[i].Offset() == at
		}
		if len(messages) > 0 && messages[0].Seq > 1 && messages[0].Follows(at) {
			return name, 0, true
		}
	}
	return "", 0, false
}

// owned runs do if h is the owner.
func (h *memoryHandle) owned(do func(s *memorySession)) error {
	h.b.mu.Lock()
	defer h.b.mu.Unlock()
	if h.b.closed {
		return ErrClosed
	}
	if h.owner != h {
		return ErrGone
	}
	do(h.memorySession)
	return nil
}

// Join implements SessionHandle.
func (h *memoryHandle) Join(_ context.Context, m Membership) error {
	return h.owned(func(s *memorySession) { s.rooms.Join(m) })
}

// Leave implements SessionHandle.
func (h *memoryHandle) Leave(_ context.Context, room string) error {
	return h.owned(func(s *memorySession) { s.rooms.Leave(room) })
}

// IgnorePresence implements SessionHandle.
func (h *memoryHandle) IgnorePresence(room string) {
	h.owned(func(s *memorySession) { s.rooms.IgnorePresence(room) })
}

// SetData implements SessionHandle.
func (h *memoryHandle) SetData(data string) {
	h.owned(func(s *memorySession) { s.data = data })
}

// Invalidate implements SessionHandle.
func (h *memoryHandle) Invalidate(room string, since Offset) {
	h.owned(func(s *memorySession) {
		s.rooms.Move(room, since)
		s.invalid = true
	})
}

// Revalidate implements SessionHandle.
func (h *memoryHandle) Revalidate() { h.owned(func(s *memorySession) { s.invalid = false }) }

// End implements SessionHandle.
func (h *memoryHandle) End() {
	h.owned(func(s *memorySession) {
		s.owner = nil
		delete(s.b.sessions, s.key)
	})
}

// Release implements SessionHandle.
func (h *memoryHandle) Release() {
	h.owned(func(s *memorySession) { s.owner, s.expires = nil, time.Now().Add(s.b.limits.Recovery) })
}

// Peer implements Broker: there are no others.
func (b *Memory) Peer(context.Context, string) (Peer, error) { return Peer{}, ErrGone }

// Others implements Broker: there are none.
func (b *Memory) Others(context.Context) ([]Peer, error) { return nil, nil }

// Announced implements Broker: there is nobody who could find this relay.
func (b *Memory) Announced(context.Context) {}

// Drain implements Broker: there is nobody to tell.
func (b *Memory) Drain() {}

// Secret implements Broker.
func (b *Memory) Secret(context.Context) ([]byte, error) { return slices.Clone(b.secret), nil }
