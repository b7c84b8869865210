package client

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"setu/relay/socketio"
)

var (
	errText = errors.New("client: a room's name must be UTF-8 and not empty")
	errID   = errors.New("client: an id must be UTF-8")
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

// Publish stores data, anything that JSON can say (a json.RawMessage goes as it is), in a room, and waits until the relay
// has done so. Until then it is sent again, after each reconnect and whenever the relay could not ("unavailable",
// "rate_limited"), for at most Options.PublishTimeout; then the error is ErrTimeout. The relay stores it once, whatever
// is repeated: id, 1 to 64 characters, names it among all that this user publishes. With id "" one is made.
//
// Publishes of a room go out in the order of the calls, over reconnects, too; only one that the relay could not store at
// once may be overtaken by those that were already on their way. Where the error is ErrTimeout, ErrClosed or ctx's, the
// message may have been stored or not; the same id asks again.
func (c *Client) Publish(ctx context.Context, room string, data any, id string) (Published, error) {
	text, err := encode(data)
	if err != nil {
		return Published{}, err
	}
	return c.publish(ctx, room, text, nil, id)
}

// PublishBinary is Publish of data and at most 10 attachments, which data has to name: Attachment(n) in it stands for
// attachments[n].
func (c *Client) PublishBinary(
	ctx context.Context, room string, data any, attachments [][]byte, id string,
) (Published, error) {
	text, err := encode(data)
	if err != nil {
		return Published{}, err
	}
	if err := checkAttachments(text, attachments); err != nil {
		return Published{}, err
	}
	copies := make([][]byte, len(attachments)) // they may be on their way when ctx has ended, and the caller has them back
	for i, a := range attachments {
		copies[i] = bytes.Clone(a)
	}
	return c.publish(ctx, room, text, copies, id)
}

func (c *Client) publish(
	ctx context.Context, room string, data json.RawMessage, attachments [][]byte, id string,
) (Published, error) {
	if err := checkText(room); err != nil {
		return Published{}, err
	}
	if !utf8.ValidString(id) { // JSON would change it: two ids might become one, and the second message a duplicate
		return Published{}, errID
	}
	if id == "" {
		var b [16]byte
		random(b[:])
		id = hex.EncodeToString(b[:])
	}
	q := newCall("publish", room, withData(eventBody("publish", publishRequest{room, id}), data))
	q.attachments = attachments
	// What the relay can't read would cost the connection, again and again.
	if _, err := socketio.Parse(append([]byte{byte(socketio.Event)}, q.body...)); err != nil {
		return Published{}, fmt.Errorf("client: data: %w", err)
	}
	q.keep = true
	q.until = time.Now().Add(c.options.PublishTimeout)
	var p Published
	err := c.request(ctx, q, &p)
	return p, err
}

// Signal tells a room something that is not stored: typing, a cursor. It is dropped without an error where there is no
// connection or the room is not joined. The error is about data, or ErrClosed.
func (c *Client) Signal(room string, data any) error {
	if err := checkText(room); err != nil {
		return err
	}
	text, err := encode(data)
	if err != nil {
		return err
	}
	body := withData(eventBody("signal", roomRequest{room}), text)
	packet := socketio.Packet{Type: socketio.Event, Data: body}
	if _, err := socketio.Parse(append([]byte{byte(socketio.Event)}, body...)); err != nil {
		return fmt.Errorf("client: data: %w", err)
	}
	return c.do(func() {
		r := c.rooms[room]
		if c.phase == live && r != nil && r.joined && c.link.roomy() && c.fits(&call{body: body}) {
			c.sendPacket(packet)
		}
	})
}

// History reads a page of at most limit messages older than the offset before ("" means the newest); limit 0 leaves its
// size to the relay. It waits for a connection, and for the answer at most 10 s once asked.
func (c *Client) History(ctx context.Context, room, before string, limit int) (History, error) {
	var h History
	if err := checkText(room); err != nil {
		return h, err
	}
	err := c.request(ctx, newCall("history", room, eventBody("history", historyRequest{room, before, limit})), &h)
	return h, err
}

// Members reads who is in a room. It waits as History does.
func (c *Client) Members(ctx context.Context, room string) (Members, error) {
	var m Members
	if err := checkText(room); err != nil {
		return m, err
	}
	err := c.request(ctx, newCall("members", room, eventBody("members", roomRequest{room})), &m)
	return m, err
}

// checkText refuses what JSON would change on the way. The relay checks the rest.
func checkText(room string) error {
	if room == "" || !utf8.ValidString(room) {
		return errText
	}
	return nil
}

// encode writes v as JSON, without escapes that nobody needs.
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

// eventBody writes an event's array of a name and one object.
func eventBody(name string, arg any) []byte {
	data, err := encode(arg)
	if err != nil {
		data = json.RawMessage("null") // never: these are strings, numbers, and JSON that was checked
	}
	b := make([]byte, 0, len(name)+len(data)+5)
	b = append(append(append(b, `["`...), name...), `",`...)
	return append(append(b, data...), ']')
}

// withData adds data to the object of an event's body, byte for byte.
func withData(body []byte, data json.RawMessage) []byte {
	body = append(body[:len(body)-len("}]")], `,"data":`...)
	return append(append(body, data...), "}]"...)
}

// sendEvent asks for an ack with id.
func (c *Client) sendEvent(id uint64, body []byte, attachments ...[]byte) {
	p := socketio.Packet{Type: socketio.Event, ID: id, HasID: true, Data: body}
	if len(attachments) > 0 {
		p.Type, p.Attachments = socketio.BinaryEvent, len(attachments)
	}
	c.sendPacket(p, attachments...)
}
