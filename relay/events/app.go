package events

import (
	"context"
	"encoding/json"
	"strings"

	"setu/relay/auth"
	"setu/relay/broker"
	"setu/relay/namespace"
	"setu/relay/room"
	"setu/relay/socketio"
)

// What the application does in rooms. It need not be in them, nor has it any right but its own.

// Content is what the application publishes: a message with Data or, with Event, a named event with Args.
// An attachment is an object {"$binary": "<base64>"} in them.
type Content struct {
	Data  json.RawMessage
	Event string
	Args  []json.RawMessage
}

// Page is some messages of a room, oldest first.
type Page struct {
	Messages json.RawMessage // an array of them, as clients are sent them, with attachments as Content has them
	More     bool            // older ones are kept
}

// AppUser is who the application speaks as, if it does not say: who is called by a name of its own. Tokens'
// users should not be called like that.
func AppUser(name string) broker.User { return broker.User{ID: "app:" + name, Name: name} }

// As returns the user of an id, called by a name or, if that is empty, as one without a name is.
func As(id, name string) (broker.User, error) {
	if err := CheckUser(id); err != nil {
		return broker.User{}, badRequest(err.Error())
	}
	u := broker.User{ID: id, Name: strings.TrimSpace(name), Guest: strings.HasPrefix(id, auth.GuestPrefix)}
	switch {
	case u.Name == "" && u.Guest:
		u.Name = broker.GuestName(id)
	case u.Name == "":
		u.Name = id
	}
	if u.Name == id { // which may be longer than names are
		return u, nil
	}
	return u, CheckName(u.Name)
}

// NewPublication returns what has content stored in a room, by a user. Without an id it is given one.
func (root *Root) NewPublication(name, id string, from broker.User, c Content) (p broker.Publication, err error) {
	p = broker.Publication{Room: name, User: from.ID, ID: id}
	if p.ID == "" {
		p.ID = newPublishID()
	}
	if err := checkRoom(name); err != nil {
		return p, err
	}
	if err := CheckID(p.ID); err != nil {
		return p, err
	}
	e, data, attachments, err := c.lift()
	switch {
	case err != nil:
		return p, err
	case size(attachments, data)+size(nil, e.Args...) > root.maxPayload:
		return p, tooLarge(context.Background(), nil, namespace.Event{})
	case c.Event != "":
		p.Body, err = room.EventBody(p.ID, from, e, attachments...)
	default:
		p.Body = room.Body(p.ID, from, data, attachments...)
	}
	if err != nil {
		return p, badRequest(err.Error())
	}
	return p, nil
}

// Publish stores publications, as broker.Messages has it.
func (root *Root) Publish(ctx context.Context, pubs ...broker.Publication) []broker.Receipt {
	return root.hub.Publish(ctx, pubs...)
}

// EmitTo sends a named event to everybody in a room. It may be lost.
func (root *Root) EmitTo(name string, from broker.User, c Content) error {
	if err := checkRoom(name); err != nil {
		return err
	}
	e, _, attachments, err := c.lift()
	if err != nil {
		return err
	}
	body, err := room.EventSignalBody(from, e, attachments...)
	if err != nil {
		return badRequest(err.Error())
	}
	root.hub.Signal(name, "", body)
	return nil
}

// Emission returns the content as what is sent to users and sessions.
func (c Content) Emission() (Emission, error) {
	e, _, attachments, err := c.lift()
	return Emission{Event: e.Name, Args: e.Args, Attachments: attachments}, err
}

// History returns at most limit messages before an offset (empty: the newest), at most maxPage.
func (root *Root) History(ctx context.Context, name, before string, limit int) (p Page, err error) {
	if err := checkRoom(name); err != nil {
		return p, err
	}
	var at broker.Offset
	if before != "" {
		if at, err = broker.ParseOffset(before); err != nil {
			return p, badRequest("before must be an offset that a relay gave out")
		}
	}
	messages, more, err := root.hub.History(ctx, name, at, min(limit, maxPage))
	if err != nil {
		return p, err
	}
	text := messages.Append(make([]byte, 0, messages.Size()+2))
	if text, err = socketio.ToBase64(text, messages.Attachments()); err != nil {
		return p, err // what is stored has been checked
	}
	return Page{text, more}, nil
}

// Members returns the JSON of a room's users, or their count alone if they are too many.
func (root *Root) Members(ctx context.Context, name string) (users []string, count int, err error) {
	if err := checkRoom(name); err != nil {
		return nil, 0, err
	}
	return root.hub.Members(ctx, name)
}

// lift checks the content and takes the attachments out of it.
func (c Content) lift() (e room.Event, data json.RawMessage, attachments [][]byte, err error) {
	switch {
	case c.Event == "" && c.Data == nil:
		return e, nil, nil, badRequest("this takes data, or event and args")
	case c.Event != "" && c.Data != nil, c.Event == "" && c.Args != nil:
		return e, nil, nil, badRequest("this takes data, or event and args, not both")
	}
	e.Name = c.Event
	values := c.Args
	if c.Event == "" {
		values = []json.RawMessage{c.Data}
	}
	args, attachments, err := socketio.Lift(values)
	if err != nil {
		return e, nil, nil, badRequest(err.Error())
	}
	if c.Event == "" {
		return e, args[0], attachments, nil
	}
	e.Args = args
	return e, nil, attachments, nil
}

func size(attachments [][]byte, texts ...json.RawMessage) (n int) {
	for _, a := range attachments {
		n += len(a)
	}
	for _, t := range texts {
		n += len(t)
	}
	return n
}
