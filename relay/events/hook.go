package events

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"setu/relay/broker"
	"setu/relay/hook"
	"setu/relay/metrics"
	"setu/relay/namespace"
	"setu/relay/room"
	"setu/relay/socketio"
)

// What the app is asked about a client (package hook). Its word is final: it is asked once the relay itself
// has nothing against what a client wants, and what it answers is done, whatever the client may do. It is
// asked on the client's worker, one thing at a time, in the order of the client's events.

// How long a client's worker may be busy with the app without a break: what the client sends meanwhile is
// not read, heartbeats among it.
const (
	hookPatience = 10 * time.Second
	hookBreak    = 100 * time.Millisecond
)

// app is what a connection has to do with the app. It is owned by the client's worker.
type app struct {
	data   json.RawMessage // what the app keeps with the session; nil: nothing
	rights *authRooms      // what it has said that the client may do, whatever its token says; nil: nothing
	named  bool            // it has said what the user is called

	later []said // that is to be done once the client is connected

	began, ended time.Time // of asking it without a break
}

// said is what the app was asked, and has answered; the reply is nil if nobody was asked.
type said struct {
	request hook.Request
	reply   *hook.Reply
}

// isTired reports whether the client's worker is to have a break from the app.
func (a *app) isTired() bool {
	now := time.Now()
	if now.Sub(a.ended) > hookBreak {
		a.began = now
	}
	return now.Sub(a.began) > hookPatience
}

// request returns what the app is asked, but for what only this kind of request has.
func (c *connection) request(kind metrics.Hook) hook.Request {
	return hook.Request{Type: kind, ID: hook.NewID(), At: time.Now().UnixMilli(), Relay: c.root.relay, Region: c.root.region,
		Session: c.id, User: c.User().Unplaced(), Rooms: append([]string{}, c.rooms...), Data: c.app.data, Caller: c.Address()}
}

// ask asks the app, and returns what it decided: nothing of it is done yet, but all of it can be. An error
// is a fault.
func (c *connection) askApp(ctx context.Context, r hook.Request) (*hook.Reply, error) {
	if c.app.isTired() {
		return nil, noApp()
	}
	reply, err := c.root.hooks.Ask(ctx, r)
	c.app.ended = time.Now()
	if err == nil {
		err = c.root.checkReply(r, reply)
	}
	var refused *hook.Refusal
	switch {
	case errors.As(err, &refused):
		return nil, &fault{Code: refused.Code, Message: refused.Message}
	case err != nil:
		return nil, noApp()
	}
	return reply, nil
}

// noApp is the fault of what the app would have to answer, and does not.
func noApp() *fault {
	return &fault{Code: codeUnavailable, Message: hook.ErrUnavailable.Error(), Retry: retryAfter.Milliseconds()}
}

// checkReply returns an error, which is in the log then, if something that the app answered can't be done.
func (root *Root) checkReply(r hook.Request, reply *hook.Reply) error {
	for _, names := range [][]string{reply.Rooms, reply.Join, reply.Leave} {
		for _, name := range names {
			if err := checkRoom(name); err != nil {
				return root.hooks.Complain(r, err)
			}
		}
	}
	for _, e := range reply.Emit {
		err := room.CheckEvent(e.Event)
		if err == nil && e.Room != "" {
			err = checkRoom(e.Room)
		}
		if err != nil {
			return root.hooks.Complain(r, err)
		}
	}
	if reply.Change != nil && reply.Change.Event != "" {
		if err := room.CheckEvent(reply.Change.Event); err != nil {
			return root.hooks.Complain(r, err)
		}
	}
	return nil
}

// askEvent answers an event that no table knows by what the app says of it. The app goes on with it if the
// client leaves meanwhile: it may have sent the event as its last word.
func askEvent(ctx context.Context, c *connection, e namespace.Event) error {
	ctx = context.WithoutCancel(ctx)
	args, err := hook.InlineAll(e.Args, e.Attachments)
	if err != nil {
		return badRequest(err.Error())
	}
	r := c.request(metrics.HookEvent)
	r.Event = &hook.Event{Event: e.Name, Args: args, WantsAck: e.WantsAck()}
	reply, err := c.askApp(ctx, r)
	if err == nil {
		err = c.apply(ctx, r, reply)
	}
	if err != nil {
		return err
	}
	c.Ack(e, list(reply.Ack.Values), reply.Ack.Attachments...)
	c.finish(reply)
	return nil
}

