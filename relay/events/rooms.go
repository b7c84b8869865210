package events

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"setu/relay/auth"
	"setu/relay/broker"
	"setu/relay/metrics"
	"setu/relay/namespace"
	"setu/relay/room"
)

type joinRequest struct {
	Room      string  `json:"room"`
	Since     *string `json:"since"`
	History   int     `json:"history"`
	Presence  bool    `json:"presence"`
	Invisible *bool   `json:"invisible"`
}

// wants returns the rights that the request takes.
func (in joinRequest) wants() []auth.Rights {
	rights := []auth.Rights{auth.Join}
	if in.Since != nil || in.History > 0 {
		rights = append(rights, auth.History)
	}
	if in.Presence {
		rights = append(rights, auth.Members)
	}
	if in.Invisible != nil && *in.Invisible {
		rights = append(rights, auth.Invisible)
	}
	return rights
}

func join(ctx context.Context, c *connection, e namespace.Event) error {
	var in joinRequest
	if err := decodeName(e, &in, &in.Room); err != nil {
		return err
	}
	o, err := c.joinOptions(in)
	if err != nil {
		return err
	}
	if err := c.checkMaxRooms(in.Room); err != nil {
		return err
	}
	if err := c.askJoin(ctx, in.Room); err != nil {
		return err
	}
	return c.join(ctx, e, in.Room, o)
}

func (root *Root) tooManyRooms() *fault {
	return &fault{Code: codeTooLarge, Message: "a connection may be in " + strconv.Itoa(root.maxRooms) + " rooms at a time"}
}

// joinOptions checks a join, and whether the client may do that.
func (c *connection) joinOptions(in joinRequest) (o room.JoinOptions, err error) {
	if in.History < 0 {
		return o, badRequest("history must not be negative")
	}
	if err := c.may(in.Room, in.wants()...); err != nil {
		return o, err
	}
	o = room.JoinOptions{History: min(in.History, maxPage), Presence: in.Presence}
	if o.Invisible, err = c.visibility(in); err != nil {
		return o, err
	}
	if in.Since != nil {
		o.HasSince = true
		if o.Since, err = broker.ParseOffset(*in.Since); err != nil {
			return o, badRequest("since must be an offset that a relay gave out")
		}
	}
	return o, nil
}

// checkMaxRooms returns an error if the client can't be in one more room.
func (c *connection) checkMaxRooms(name string) error {
	if len(c.rooms) >= c.root.maxRooms && !c.in(name) {
		return c.root.tooManyRooms()
	}
	return nil
}

// visibility reports whether the client is to be in a room invisibly. A join of a room that it is in
// already leaves that as it is: others have been told that the client is there, or have not.
func (c *connection) visibility(in joinRequest) (invisible bool, err error) {
	asked := in.Invisible != nil && *in.Invisible
	if !c.in(in.Room) {
		return asked, nil
	}
	is := c.root.hub.IsInvisible(in.Room, c)
	if in.Invisible != nil && asked != is {
		return is, badRequest("join: invisible can't change while you are in the room: leave it first")
	}
	return is, nil
}

// join enters a room. What comes meanwhile, of any room, is held until the answer is on its way,
// which says where the room stood: the broker knows it before the client does. A client that joins
// again is sent the room's messages already, and has them before the answer that holds them, too.
func (c *connection) join(ctx context.Context, e namespace.Event, name string, o room.JoinOptions) error {
	return c.enterRoom(ctx, name, o, func(j room.Joined) {
		if e.WantsAck() {
			write := func(dst []byte) []byte { return j.Append(dst, name, 0) }
			c.SendBypass(c.objectFrame(e, j.Size()+len(name), write, j.Attachments()...))
		}
	})
}

// enterRoom is join, whoever asks for it: reply tells the client how the room stands, by what goes before
// all that is held.
func (c *connection) enterRoom(ctx context.Context, name string, o room.JoinOptions, reply func(room.Joined)) error {
	again := c.in(name)
	if !again {
		c.Hold()
		defer c.Release()
	}
	err := c.enter(ctx, name, o, reply)
	if err == nil && !again {
		c.rooms = append(c.rooms, name)
	}
	return err
}

