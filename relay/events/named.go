package events

import (
	"encoding/json"

	"setu/relay/namespace"
	"setu/relay/room"
	"setu/relay/socketio"
)

// namedRequest is what publish and signal say of a named event, in place of data.
type namedRequest struct {
	Event string          `json:"event"`
	Args  json.RawMessage `json:"args"`
	Self  *bool           `json:"self"`
}

// isThere reports whether a member of a request was given: null stands for one that was not.
func isThere(m json.RawMessage) bool { return m != nil && string(m) != "null" }

// namedEvent reads the named event of a publish or a signal, which has no data then.
func (c *connection) namedEvent(e namespace.Event, data json.RawMessage) (room.Event, error) {
	var in namedRequest
	if isThere(data) {
		return room.Event{}, badRequest(e.Name + " takes data, or event and args")
	}
	if err := decode(e.Args[0], &in); err != nil {
		return room.Event{}, badRequest(e.Name + ": " + err.Error())
	}
	out := room.Event{Name: in.Event}
	if in.Self != nil && !*in.Self {
		out.Except = c.id
	}
	if !isThere(in.Args) {
		return out, nil
	}
	args, err := canonical(in.Args, e.Attachments)
	if err != nil {
		return room.Event{}, err
	}
	if out.Args, err = socketio.Items(args); err != nil {
		return room.Event{}, badRequest(e.Name + ": args must be an array of at most 254")
	}
	return out, nil
}

// eventBody returns the body under which ev is stored.
func (c *connection) eventBody(id string, ev room.Event, attachments [][]byte) (string, error) {
	body, err := room.EventBody(id, c.User(), ev, attachments...)
	if err != nil {
		return "", badRequest(err.Error())
	}
	return body, nil
}

// eventSignalBody returns the body of a signal that is heard as ev.
func (c *connection) eventSignalBody(ev room.Event, attachments [][]byte) (string, error) {
	body, err := room.EventSignalBody(c.User(), ev, attachments...)
	if err != nil {
		return "", badRequest(err.Error())
	}
	return body, nil
}
