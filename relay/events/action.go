package events

import (
	"context"
	"encoding/json"
	"slices"

	"setu/relay/broker"
	"setu/relay/metrics"
	"setu/relay/namespace"
	"setu/relay/room"
)

// What the application does about a connection: the server API, over all relays (order.go), and hooks,
// on a connection at hand. Its word counts: no right of the user's is looked at, and no limit but that
// of rooms.

// Emission is an event for clients that nobody stores.
type Emission struct {
	Event       string            `json:"event"`
	Args        []json.RawMessage `json:"args,omitempty"`
	Attachments [][]byte          `json:"attachments,omitempty"` // what placeholders in Args stand for
}

// payload writes the event's array. A client takes a string at the end of what it hears for an offset, so
// null comes after one.
func (e Emission) payload() []byte {
	name, _ := json.Marshal(e.Event) // a string
	out := append([]byte{'['}, name...)
	for _, a := range e.Args {
		out = append(append(out, ','), a...)
	}
	if out[len(out)-1] == '"' {
		out = append(out, ",null"...)
	}
	return append(out, ']')
}

// emit sends the client an event. It does not block.
func (c *connection) emit(payload []byte, attachments [][]byte) { c.Emit(payload, attachments...) }

// isGiven reports whether the application has put the client into a room.
func (c *connection) isGiven(name string) bool { return slices.Contains(c.given, name) }

// give puts the client into a room, whatever it may do, and tells it so by joined. It stays there, over
// recoveries and other tokens, until it leaves or is taken out. If it is there already it is told
// nothing. It is to be called on the client's worker.
func (c *connection) give(ctx context.Context, name string) error {
	if err := c.checkMaxRooms(name); err != nil {
		return err
	}
	was := c.isGiven(name)
	if !was {
		c.given = append(c.given, name)
	}
	if c.in(name) {
		if was {
			return nil
		}
		return c.session.Join(ctx, broker.Membership{Room: name, Presence: c.root.hub.HasPresence(name, c),
			Invisible: c.root.hub.IsInvisible(name, c), Given: true})
	}
	err := c.enterRoom(ctx, name, room.JoinOptions{}, func(j room.Joined) {
		c.EmitBypass(append(j.Append([]byte(`["joined",`), name, 0), ']'), j.Attachments()...)
	})
	if err != nil {
		c.given = slices.DeleteFunc(c.given, func(g string) bool { return g == name })
	}
	return err
}

// takeOut takes the client out of a room, and tells it so by left, if it was there. It is to be called on the
// client's worker.
func (c *connection) takeOut(ctx context.Context, name string) {
	if c.in(name) {
		c.leave(ctx, name)
		c.tellLeft([]string{name})
	}
}

// tellLeft tells the client of rooms that it has left without having asked for it.
func (c *connection) tellLeft(rooms []string) {
	c.Emit([]byte(`["left",{"rooms":` + namesText(rooms) + `}]`))
}

// expel takes the client out of the namespace, after which a stock client does not come back by itself.
// Its session ends with the connection. It does not block.
func (c *connection) expel() {
	c.banished.Store(true)
	c.Disconnect(namespace.Dismissed)
}

// SessionInfo is what the application is told of a session that is connected.
type SessionInfo struct {
	ID        string            `json:"id" doc:"Socket.IO's sid: socket.id in the client"`
	Relay     string            `json:"relay" doc:"RELAY_ID of the relay that it is connected to"`
	Region    string            `json:"region" doc:"REGION of that relay"`
	Transport metrics.Transport `json:"transport" enum:"websocket,polling"`
	Since     int64             `json:"since" doc:"when it connected, in milliseconds since 1970 by that relay's clock"`
}

func (c *connection) info() SessionInfo {
	by, _ := c.Conn.End()
	return SessionInfo{ID: c.id, Relay: c.root.relay, Region: c.root.region, Transport: by, Since: c.began.UnixMilli()}
}
