package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"setu/e2e/judge"
)

// join asks over c, and takes the answer where it stands among what arrives.
func (m *Client) join(ctx context.Context, c *conn, room string, o JoinOptions) (Joined, error) {
	ask := map[string]any{"room": room, "presence": o.Presence}
	if o.Since != "" {
		ask["since"] = o.Since
	}
	if o.History > 0 {
		ask["history"] = o.History
	}
	m.add(judge.Event{Kind: judge.Joining, Room: room, Since: o.Since})
	m.asks(1)
	var joined Joined
	var refused error
	err := c.call(ctx, "join", ask, func(text json.RawMessage) {
		m.asks(-1)
		joined, refused = m.onJoined(room, o, text)
	})
	return joined, errors.Join(err, refused)
}

// onJoined runs on the connection's reader.
func (m *Client) onJoined(room string, o JoinOptions, text json.RawMessage) (joined Joined, err error) {
	var in struct {
		Offset    string
		Recovered bool
		Messages  []wireMessage
		Count     int
		Members   []User
	}
	if err := decode(text, &in); err != nil {
		m.add(judge.Event{Kind: judge.Refused, Room: room, Note: "join: " + err.Error()})
		return joined, err
	}
	joined = Joined{in.Offset, in.Recovered, judged(in.Messages), in.Count, in.Members}
	m.add(judge.Event{Kind: judge.Joined, Room: room, Since: o.Since, Recovered: in.Recovered, Offset: in.Offset,
		Messages: joined.Messages, Note: fmt.Sprintf("count %d", in.Count)})
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.rooms[room]
	if s == nil {
		s = &membership{}
		m.rooms[room] = s
	}
	if in.Recovered && s.offset == o.Since {
		s.messages = append(s.messages, joined.Messages...)
	} else {
		s.messages = joined.Messages
	}
	s.offset, s.joined, s.options = in.Offset, true, o
	return joined, nil
}

// Join joins a room, and from then on rejoins it whenever the client comes back.
func (m *Client) Join(room string, o JoinOptions) Joined {
	m.t.Helper()
	joined, err := m.TryJoin(m.t.Context(), room, o)
	if err != nil {
		m.t.Fatalf("%s joins %s: %v", m.options.As, room, err)
	}
	return joined
}

// TryJoin is Join that may be refused.
func (m *Client) TryJoin(ctx context.Context, room string, o JoinOptions) (Joined, error) {
	c, err := m.awaitReady(ctx)
	if err != nil {
		return Joined{}, err
	}
	return m.join(ctx, c, room, o)
}

// Leave leaves a room.
func (m *Client) Leave(room string) {
	m.t.Helper()
	m.asks(1)
	err := m.ask("leave", map[string]any{"room": room}, func(json.RawMessage) error {
		m.asks(-1)
		m.add(judge.Event{Kind: judge.Left, Room: room})
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.rooms, room)
		return nil
	})
	if err != nil {
		m.t.Fatalf("%s leaves %s: %v", m.options.As, room, err)
	}
}

// ask calls over the present connection; heard takes an answer that is ok.
func (m *Client) ask(name string, body any, heard func(json.RawMessage) error) error {
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	c, err := m.awaitReady(ctx)
	if err != nil {
		return err
	}
	var refused error
	err = c.call(ctx, name, body, func(text json.RawMessage) {
		var raw json.RawMessage
		if refused = decode(text, &raw); refused == nil {
			refused = heard(raw)
		}
	})
	return errors.Join(err, refused)
}

// Say publishes data under an id of its own, as often as it takes.
func (m *Client) Say(room string, data any) Stored {
	m.t.Helper()
	stored, err := m.Publish(m.t.Context(), room, m.NewID(), data)
	if err != nil {
		m.t.Fatalf("%s publishes in %s: %v", m.options.As, room, err)
	}
	return stored
}

// NewID makes an id for a publish that tells a reader whose it is.
func (m *Client) NewID() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ids++
	return fmt.Sprintf("%s-%d", m.options.As, m.ids)
}

// Publish publishes until it is answered: over the next connection where one
// ends, and again after a while where the relay can't just now.
func (m *Client) Publish(ctx context.Context, room, id string, data any) (Stored, error) {
	for {
		stored, err := m.TryPublish(ctx, room, id, data)
		var no *Refusal
		again := errors.Is(err, errGone) || errors.As(err, &no) && no.Code == "unavailable"
		if !again || ctx.Err() != nil {
			return stored, err
		}
		m.pause(ctx)
	}
}

// TryPublish publishes once.
func (m *Client) TryPublish(ctx context.Context, room, id string, data any) (Stored, error) {
	c, err := m.awaitReady(ctx)
	if err != nil {
		return Stored{}, err
	}
	text, err := encode(data)
	if err != nil {
		return Stored{}, err
	}
	said := judge.Message{User: m.User().ID, ID: id, Data: short(text)}
	m.add(judge.Event{Kind: judge.Publishing, Room: room, Message: said})
	lose, early := m.losesAck(id)
	if lose {
		c.deafen()
	}
	var stored Stored
	var refused error
	answered, err := c.request("publish", map[string]any{"room": room, "id": id, "data": json.RawMessage(text)}, func(text json.RawMessage) {
		if refused = decode(text, &stored); refused != nil {
			m.add(judge.Event{Kind: judge.Refused, Room: room, Note: id + ": " + refused.Error()})
			return
		}
		said.Seq, said.Offset = stored.Seq, stored.Offset
		m.add(judge.Event{Kind: judge.Stored, Room: room, Message: said, Duplicate: stored.Duplicate})
	})
	if err != nil {
		if lose {
			m.keepsAck()
		}
		return stored, err
	}
	if early {
		c.cut()
	}
	err = c.await(ctx, answered)
	m.afterPublish(id, lose && errors.Is(err, errGone), stored)
	return stored, errors.Join(err, refused)
}

// Signal sends what nobody stores.
func (m *Client) Signal(room string, data any) {
	m.t.Helper()
	if err := m.connection().emit(m.t.Context(), "signal", map[string]any{"room": room, "data": data}); err != nil {
		m.t.Fatalf("%s signals: %v", m.options.As, err)
	}
}

// History asks for messages older than an offset; "" means the newest.
func (m *Client) History(room, before string, limit int) (page Page) {
	m.t.Helper()
	body := map[string]any{"room": room, "limit": limit}
	if before != "" {
		body["before"] = before
	}
	err := m.ask("history", body, func(text json.RawMessage) error {
		var in struct {
			Messages []wireMessage
			More     bool
		}
		err := json.Unmarshal(text, &in)
		page = Page{judged(in.Messages), in.More}
		return err
	})
	if err != nil {
		m.t.Fatalf("%s reads the history of %s: %v", m.options.As, room, err)
	}
	return page
}

// Members asks who is in a room.
func (m *Client) Members(room string) (count int, members []User) {
	m.t.Helper()
	err := m.ask("members", map[string]any{"room": room}, func(text json.RawMessage) error {
		var in struct {
			Count   int
			Members []User
		}
		err := json.Unmarshal(text, &in)
		count, members = in.Count, in.Members
		return err
	})
	if err != nil {
		m.t.Fatalf("%s asks who is in %s: %v", m.options.As, room, err)
	}
	return count, members
}