// list writes values as one JSON array.
func list(values []json.RawMessage) []byte {
	out := []byte{'['}
	for i, v := range values {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, v...)
	}
	return append(out, ']')
}

// askJoin asks whether the client may join a room, if the app wants to be asked.
func (c *connection) askJoin(ctx context.Context, name string) error {
	said, err := c.mayJoin(ctx, name)
	if err == nil {
		err = c.apply(ctx, said.request, said.reply)
		c.finish(said.reply)
	}
	return err
}

// mayJoin asks whether the client may join a room, and does nothing yet of what else the app says.
func (c *connection) mayJoin(ctx context.Context, name string) (said, error) {
	if !c.root.hooks.Asks(metrics.HookJoin) || c.in(name) {
		return said{}, nil
	}
	r := c.request(metrics.HookJoin)
	r.Entry = &hook.Entry{Room: name}
	reply, err := c.askApp(ctx, r)
	return said{r, reply}, err
}

// askPublish asks whether the client may publish what p has, if the app wants to be asked, and returns what
// it is to be instead.
func (c *connection) askPublish(ctx context.Context, e namespace.Event, p broker.Publication) (broker.Publication, error) {
	if !c.root.hooks.Asks(metrics.HookPublish) {
		return p, nil
	}
	was, self, err := messageOf(e)
	if err != nil {
		return p, err
	}
	return c.moderate(ctx, p, was, self)
}

// askPublishes is askPublish of one event that goes to several rooms, as it is.
func (c *connection) askPublishes(ctx context.Context, e namespace.Event, pubs []broker.Publication, self bool) error {
	if !c.root.hooks.Asks(metrics.HookPublish) {
		return nil
	}
	args, err := hook.InlineAll(e.Args, e.Attachments)
	if err != nil {
		return badRequest(err.Error())
	}
	for i, p := range pubs {
		if pubs[i], err = c.moderate(ctx, p, hook.Message{Event: e.Name, Args: args}, self); err != nil {
			return err
		}
	}
	return nil
}

// messageOf returns what a publish publishes, and whether its sender hears it.
func messageOf(e namespace.Event) (m hook.Message, self bool, err error) {
	var in struct {
		Data  json.RawMessage `json:"data"`
		Event string          `json:"event"`
		Args  json.RawMessage `json:"args"`
		Self  *bool           `json:"self"`
	}
	if err := decode(e.Args[0], &in); err != nil {
		return m, true, badRequest(e.Name + ": " + err.Error())
	}
	self = in.Self == nil || *in.Self
	if m.Event = in.Event; in.Event != "" {
		if in.Args != nil {
			if err = json.Unmarshal(in.Args, &m.Args); err != nil {
				return m, self, badRequest("args must be a list")
			}
		}
		m.Args, err = hook.InlineAll(m.Args, e.Attachments)
	} else {
		m.Data, err = socketio.ToBase64(in.Data, e.Attachments)
	}
	if err != nil {
		return m, self, badRequest(err.Error())
	}
	return m, self, nil
}

// moderate asks about a publication that says m.
func (c *connection) moderate(ctx context.Context, p broker.Publication, m hook.Message, self bool) (broker.Publication, error) {
	r := c.request(metrics.HookPublish)
	m.ID = p.ID
	r.Entry = &hook.Entry{Room: p.Room, Message: &m}
	reply, err := c.askApp(ctx, r)
	if err == nil {
		err = c.apply(ctx, r, reply)
		c.finish(reply)
	}
	if err != nil || reply.Change == nil {
		return p, err
	}
	to := reply.Change
	if to.Event == "" {
		p.Body = room.Body(p.ID, c.User(), to.Data.Values[0], to.Data.Attachments...)
		return p, nil
	}
	event := room.Event{Name: to.Event, Args: to.Args.Values}
	if !self {
		event.Except = c.id
	}
	p.Body, err = room.EventBody(p.ID, c.User(), event, to.Args.Attachments...)
	return p, err
}
