package events

import (
	"context"
	"encoding/json"
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
		c.ack(asked[i], published{OK: true, Room: pubs[i].Room, ID: pubs[i].ID, Offset: rc.Offset.String(),
			Seq: rc.Offset.Seq, At: rc.At, Duplicate: rc.Duplicate})
	}
}

// publication checks a publish.
func (c *connection) publication(e namespace.Event) (p broker.Publication, err error) {
	var in struct {
		Room string          `json:"room"`
		ID   *string         `json:"id"`
		Data json.RawMessage `json:"data"`
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
	case in.Data == nil:
		return p, badRequest("publish needs data")
	case in.ID == nil:
		p.ID = newID()
	case *in.ID == "" || utf8.RuneCountInString(*in.ID) > maxID:
		return p, badRequest("id must have 1 to 64 characters")
	default:
		p.ID = *in.ID
	}
	if in.Data, err = canonical(in.Data, e.Attachments); err == nil {
		p.Body, err = room.Body(p.ID, c.User(), in.Data, e.Attachments...)
	}
	return p, err
}

func signal(_ context.Context, c *connection, e namespace.Event) error {
	var in struct {
		Room string          `json:"room"`
		Data json.RawMessage `json:"data"`
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
	if in.Data == nil {
		in.Data = json.RawMessage("null")
	}
	data, err := canonical(in.Data, e.Attachments)
	if err != nil {
		return err
	}
	body, err := room.SignalBody(c.User(), data, e.Attachments...)
	if err != nil {
		return err
	}
	c.root.hub.Signal(in.Room, c.id, body)
	return nil
}

// canonical returns data with its placeholders in their one form. Without attachments there are
// none, and data is as it is.
func canonical(data json.RawMessage, attachments [][]byte) (json.RawMessage, error) {
	if len(attachments) == 0 {
		return data, nil
	}
	return socketio.Canonical(data, len(attachments))
}
