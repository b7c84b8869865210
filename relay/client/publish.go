package client

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"setu/relay/socketio"
)

var (
	errRoomName = errors.New("client: a room's name must be UTF-8 and not empty")
	errID       = errors.New("client: an id must be UTF-8")

	errEventName = errors.New("client: an event's name must be UTF-8 and not empty")
)

type roomRequest struct {
	Room string `json:"room"`
}

type publishRequest struct {
	Room string `json:"room"`
	ID   string `json:"id"`
}

type historyRequest struct {
	Room   string `json:"room"`
	Before string `json:"before,omitempty"`
	Limit  int    `json:"limit,omitempty"`
}

// Publish has the relay store data in a room, and waits until that is done. Data is encoded as
// JSON; a json.RawMessage is sent byte for byte. The message is sent again after each reconnect and
// whenever the relay could not store it ("unavailable", "rate_limited"), for at most
// Options.PublishTimeout; then the error is ErrTimeout. Other refusals are returned as *Error. The
// relay stores the message once, however often it is sent: id, 1 to 64 characters, identifies it
// among all messages of this user. If id is empty, a random one is made.
//
// Publishes to a room are sent in the order of the calls, also across reconnects. Only a message
// that the relay could not store at once may be overtaken, by those that were already sent. If the
// error is ErrTimeout, ErrClosed or ctx's, the message may or may not have been stored; publishing
// it again under the same id is safe.
func (c *Client) Publish(ctx context.Context, room string, data any, id string) (Published, error) {
	text, err := encodeData(data)
	if err != nil {
		return Published{}, err
	}
	return c.publish(ctx, room, text, nil, id)
}

// PublishEvent is like Publish of a named event: others hear it under its name, with these arguments. It
// may have attachments, which an argument names, as PublishBinary's.
func (c *Client) PublishEvent(ctx context.Context, room, event string, args []any, attachments [][]byte, id string) (Published, error) {
	text, err := encodeEvent(event, args)
	if err != nil {
		return Published{}, err
	}
	if err := checkAttachments(text, attachments); err != nil {
		return Published{}, err
	}
	return c.publish(ctx, room, text, cloneEach(attachments), id)
}

// PublishBinary is like Publish, with at most 10 attachments that data must name: an Attachment(n)
// in it stands for attachments[n].
func (c *Client) PublishBinary(
	ctx context.Context, room string, data any, attachments [][]byte, id string,
) (Published, error) {
	text, err := encodeData(data)
	if err != nil {
		return Published{}, err
	}
	if err := checkAttachments(text, attachments); err != nil {
		return Published{}, err
	}
	return c.publish(ctx, room, text, cloneEach(attachments), id)
}

// cloneEach copies attachments: they may still be sent when a call has returned, and the caller owns the
// originals.
func cloneEach(attachments [][]byte) [][]byte {
	copies := make([][]byte, len(attachments))
	for i, a := range attachments {
		copies[i] = bytes.Clone(a)
	}
	return copies
}

// publish publishes what is said in members of the request's object, each after a comma.
func (c *Client) publish(
	ctx context.Context, room string, members json.RawMessage, attachments [][]byte, id string,
) (Published, error) {
	q, err := c.newPublish(room, members, attachments, id)
	if err != nil {
		return Published{}, err
	}
	var p Published
	err = c.request(ctx, q, &p)
	return p, err
}

// newPublish returns the request of a publish.
func (c *Client) newPublish(room string, members json.RawMessage, attachments [][]byte, id string) (*call, error) {
	if err := checkRoom(room); err != nil {
		return nil, err
	}
	// JSON would change it: two ids might become one, and the second message a duplicate.
	if !utf8.ValidString(id) {
		return nil, errID
	}
	if id == "" {
		var b [9]byte // among this user's own messages: 12 characters, which each member is sent
		random(b[:])
		id = base64.RawURLEncoding.EncodeToString(b[:])
	}
	q := newCall("publish", room, withMembers(eventBody("publish", publishRequest{room, id}), members))
	q.attachments = attachments
	// The relay would close each connection on which it got data that it cannot read.
	if _, err := socketio.Parse(append([]byte{byte(socketio.Event)}, q.body...)); err != nil {
		return nil, fmt.Errorf("client: data: %w", err)
	}
	q.retryable = true
	q.expiresAt = time.Now().Add(c.options.PublishTimeout)
	return q, nil
}

