package relay

import (
	"context"
	"encoding/json"

	"setu/relay/broker"
)

// lobby is the namespace "/": whoever connects becomes somebody who may join rooms.
type lobby struct{ srv *Server }

// member is one connection to the lobby. It is the room.Member of all the rooms that it joins.
type member struct {
	*Conn

	// immutable after Connect
	srv  *Server
	id   string // names the connection to others: Socket.IO's sid
	user broker.User

	// owned by the client's worker
	rooms []string // joined; few, so a list is less than a map
}

// Connect implements Namespace.
func (l lobby) Connect(_ context.Context, c *Conn, auth json.RawMessage) (Events, error) {
	user, err := identify(auth)
	if err != nil {
		return nil, &ConnectError{codeBadRequest, err.Error()}
	}
	m := &member{Conn: c, srv: l.srv, id: publicID("socket", c.Session.ID()), user: user}
	c.Accept(m.id, "")
	m.Send(l.srv.welcome(user))
	return m, nil
}

// Left implements Events.
func (m *member) Left(bool) {
	for _, name := range m.rooms {
		m.srv.hub.Leave(name, m)
	}
}

// ID implements room.Member.
func (m *member) ID() string { return m.id }

// User implements room.Member.
func (m *member) User() broker.User { return m.user }
