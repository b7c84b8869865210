package relay

import (
	"context"
	"encoding/json"
	"slices"
	"sync/atomic"

	"setu/relay/broker"
	"setu/relay/engineio"
	"setu/relay/room"
	"setu/relay/socketio"
)

// lobby is the namespace "/": whoever connects becomes somebody who may join rooms.
type lobby struct{ srv *Server }

// member is one connection to the lobby. It is the room.Member of all the rooms that it joins.
type member struct {
	*Conn
	srv *Server

	// immutable once it is in a room
	id   string // names the connection to others: Socket.IO's sid
	user broker.User
	kept broker.SessionHandle

	// owned by the caller's worker
	rooms []string // joined; few, so a list is less than a map

	void atomic.Bool // told of a gap, and has not shown yet that it heard of it
}

// Connect implements Namespace.
func (l lobby) Connect(ctx context.Context, c *Conn, auth json.RawMessage) (Events, error) {
	who, err := identify(auth)
	if err != nil {
		return nil, &ConnectError{codeBadRequest, err.Error()}
	}
	m := &member{Conn: c, srv: l.srv}
	if who.pid == "" || !m.resume(ctx, who) {
		m.start(who)
	}
	return m, nil
}

// start makes somebody new of m.
func (m *member) start(who identity) {
	m.id, m.user = publicID("socket", m.Session.ID()), who.user
	pid := newID()
	m.kept = m.srv.broker.Keep(keptKey(pid), broker.Session{ID: m.id, User: m.user, Keyed: who.keyed}, m.fenced)
	m.Accept(m.id, pid)
	m.Send(m.srv.welcome(m.user, m.srv.broker.Head(), ""))
}

// keptKey is what the broker knows a session by: the pid is the client's secret.
func keptKey(pid string) string { return publicID("pid", pid) }

// fenced is called when another connection has resumed this session. A client that is still there must not come back for it,
// or the two would take it from each other for ever.
func (m *member) fenced() {
	m.SendAhead(m.frame(socketio.Packet{Type: socketio.Disconnect}))
	m.close(closeNormal, "another connection has resumed this session", false)
}

// Left implements Events.
func (m *member) Left(bye bool) {
	for _, name := range m.rooms {
		m.srv.hub.Leave(name, m)
	}
	if bye {
		m.kept.End()
	} else {
		m.kept.Release()
	}
}

// ID implements room.Member.
func (m *member) ID() string { return m.id }

// User implements room.Member.
func (m *member) User() broker.User { return m.user }

// Send implements room.Member.
func (m *member) Send(f *engineio.Frame) bool {
	if r, ok := f.Tag().(*room.Reset); ok {
		m.reset(r)
	}
	return m.Session.Send(f)
}

// reset notes that the client has been told of a gap. Should the connection end before it has heard of it, nobody could tell
// what it misses: until it has shown that it did, by a pong, the session can't be resumed.
func (m *member) reset(r *room.Reset) {
	m.void.Store(true)
	m.kept.Invalidate(r.Room, r.Tail)
	m.heart.settle(m.renew)
}

func (m *member) renew() {
	m.void.Store(false)
	m.kept.Revalidate()
}

// release ends a hold. A reset that was held is on its way from now on only.
func (m *member) release() {
	m.out.release()
	if m.void.Load() {
		m.heart.settle(m.renew)
	}
}

// in tells whether this connection is in a room.
func (m *member) in(name string) bool { return slices.Contains(m.rooms, name) }