// Signal sends data to the other members of a room without storing it: typing, a cursor. It is
// dropped without an error if there is no connection, the room is not joined or the connection is
// slow. The error is about the arguments, or ErrClosed.
func (c *Client) Signal(room string, data any) error {
	text, err := encodeData(data)
	if err != nil {
		return err
	}
	return c.signal(room, text)
}

// SignalEvent is like Signal of a named event.
func (c *Client) SignalEvent(room, event string, args ...any) error {
	text, err := encodeEvent(event, args)
	if err != nil {
		return err
	}
	return c.signal(room, text)
}

func (c *Client) signal(room string, members json.RawMessage) error {
	if err := checkRoom(room); err != nil {
		return err
	}
	body := withMembers(eventBody("signal", roomRequest{room}), members)
	packet := socketio.Packet{Type: socketio.Event, Data: body}
	if _, err := socketio.Parse(append([]byte{byte(socketio.Event)}, body...)); err != nil {
		return fmt.Errorf("client: data: %w", err)
	}
	return c.do(func() {
		r := c.rooms[room]
		if c.phase == phaseConnected && r != nil && r.joined && c.link.acceptsVolatile() && c.withinMaxPayload(&call{body: body}) {
			c.sendPacket(packet)
		}
	})
}

// History returns a page of at most limit messages older than the offset before, or the newest ones
// if before is empty. A limit of 0 leaves the size to the relay. It waits for a connection and
// until the room is joined, if a Join is under way, and then at most 10 seconds for the answer
// (ErrTimeout).
func (c *Client) History(ctx context.Context, room, before string, limit int) (History, error) {
	var h History
	if err := checkRoom(room); err != nil {
		return h, err
	}
	err := c.request(ctx, newCall("history", room, eventBody("history", historyRequest{room, before, limit})), &h)
	return h, err
}

// Members returns who is in a room. It waits as History does.
func (c *Client) Members(ctx context.Context, room string) (Members, error) {
	var m Members
	if err := checkRoom(room); err != nil {
		return m, err
	}
	err := c.request(ctx, newCall("members", room, eventBody("members", roomRequest{room})), &m)
	return m, err
}

// Relays lists relays that take new clients, the one that this client is connected to first.
func (c *Client) Relays(ctx context.Context) ([]Relay, error) {
	var list struct{ Relays []Relay }
	err := c.request(ctx, newCall("relays", "", eventBody("relays", struct{}{})), &list)
	return list.Relays, err
}

// checkRoom returns an error if a room's name is empty or JSON would change it. The relay checks
// the rest.
func checkRoom(room string) error {
	if room == "" || !utf8.ValidString(room) {
		return errRoomName
	}
	return nil
}

// encode returns v as JSON, without the escapes for HTML.
func encode(v any) (json.RawMessage, error) {
	if raw, ok := v.(json.RawMessage); ok {
		if !json.Valid(raw) {
			return nil, fmt.Errorf("client: data: %w", socketio.ErrJSON)
		}
		return raw, nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("client: data: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// eventBody returns an event's array of a name and one object.
func eventBody(name string, arg any) []byte {
	data, err := encode(arg)
	if err != nil {
		data = json.RawMessage("null") // cannot happen: strings, numbers and checked JSON
	}
	b := make([]byte, 0, len(name)+len(data)+5)
	b = append(append(append(b, `["`...), name...), `",`...)
	return append(append(b, data...), ']')
}

// withMembers adds members, byte for byte, to the object in an event's body.
func withMembers(body []byte, members json.RawMessage) []byte {
	return append(append(body[:len(body)-len("}]")], members...), "}]"...)
}

// encodeData returns data as the member of an object, after a comma.
func encodeData(data any) (json.RawMessage, error) {
	text, err := encode(data)
	return append([]byte(`,"data":`), text...), err
}

// encodeEvent returns a named event as members of an object, each after a comma.
func encodeEvent(event string, args []any) (json.RawMessage, error) {
	if event == "" || !utf8.ValidString(event) {
		return nil, errEventName
	}
	name, err := encode(event)
	if err != nil {
		return nil, err
	}
	out := append(append([]byte(`,"event":`), name...), `,"args":[`...)
	for i, a := range args {
		text, err := encode(a)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, text...)
	}
	return append(out, ']'), nil
}

// sendEvent sends an event that the relay is to answer with an ack of id.
func (c *Client) sendEvent(id uint64, body []byte, attachments ...[]byte) {
	p := socketio.Packet{Type: socketio.Event, ID: id, HasID: true, Data: body}
	if len(attachments) > 0 {
		p.Type, p.Attachments = socketio.BinaryEvent, len(attachments)
	}
	c.sendPacket(p, attachments...)
}
