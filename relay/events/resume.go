package events

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"setu/relay/auth"
	"setu/relay/broker"
	"setu/relay/engineio"
	"setu/relay/namespace"
	"setu/relay/room"
)

// Connection state recovery, as stock clients know it: a client that was cut off connects again, to
// any relay, with the pid that it was given and the offset of the last event that it heard.
// Everything that it missed, in all of its rooms, is sent before the CONNECT that says so; if that
// can't be had whole, it is connected as somebody new.
//
// The offset names a message, which vouches for all before it: so each room is asked for what came
// after that position, and not before the room was joined.

// Where it can't be known what the client has missed, since the store does not answer or this relay is
// behind, it is tried again for a while; then the client is sent away, to come back by itself with the
// same pid and offset. That nothing can be recovered is said only if it is so.

const (
	resumeTimeout = 10 * time.Second // for finding all that was missed
	resumePause   = time.Second      // between tries, about
	resumeAtOnce  = 16               // rooms that are entered at a time
)

// resume makes c go on with a session. It reports false if that can't be done, and then c is as
// before. An error means that it can't be known now or, if it is a namespace.ConnectError, that the
// client is refused: the session stays.
func (c *connection) resume(ctx context.Context, who identity) (resumed bool, err error) {
	at, err := broker.ParseOffset(who.offset)
	if err != nil {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, resumeTimeout)
	defer cancel()
	for began := time.Now(); ; {
		resumed, err := c.tryResume(ctx, who, at)
		if c.isFinal(err, time.Since(began)) {
			return resumed, err
		}
		select {
		case <-time.After(resumePause/2 + rand.N(resumePause)):
		case <-ctx.Done():
			return false, fmt.Errorf("%w: %w", namespace.ErrComeBack, err)
		}
	}
}

// tryResume is one try. If it fails, the session stays for another.
func (c *connection) tryResume(ctx context.Context, who identity, at broker.Offset) (resumed bool, err error) {
	was, err := c.root.store.Resume(ctx, sessionKey(who.pid), at, c.fenced)
	if err != nil {
		return false, unlessGone(err)
	}
	c.session, c.id = was.Handle, was.ID
	if was.Data != "" {
		c.app.data = json.RawMessage(was.Data)
	}
	user, same := who.resumes(was.Session)
	if !same {
		c.session.End()
		return false, nil
	}
	if _, revoked := c.root.revoked(user.ID, was.ID, who.grant); revoked { // a guest without a key, or since it was looked up
		f := revokedFault()
		return false, c.giveUp(&namespace.ConnectError{Code: f.Code, Message: f.Message})
	}
	c.Rename(user)
	was.Rooms, c.forbidden = c.allowed(was.Rooms)
	if err := c.enterUser(); err != nil {
		return false, c.giveUp(err)
	}
	if err := c.root.store.Reach(ctx, at); err != nil { // the relay before this one may have been a moment ahead
		return false, c.giveUp(unlessGone(err))
	}
	c.Hold()
	missed, err := c.enterAll(ctx, was, at)
	if err == nil && !missed.lost {
		err = c.catchUp(ctx, at.Epoch, missed)
	}
	if err != nil || missed.lost || !c.replay(ctx, who, missed) {
		err = c.giveUp(unlessGone(err))
		c.TakeHeld()
		c.Release()
		return false, err
	}
	return true, nil
}

// unlessGone returns err, or nil if it says for good that something is gone.
func unlessGone(err error) error {
	if errors.Is(err, broker.ErrGone) || errors.Is(err, broker.ErrGap) {
		return nil
	}
	return err
}

// giveUp undoes what tryResume has done, and returns why: nil if nothing is left of the session.
func (c *connection) giveUp(why error) error {
	leave := c.root.hub.LeaveForNow
	if why == nil {
		leave = c.root.hub.Leave
	}
	for _, name := range c.rooms {
		leave(name, c)
	}
	c.rooms, c.given, c.forbidden = nil, nil, nil
	c.leaveUser()
	c.invalid.Store(false)
	if why == nil {
		c.session.End()
	} else {
		c.session.Release()
	}
	return why
}

// allowed returns those of a session's rooms in which the client may be by the rights that it has now,
// and the names of the others.
func (c *connection) allowed(rooms []broker.Membership) (may []broker.Membership, not []string) {
	for _, m := range rooms {
		rights := c.grant.Load().Rooms.Of(m.Room)
		if m.Given {
			c.given = append(c.given, m.Room)
		} else if !mayStay(rights, m.Invisible) {
			not = append(not, m.Room)
			continue
		}
		m.Presence = m.Presence && rights&auth.Members != 0
		may = append(may, m)
	}
	return may, not
}

// leaveResumed has the session let go of what the client may not have any more.
func (c *connection) leaveResumed() {
	for _, name := range c.forbidden {
		_ = c.session.Leave(ended, name)
	}
	for _, name := range c.rooms {
		if c.may(name, auth.Members) != nil {
			c.session.IgnorePresence(name)
		}
	}
}

