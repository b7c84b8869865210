package events

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"setu/relay/auth"
	"setu/relay/broker"
	"setu/relay/limit"
	"setu/relay/metrics"
	"setu/relay/namespace"
	"setu/relay/room"
	"setu/relay/socketio"
)

// published is the answer to a publish.
type published struct {
	OK        bool   `json:"ok"`
	Room      string `json:"room"`
	ID        string `json:"id"`
	Offset    string `json:"offset"`
	Seq       uint64 `json:"seq"`
	At        int64  `json:"at"`
	Duplicate bool   `json:"duplicate,omitempty"`
}

// publish stores a batch of messages in one trip.
func publish(ctx context.Context, c *connection, batch []namespace.Event) {
	if !c.WaitLowWater(ctx) {
		return // the session ended
	}
	pubs := make([]broker.Publication, 0, len(batch))
	asked := make([]namespace.Event, 0, len(batch))
	for _, e := range batch {
		if !c.spend(limit.Publish, e) {
			c.root.metrics.Publishes.Of(metrics.PublishRateLimited).Inc()
			continue
		}
		p, err := c.publication(e)
		if err == nil {
			p, err = c.askPublish(ctx, e, p)
		}
		if err != nil {
			c.root.metrics.Publishes.Of(metrics.PublishRefused).Inc()
			c.fail(e, err)
			continue
		}
		pubs, asked = append(pubs, p), append(asked, e)
	}
	if len(pubs) == 0 {
		return
	}
	for i, rc := range c.root.hub.Publish(ctx, pubs...) {
		if rc.Err != nil {
			c.answerFailure(asked[i], failure{Room: pubs[i].Room, ID: pubs[i].ID, Error: faultOf(rc.Err)})
			continue
		}
		answer := publishedAs(pubs[i], rc)
		c.ackWith(asked[i], answer.size(), answer.append)
	}
}

func publishedAs(p broker.Publication, rc broker.Receipt) published {
	return published{OK: true, Room: p.Room, ID: p.ID, Offset: rc.Offset.String(), Seq: rc.Offset.Seq, At: rc.At, Duplicate: rc.Duplicate}
}

// size is about how many bytes append writes.
func (p published) size() int { return len(p.Room) + len(p.ID) + len(p.Offset) + 96 }

// append writes p's JSON as encoding/json would. There is one for each publish.
func (p published) append(dst []byte) []byte {
	dst = strconv.AppendBool(append(dst, `{"ok":`...), p.OK)
	dst = broker.AppendString(append(dst, `,"room":`...), p.Room)
	dst = broker.AppendString(append(dst, `,"id":`...), p.ID)
	dst = broker.AppendString(append(dst, `,"offset":`...), p.Offset)
	dst = strconv.AppendUint(append(dst, `,"seq":`...), p.Seq, 10)
	dst = strconv.AppendInt(append(dst, `,"at":`...), p.At, 10)
	if p.Duplicate {
		dst = append(dst, `,"duplicate":true`...)
	}
	return append(dst, '}')
}

// newPublishID returns an id for a publish that came without one. It need differ from the same user's
// others alone, for as long as a repeat is known, and goes to all members: 64 bits of crypto/rand, in
// 11 characters.
func newPublishID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// CheckID returns an error if no publish can have this id.
func CheckID(id string) error {
	if id == "" || utf8.RuneCountInString(id) > maxID || !utf8.ValidString(id) {
		return badRequest("id must have 1 to 64 characters of Unicode")
	}
	return nil
}

// publication checks a publish.
func (c *connection) publication(e namespace.Event) (p broker.Publication, err error) {
	var in struct {
		Room  string          `json:"room"`
		ID    *string         `json:"id"`
		Data  json.RawMessage `json:"data"`
		Event json.RawMessage `json:"event"`
	}
	if err = decodeRequest(e, &in, &in.Room); err != nil {
		return p, err
	}
	p = broker.Publication{Room: in.Room, User: c.User().ID}
	if err := c.may(in.Room, auth.Publish); err != nil {
		return p, err
	}
	switch {
	case !c.in(in.Room):
		return p, notJoined()
	case in.Data == nil && !isThere(in.Event):
		return p, badRequest("publish needs data, or event and args")
	case in.ID == nil:
		p.ID = newPublishID()
	default:
		p.ID = *in.ID
		if err := CheckID(p.ID); err != nil {
			return p, err
		}
	}
	if isThere(in.Event) {
		var ev room.Event
		if ev, err = c.namedEvent(e, in.Data); err == nil {
			p.Body, err = c.eventBody(p.ID, ev, e.Attachments)
		}
		return p, err
	}
	if in.Data, err = canonical(in.Data, e.Attachments); err == nil {
		p.Body = room.Body(p.ID, c.User(), in.Data, e.Attachments...)
	}
	return p, err
}

func signal(_ context.Context, c *connection, e namespace.Event) error {
	var in struct {
		Room  string          `json:"room"`
		Data  json.RawMessage `json:"data"`
		Event json.RawMessage `json:"event"`
	}
	if err := decodeRequest(e, &in, &in.Room); err != nil {
		return err
	}
	if err := c.may(in.Room, auth.Signal); err != nil {
		return err
	}
	if !c.in(in.Room) {
		return notJoined()
	}
	if isThere(in.Event) {
		return c.signalEvent(e, in.Room, in.Data)
	}
	if in.Data == nil {
		in.Data = json.RawMessage("null")
	}
	data, err := canonical(in.Data, e.Attachments)
	if err != nil {
		return err
	}
	c.root.hub.Signal(in.Room, c.id, room.SignalBody(c.User(), data, e.Attachments...))
	return nil
}

// signalEvent sends a named event that nobody stores.
func (c *connection) signalEvent(e namespace.Event, name string, data json.RawMessage) error {
	ev, err := c.namedEvent(e, data)
	if err != nil {
		return err
	}
	body, err := c.eventSignalBody(ev, e.Attachments)
	if err == nil {
		c.root.hub.Signal(name, c.id, body)
	}
	return err
}

// canonical returns data with its placeholders in their one form. Without attachments there are
// none, and data is as it is.
func canonical(data json.RawMessage, attachments [][]byte) (json.RawMessage, error) {
	if len(attachments) == 0 {
		return data, nil
	}
	return socketio.Canonical(data, len(attachments))
}