// enter has the hub and the store know that the client is in a room. It does not change c.rooms, so
// several rooms may be entered at a time.
func (c *connection) enter(ctx context.Context, name string, o room.JoinOptions, reply func(room.Joined)) error {
	again, given := c.in(name), c.isGiven(name)
	save := func(ctx context.Context, since broker.Offset) error {
		if again { // it is followed from where it was joined first
			since = broker.Offset{}
		}
		return c.session.Join(ctx, broker.Membership{Room: name, Since: since, Presence: o.Presence, Invisible: o.Invisible, Given: given})
	}
	if !o.Again || o.Presence { // or it is known
		o.Save = save
	}
	recovered := false
	err := c.root.hub.Join(ctx, name, c, o, func(j room.Joined) {
		recovered = j.Recovered
		j.Rights = c.rightsText(name)
		reply(j)
	})
	if o.HasSince {
		c.root.metrics.Recoveries.Of(metrics.BySince, metrics.OutcomeOf(recovered, err)).Inc()
	}
	if err != nil && !again {
		_ = c.session.Leave(ctx, name)
	}
	return err
}

func leave(ctx context.Context, c *connection, e namespace.Event) error {
	var in struct {
		Room string `json:"room"`
	}
	if err := decodeName(e, &in, &in.Room); err != nil {
		return err
	}
	c.leave(ctx, in.Room)
	c.ack(e, struct {
		OK bool `json:"ok"`
	}{true})
	return nil
}

// leave takes the client out of a room, if it is in it, and returns when that is stored, or if ctx is
// done.
func (c *connection) leave(ctx context.Context, name string) {
	if at := slices.Index(c.rooms, name); at >= 0 {
		c.rooms = slices.Delete(c.rooms, at, at+1)
		c.given = slices.DeleteFunc(c.given, func(g string) bool { return g == name })
		c.root.hub.Leave(name, c)
		_ = c.session.Leave(ctx, name) // the broker makes it good
	}
}

func history(ctx context.Context, c *connection, e namespace.Event) error {
	var in struct {
		Room   string  `json:"room"`
		Before *string `json:"before"`
		Limit  int     `json:"limit"`
	}
	if err := decodeRequest(e, &in, &in.Room); err != nil {
		return err
	}
	if err := c.may(in.Room, auth.History); err != nil {
		return err
	}
	var before broker.Offset
	if in.Before != nil {
		var err error
		if before, err = broker.ParseOffset(*in.Before); err != nil {
			return badRequest("before must be an offset that a relay gave out")
		}
	}
	if in.Limit < 0 {
		return badRequest("limit must not be negative")
	}
	if in.Limit == 0 || in.Limit > maxPage {
		in.Limit = maxPage
	}
	messages, more, err := c.root.hub.History(ctx, in.Room, before, in.Limit)
	if err != nil {
		return err
	}
	messages = messages.For(c.User().ID)
	c.ackWith(e, messages.Size()+48, func(dst []byte) []byte { // not through json, which would rewrite the messages
		dst = messages.Append(append(dst, `{"ok":true,"messages":`...))
		return append(strconv.AppendBool(append(dst, `,"more":`...), more), '}')
	}, messages.Attachments()...)
	return nil
}

func members(ctx context.Context, c *connection, e namespace.Event) error {
	var in struct {
		Room string `json:"room"`
	}
	if err := decodeRequest(e, &in, &in.Room); err != nil {
		return err
	}
	if err := c.may(in.Room, auth.Members); err != nil {
		return err
	}
	users, count, err := c.root.hub.Members(ctx, in.Room)
	if err != nil {
		return err
	}
	size := 64
	for _, u := range users {
		size += len(u) + 1
	}
	c.ackWith(e, size, func(dst []byte) []byte { // not through json, which would read what others have written
		dst = strconv.AppendInt(append(dst, `{"ok":true,"count":`...), int64(count), 10)
		if users != nil || count == 0 { // else they are too many: the count alone
			dst = append(append(dst, `,"members":[`...), strings.Join(users, ",")...)
			dst = append(dst, ']')
		}
		return append(dst, '}')
	})
	return nil
}
