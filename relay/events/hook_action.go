package events

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"

	"setu/relay/auth"
	"setu/relay/broker"
	"setu/relay/hook"
	"setu/relay/room"
)

// authRooms is what somebody may do in which rooms.
type authRooms = auth.Rooms

// apply does what the app has answered: what it keeps, what the client may do, rooms to leave and to be in,
// events. An error is a fault: some of it may have been done. If the same is asked again, under the same id,
// what was stored is not stored twice.
func (c *connection) apply(ctx context.Context, r hook.Request, reply *hook.Reply) error {
	if reply == nil {
		return nil
	}
	if c.roomsAfter(reply) > c.root.maxRooms {
		return c.root.tooManyRooms()
	}
	c.keep(reply.Data)
	if reply.Rights != nil {
		c.setRights(*reply.Rights)
	}
	for _, name := range reply.Leave {
		c.takeOut(ctx, name)
	}
	for _, names := range [][]string{reply.Rooms, reply.Join} {
		for _, name := range names {
			if err := c.give(ctx, name); err != nil {
				return err
			}
		}
	}
	return c.emitAll(ctx, r.ID, reply.Emit)
}

// roomsAfter returns in how many rooms the session is once the app's answer is done.
func (c *connection) roomsAfter(reply *hook.Reply) int {
	if len(c.rooms)+len(reply.Rooms)+len(reply.Join) <= c.root.maxRooms {
		return 0 // mostly: they are not looked at
	}
	in := map[string]bool{}
	for _, name := range c.rooms {
		in[name] = reply.Rights == nil || c.isGiven(name) || mayStay(reply.Rights.Of(name), c.root.hub.IsInvisible(name, c))
	}
	for _, name := range reply.Leave {
		in[name] = false
	}
	for _, name := range append(slices.Clone(reply.Rooms), reply.Join...) {
		in[name] = true
	}
	n := 0
	for _, is := range in {
		if is {
			n++
		}
	}
	return n
}

// finish does what comes last: the client is sent away, if the app says so.
func (c *connection) finish(reply *hook.Reply) {
	if reply != nil && reply.End {
		c.expel()
	}
}

// keep keeps what the app says with the session. Nil: it has said nothing; null: what was kept goes.
func (c *connection) keep(data json.RawMessage) {
	switch {
	case data == nil:
		return
	case string(data) == "null":
		data = nil
	}
	c.app.data = data
	c.session.SetData(string(data))
}

// setRights changes what the client may do: rooms in which it may not be any more are left.
func (c *connection) setRights(rooms auth.Rooms) {
	c.app.rights = &rooms
	g := *c.grant.Load()
	g.Rooms = rooms
	c.grant.Store(&g)
	c.watchExpiry(&g) // who watches knows the token by the grant
	if left := c.leaveForbidden(); len(left) > 0 {
		c.tellLeft(left)
	}
}

// emitAll sends what the app has said, in that order. What is stored in rooms goes out in few trips.
func (c *connection) emitAll(ctx context.Context, id string, all []hook.Emission) error {
	var pubs []broker.Publication
	for i, e := range all {
		if e.Stored {
			p, err := c.storedEmission(id+"."+strconv.Itoa(i), e)
			if err != nil {
				return err
			}
			pubs = append(pubs, p)
			continue
		}
		if err := c.storeAll(ctx, pubs); err != nil {
			return err
		}
		pubs = nil
		if err := c.emitOne(e); err != nil {
			return err
		}
	}
	return c.storeAll(ctx, pubs)
}

func (c *connection) storeAll(ctx context.Context, pubs []broker.Publication) error {
	if len(pubs) == 0 {
		return nil
	}
	for _, rc := range c.root.hub.Publish(ctx, pubs...) {
		if rc.Err != nil {
			return rc.Err
		}
	}
	return nil
}

func (c *connection) storedEmission(id string, e hook.Emission) (p broker.Publication, err error) {
	p = broker.Publication{Room: e.Room, User: c.User().ID, ID: id}
	event := room.Event{Name: e.Event, Args: e.Args.Values}
	if e.Self != nil && !*e.Self {
		event.Except = c.id
	}
	p.Body, err = room.EventBody(id, c.User(), event, e.Args.Attachments...)
	return p, err
}

// emitOne sends an event that nobody stores. To others it may be lost.
func (c *connection) emitOne(e hook.Emission) error {
	out := Emission{Event: e.Event, Args: e.Args.Values, Attachments: e.Args.Attachments}
	switch {
	case e.Room != "":
		body, err := room.EventSignalBody(c.User(), room.Event{Name: e.Event, Args: e.Args.Values}, e.Args.Attachments...)
		if err != nil {
			return err
		}
		sender := "" // nobody: all hear it
		if e.Self != nil && !*e.Self {
			sender = c.id
		}
		c.root.hub.Signal(e.Room, sender, body)
	case e.User != "" || e.Session != "" && e.Session != c.id:
		_ = c.root.Emit(Target{User: e.User, Session: e.Session}, out)
	default:
		c.emit(out.payload(), out.Attachments)
	}
	return nil
}
