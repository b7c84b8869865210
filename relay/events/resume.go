package events

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

// Connection state recovery, as stock clients know it: a client that was cut off connects again, to
// any relay, with the pid that it was given and the offset of the last event that it heard.
// Everything that it missed, in all of its rooms, is sent before the CONNECT that says so; if that
// can't be had whole, it is connected as somebody new.
//
// The offset names a message, which vouches for all before it: so each room is asked for what came
// after that position, and not before the room was joined.

const (
	resumeTimeout = 10 * time.Second // for finding all that was missed
	resumeAtOnce  = 16               // rooms that are entered at a time
)

// resume makes c go on with a session. It reports false if that can't be done, and then c is as
// before.
func (c *connection) resume(ctx context.Context, who identity) bool {
	at, err := broker.ParseOffset(who.offset)
	if err != nil {
		return false
	}
	found, cancel := context.WithTimeout(ctx, resumeTimeout)
	defer cancel()
	was, err := c.root.store.Resume(found, sessionKey(who.pid), at, c.fenced)
	if err != nil {
		return false
	}
	c.session, c.id = was.Handle, was.ID
	user, same := who.resumes(was.Session)
	if !same {
		c.session.End()
		return false
	}
	c.Rename(user)
	if c.root.store.Reach(found, at) != nil { // the relay before this one may have been a moment ahead
		c.session.End()
		return false
	}
	c.Hold()
	missed, whole := c.enterAll(found, was, at)
	if !whole || !c.caughtUp(found, at.Epoch, missed) || !c.replay(ctx, who.pid, missed) {
		c.giveUp()
		return false
	}
	return true
}

// giveUp undoes what resume has done.
func (c *connection) giveUp() {
	for _, name := range c.rooms {
		c.root.hub.Leave(name, c)
	}
	c.rooms = nil
	c.invalid.Store(false)
	c.session.End()
	c.TakeHeld()
	c.Release()
}

// missed is what a client has not heard, in no order, and who is in the rooms of which it wants to
// know.
type missed struct {
	mu       sync.Mutex // guards what follows
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

// enterAll enters all rooms, some at a time, and collects what was missed in them; whole reports
// that nothing else was. What the rooms send from then on is held.
func (c *connection) enterAll(ctx context.Context, was broker.Resumed, at broker.Offset) (a *missed, whole bool) {
	a = &missed{}
	for _, j := range was.Rooms { // leaving one that was not entered does nothing
		c.rooms = append(c.rooms, j.Room)
	}
	slots := make(chan struct{}, resumeAtOnce)
	var all sync.WaitGroup
	for _, j := range was.Rooms {
		slots <- struct{}{}
		if a.failed() {
			break
		}
		all.Go(func() {
			defer func() { <-slots }()
			o := room.JoinOptions{HasSince: true, Since: since(j, was, at), Presence: j.Presence, Replay: true}
			if c.root.hub.Join(ctx, j.Room, c, o, func(r room.Joined) { a.add(j.Room, j.Presence, r) }) != nil {
				a.fail()
			}
		})
	}
	all.Wait()
	return a, !a.lost
}

// caughtUp waits until all rooms are as far as the one that was read last: a client that has a
// message has all before it.
func (c *connection) caughtUp(ctx context.Context, epoch string, a *missed) bool {
	last := uint64(0)
	for _, f := range a.messages {
		last = max(last, f.Pos())
	}
	return last == 0 || c.root.store.Reach(ctx, broker.Offset{Epoch: epoch, Pos: last}) == nil
}

// since is what the client has of a room: all up to the offset, or, if it joined after that, up to
// where it joined.
func since(j broker.Membership, was broker.Resumed, at broker.Offset) broker.Offset {
	switch {
	case j.Room == was.Room:
		return at
	case j.Since.Pos >= at.Pos:
		return j.Since
	}
	return broker.Offset{Epoch: at.Epoch, Pos: at.Pos, At: was.At}
}

// replay sends what was missed, in the order in which it was stored, and then the CONNECT. What the
// rooms have sent meanwhile comes in its place. It reports false if one of them had to be reset:
// nothing has been sent then.
func (c *connection) replay(ctx context.Context, pid string, a *missed) bool {
	head := c.root.store.Head() // all up to here has been missed, or is held
	late := a.presence
	for _, f := range c.TakeHeld() {
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
		if !c.WaitLowWater(ctx) || !c.SendBypass(f) {
			return true // the session ends
		}
	}
	c.AcceptBypass(c.id, pid)
	rooms, _ := json.Marshal(c.rooms) // strings
	c.SendBypass(c.root.welcome(c.User(), head, string(rooms)))
	for _, f := range late {
		c.SendBypass(f)
	}
	c.Release()
	return true
}
