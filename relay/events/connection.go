package events

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"setu/relay/auth"
	"setu/relay/broker"
	"setu/relay/engineio"
	"setu/relay/limit"
	"setu/relay/metrics"
	"setu/relay/namespace"
	"setu/relay/room"
)

// connection is one client's connection to the root namespace. It is the room.Member of all the
// rooms that it joins.
type connection struct {
	*namespace.Conn
	root *Root

	// immutable once it is in a room
	began   time.Time
	id      string // names the connection to others: Socket.IO's sid
	session broker.SessionHandle
	forms   engineio.Form // in which it is sent messages
	moves   bool          // it is told of users that are at other places

	tokenUser string // whose its tokens are; empty: it has none. The app may call the user otherwise

	// owned by the client's worker
	rooms     []string    // joined; few, so a list takes less than a map
	given     []string    // of them, those in which the application has put it
	forbidden []string    // rooms of the session that it resumes in which it may not be any more
	limits    *limit.User // what the user may still do
	app       app

	user  atomic.Pointer[broker.User] // set before it is in a room; another connection may rename the user
	grant atomic.Pointer[auth.Grant]  // what it may do; set on connecting, and by each token that is brought later
	timer atomic.Pointer[time.Timer]  // until it is asked for another token, or closed for want of one

	banished atomic.Bool // it was revoked: nobody goes on with its session

	invalid atomic.Bool // it was told of a gap, and has not shown yet that it heard
}

// newID returns an id that nobody can guess: 26 characters, 130 bits of crypto/rand.
func newID() string { return strings.ToLower(rand.Text()) }

// start makes c the connection of a new session, which has this pid. An error means that the user may have
// no more, or that the client is to come back: it can't be in the lobby now.
func (c *connection) start(ctx context.Context, who identity, pid string) error {
	c.id = socketID(pid)
	c.Rename(who.user)
	if err := c.enterUser(); err != nil {
		return err
	}
	c.session = c.root.store.Keep(sessionKey(pid), broker.Session{ID: c.id, User: who.user, Keyed: who.keyed}, c.fenced)
	c.Hold()
	defer c.Release()
	joined, err := c.enterRooms(ctx, who, false)
	if err != nil {
		c.TakeHeld()
		_ = c.giveUp(nil)
		return fmt.Errorf("%w: %w", namespace.ErrComeBack, err)
	}
	head := c.root.store.Head()
	text, attachments := c.welcomeText(joined)
	welcome := c.root.welcome(c.User(), head.Epoch, head.String(), text, attachments...)
	c.root.register(c, func() { c.AcceptBypass(c.id, pid, welcome) })
	return nil
}

// socketID is what others know a new session by. It follows from the pid, so that a session which was
// revoked is known when its client comes back, whether or not it is stored any more.
func socketID(pid string) string { return publicID("socket", pid) }

// sessionKey is what the broker knows a session by: the pid is the client's secret.
func sessionKey(pid string) string { return publicID("pid", pid) }

// fenced is called when another connection has resumed this session. A client that is still there
// must not come back for it, or the two would take it from each other for ever.
func (c *connection) fenced() { c.Disconnect(namespace.Replaced) }

// Left implements namespace.Handler. A client that was cut off comes back in a moment: nobody is to see it
// leave, and the store is not to be told of either.
func (c *connection) Left(goodbye bool) {
	c.root.unregister(c)
	c.stopTimer()
	c.leaveUser()
	c.root.online.leave(c.User().ID)
	leave := c.root.hub.Leave
	if !goodbye && c.isExpectedBack() {
		leave = c.root.hub.LeaveForNow
	}
	for _, name := range c.rooms {
		leave(name, c)
	}
	c.logEnd(goodbye)
	if goodbye || c.banished.Load() {
		c.session.End()
	} else {
		c.session.Release()
	}
}

// isExpectedBack reports whether a client that is gone was cut off, and may be back in a moment: it has not
// closed its connection, and was not sent away for anything of its own.
func (c *connection) isExpectedBack() bool {
	_, why := c.Conn.End()
	return !c.banished.Load() && why != metrics.CloseClient && why != metrics.CloseSlow
}

// logEnd writes the one line that a connection's life is worth.
func (c *connection) logEnd(goodbye bool) {
	by, why := c.Conn.End()
	if goodbye {
		why = metrics.CloseClient
	}
	c.root.log.Info("a session ended", "user", c.User().ID, "session", c.id, "relay", c.root.relay, "transport", by, "why", why,
		"seconds", int(time.Since(c.began).Seconds()))
}

// ID implements room.Member.
func (c *connection) ID() string { return c.id }

// User implements room.Member.
func (c *connection) User() broker.User { return *c.user.Load() }

// HearsMoves implements room.Member.
func (c *connection) HearsMoves() bool { return c.moves }

// Rename implements room.Member. What the client publishes from now on is by the new name. The
// session that the broker keeps has the name of its CONNECT all the same: a client states its name
// again when it resumes, and the newest CONNECT wins. The connection stays where it is.
func (c *connection) Rename(u broker.User) {
	u.Place = c.root.place
	c.user.Store(&u)
}

// Send implements room.Member.
func (c *connection) Send(f *engineio.Frame) bool {
	if r, ok := f.Tag().(*room.Reset); ok {
		c.invalidate(r)
	}
	return c.Conn.Send(f.In(c.forms))
}

// SendBypass is Send for what goes before all that is held.
func (c *connection) SendBypass(f *engineio.Frame) bool { return c.Conn.SendBypass(f.In(c.forms)) }

// invalidate notes that the client is told of a gap. If the connection ends before the client has
// heard of it, nobody can tell what it misses: the session can't be resumed until it has shown, by a
// pong, that it did.
func (c *connection) invalidate(r *room.Reset) {
	c.invalid.Store(true)
	c.session.Invalidate(r.Room, r.Tail)
	c.OnPong(c.revalidate)
}

func (c *connection) revalidate() {
	c.invalid.Store(false)
	c.session.Revalidate()
}

// Release ends a hold. A reset that was held is only on its way from now on.
func (c *connection) Release() {
	c.Conn.Release()
	if c.invalid.Load() {
		c.OnPong(c.revalidate)
	}
}

// in reports whether this connection is in a room.
func (c *connection) in(name string) bool { return slices.Contains(c.rooms, name) }