// recovered is what the welcome says of a session that goes on: the rooms that the client is in again,
// and those that it may not be in any more.
func (c *connection) recovered() string {
	text := `,"recovered":true,"rooms":` + namesText(c.rooms)
	if len(c.forbidden) > 0 {
		text += `,"left":` + namesText(c.forbidden)
	}
	return text
}

// namesText returns names as JSON: a list, also of none.
func namesText(names []string) string {
	if len(names) == 0 {
		return "[]"
	}
	text, _ := json.Marshal(names) // strings
	return string(text)
}

// nameText returns a name as JSON.
func nameText(name string) string {
	text, _ := json.Marshal(name) // a string
	return string(text)
}

// missed is what a client has not heard, in no order, and who is in the rooms of which it wants to
// know.
type missed struct {
	mu       sync.Mutex // guards what follows
	messages []*engineio.Frame
	presence []*engineio.Frame
	bytes    int
	lost     bool  // something is not there any more
	err      error // it can't be known
}

func (a *missed) add(name string, presence bool, j room.Joined) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range j.Frames() {
		a.bytes += f.Size()
		a.messages = append(a.messages, f)
	}
	if presence && !j.Partial { // the client has a list, and gets another
		a.presence = append(a.presence, j.Presence(name))
	}
	if !j.Recovered || a.bytes > room.MaxReplay {
		a.lost = true
	}
}

func (a *missed) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
}

func (a *missed) failed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.lost || a.err != nil
}

// enterAll enters all rooms, some at a time, and collects what was missed in them. What the rooms
// send from then on is held.
func (c *connection) enterAll(ctx context.Context, was broker.Resumed, at broker.Offset) (a *missed, err error) {
	a = &missed{}
	for _, j := range was.Rooms { // leaving one that was not entered does nothing
		c.rooms = append(c.rooms, j.Room)
	}
	slots := make(chan struct{}, resumeAtOnce)
	var all sync.WaitGroup
	for i, j := range was.Rooms {
		if i == len(was.Rooms)-1 { // mostly the only one
			c.reenter(ctx, was, j, at, a)
			break
		}
		slots <- struct{}{}
		if a.failed() {
			break
		}
		all.Go(func() {
			defer func() { <-slots }()
			c.reenter(ctx, was, j, at, a)
		})
	}
	all.Wait()
	return a, a.err
}

// reenter enters one room.
func (c *connection) reenter(ctx context.Context, was broker.Resumed, j broker.Membership, at broker.Offset, a *missed) {
	o := room.JoinOptions{HasSince: true, Presence: j.Presence, Invisible: j.Invisible, Replay: true}
	o.Since, o.Vouched = since(j, was, at)
	err := c.root.hub.Join(ctx, j.Room, c, o, func(r room.Joined) { a.add(j.Room, j.Presence, r) })
	if err != nil {
		a.fail(err)
	}
}

// catchUp waits until all rooms are as far as the one that was read last: a client that has a
// message has all before it.
func (c *connection) catchUp(ctx context.Context, epoch string, a *missed) error {
	last := uint64(0)
	for _, f := range a.messages {
		last = max(last, f.Pos())
	}
	if last == 0 {
		return nil
	}
	err := c.root.store.Reach(ctx, broker.Offset{Epoch: epoch, Pos: last})
	a.lost = errors.Is(err, broker.ErrGap)
	return err
}

// since is what the client has of a room: all up to the message that it had last, which vouches for
// all before it, or, if it joined after that, up to where it joined: also of the room of that message,
// which it may have left meanwhile. A client that has had no message yet has of each room what it was
// told on joining.
func since(j broker.Membership, was broker.Resumed, at broker.Offset) (since broker.Offset, vouched bool) {
	switch {
	case at.Seq == 0 || j.Since.Pos > at.Pos || j.Since.Pos == at.Pos && j.Room != was.Room:
		return j.Since, false
	case j.Room == was.Room:
		return at, false
	}
	return broker.Offset{Epoch: at.Epoch, Pos: at.Pos, At: was.At}, true
}

// replay sends what was missed, in the order in which it was stored, and then the CONNECT. What the
// rooms have sent meanwhile comes in its place. It reports false if one of them had to be reset:
// nothing has been sent then. The welcome ends with the newest message that the client has by then.
func (c *connection) replay(ctx context.Context, who identity, a *missed) bool {
	newest := who.offset
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
		newest = room.FrameOffset(f)
		if !c.WaitLowWater(ctx) || !c.SendBypass(f) {
			return true // the session ends
		}
	}
	c.root.register(c, func() { c.AcceptBypass(c.id, who.pid) })
	c.leaveResumed()
	more := []byte(c.recovered())
	joined, err := c.enterRooms(ctx, who, true)
	if err != nil {
		c.Close(namespace.ComeBack) // its session stays as it is
	}
	text, attachments := c.welcomeText(joined)
	c.SendBypass(c.root.welcome(c.User(), c.root.store.Head().Epoch, newest, append(more, text...), attachments...))
	for _, f := range late {
		c.SendBypass(f)
	}
	c.Release()
	return true
}
