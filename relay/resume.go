package relay

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"setu/relay/broker"
	"setu/relay/engineio"
	"setu/relay/room"
)

// Connection state recovery, as stock clients know it: a client that was cut off connects again, to any relay, with the pid
// that it was given and the offset of the last event that it heard. Everything that it missed, in all of its rooms, is sent
// before the CONNECT that tells it so; where that can't be had whole, it is connected as somebody new.
//
// The offset names a message, which vouches for all before it: so each room is asked for what came after that position, and not
// before the room was joined.

const (
	resumeTimeout = 10 * time.Second // for finding all that was missed
	resumeAtOnce  = 16               // rooms that are entered at a time
)

// resume makes m go on with a session; false where that can't be done, and m is as before.
func (m *member) resume(ctx context.Context, who identity) bool {
	at, err := broker.ParseOffset(who.offset)
	if err != nil {
		return false
	}
	found, cancel := context.WithTimeout(ctx, resumeTimeout)
	defer cancel()
	was, err := m.srv.broker.Resume(found, keptKey(who.pid), at, m.fenced)
	if err != nil {
		return false
	}
	m.kept, m.id = was.Handle, was.ID
	var same bool
	if m.user, same = who.resumes(was.Session); !same {
		m.kept.End()
		return false
	}
	if m.srv.broker.Reach(found, at) != nil { // the relay before this one may have been a moment ahead
		m.kept.End()
		return false
	}
	m.out.hold()
	missed, whole := m.enterAll(found, was, at)
	if !whole || !m.caughtUp(found, at.Epoch, missed) || !m.replay(ctx, who.pid, missed) {
		m.giveUp()
		return false
	}
	return true
}

// giveUp undoes what resume has done.
func (m *member) giveUp() {
	for _, name := range m.rooms {
		m.srv.hub.Leave(name, m)
	}
	m.rooms = nil
	m.void.Store(false)
	m.kept.End()
	m.out.takeHeld()
	m.release()
}

// missed is what a client has not heard, in no order, and who is in the rooms where it wants to know.
type missed struct {
	mu       sync.Mutex
	messages []*engineio.Frame
	presence []*engineio.Frame
	bytes    int
	lost     bool
}

func (a *missed) add(name string, presence bool, j room.Joined) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range j.Frames() {
		a.bytes += f.Size()
		a.messages = append(a.messages, f)
	}
	if presence {
		a.presence = append(a.presence, j.Presence(name))
	}
	if !j.Recovered || a.bytes > room.MaxReplay {
		a.lost = true
	}
}

func (a *missed) fail() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lost = true
}

func (a *missed) failed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lost
}

// enterAll enters all rooms, some at a time, and collects what was missed in them; whole tells that nothing else was. What the
// rooms send from then on is held.
func (m *member) enterAll(ctx context.Context, was broker.Resumed, at broker.Offset) (a *missed, whole bool) {
	a = &missed{}
	for _, j := range was.Rooms { // where they are not entered, leaving them does nothing
		m.rooms = append(m.rooms, j.Room)
	}
	places := make(chan struct{}, resumeAtOnce)
	var all sync.WaitGroup
	for _, j := range was.Rooms {
		places <- struct{}{}
		if a.failed() {
			break
		}
		all.Go(func() {
			defer func() { <-places }()
			o := room.JoinOptions{HasSince: true, Since: since(j, was, at), Presence: j.Presence, Replay: true}
			if m.srv.hub.Join(ctx, j.Room, m, o, func(r room.Joined) { a.add(j.Room, j.Presence, r) }) != nil {
				a.fail()
			}
		})
	}
	all.Wait()
	return a, !a.lost
}

// caughtUp waits until all rooms are as far as the one that was read last: whoever has a message has all before it.
func (m *member) caughtUp(ctx context.Context, epoch string, a *missed) bool {
	last := uint64(0)
	for _, f := range a.messages {
		last = max(last, f.Pos())
	}
	return last == 0 || m.srv.broker.Reach(ctx, broker.Offset{Epoch: epoch, Pos: last}) == nil
}

// since is what the client has of a room: all up to the offset, or, where it joined after that, up to where it joined.
func since(j broker.Membership, was broker.Resumed, at broker.Offset) broker.Offset {
	switch {
	case j.Room == was.Room:
		return at
	case j.Since.Pos >= at.Pos:
		return j.Since
	}
	return broker.Offset{Epoch: at.Epoch, Pos: at.Pos, At: was.At}
}

// replay sends what was missed, in the order in which it was stored, and then the CONNECT. What the rooms have sent meanwhile
// comes where it belongs. It is false where one of them had to be reset: nothing has been sent then.
func (m *member) replay(ctx context.Context, pid string, a *missed) bool {
	head := m.srv.broker.Head() // all up to here has been missed, or is held
	late := a.presence
	for _, f := range m.out.takeHeld() {
		switch {
		case f.Tag() != nil:
			return false
		case f.Pos() > 0:
			a.messages = append(a.messages, f)
		default:
			late = append(late, f)
		}
	}
	slices.SortFunc(a.messages, func(x, y *engineio.Frame) int { return cmp.Compare(x.Pos(), y.Pos()) })
	for _, f := range a.messages {
		head.Pos = max(head.Pos, f.Pos()) // what is held came in its order
		if !m.WaitLull(ctx) || !m.SendAhead(f) {
			return true // the session ends
		}
	}
	m.SendAhead(m.accepted(m.id, pid))
	rooms, _ := json.Marshal(m.rooms) // strings
	m.SendAhead(m.srv.welcome(m.user, head, string(rooms)))
	for _, f := range late {
		m.SendAhead(f)
	}
	m.release()
	return true
}
