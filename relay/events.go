package relay

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"setu/relay/broker"
	"setu/relay/engineio"
	"setu/relay/room"
	"setu/relay/socketio"
)

// Codes of failed requests: a closed list.
const (
	codeBadRequest  = "bad_request" // the request is not as the table says
	codeNotJoined   = "not_joined"  // it takes membership of the room
	codeTooLarge    = "too_large"   // more than a limit that welcome told
	codeGap         = "gap"         // the history asked for is no more
	codeUnavailable = "unavailable" // the store does not answer; try again after retry ms
)

// retryAfter is what a client is told to wait where the store does not answer.
const retryAfter = time.Second

// Bounds of what requests may name.
const (
	maxRoom   = 200 // bytes
	maxID     = 64  // characters of a publish id
	maxJoined = 200 // rooms of one connection
	maxPage   = 256 // messages of one answer; a relay that keeps fewer has fewer
)

// handler answers a run of events of one name, in their order.
type handler func(ctx context.Context, m *member, run []Event)

// events is the contract with clients: event name -> handler.
var events = map[string]handler{
	"join":    each(join),
	"leave":   each(leave),
	"publish": publish,
	"signal":  each(signal),
	"history": each(history),
	"members": each(members),
	"ping":    each(ping),
}

// each makes a handler of a function that answers one request.
func each(one func(context.Context, *member, Event) error) handler {
	return func(ctx context.Context, m *member, run []Event) {
		for _, e := range run {
			if !m.WaitLull(ctx) {
				return // the session ended
			}
			if err := one(ctx, m, e); err != nil {
				m.fail(e, err)
			}
		}
	}
}

// Handle implements Events.
func (m *member) Handle(ctx context.Context, run []Event) {
	h, ok := events[run[0].Name]
	if !ok {
		h = each(unknown)
	}
	h(ctx, m, run)
}

func unknown(_ context.Context, _ *member, e Event) error {
	return badRequest("unknown event " + strconv.QuoteToASCII(clip(e.Name)))
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

// fault is why a request failed, as its sender is told.
type fault struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Retry   int64  `json:"retry,omitempty"` // ms
}

func (f *fault) Error() string { return f.Message }

// faultOf says to a client what err means for it.
func faultOf(err error) *fault {
	var f *fault
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, broker.ErrGap):
		return &fault{Code: codeGap, Message: "that history is no more"}
	}
	return &fault{Code: codeUnavailable, Message: "the message store does not answer", Retry: retryAfter.Milliseconds()}
}

// fail tells the sender, and nobody else, what was wrong.
func (m *member) fail(e Event, err error) {
	body := struct {
		OK    bool   `json:"ok"`
		Error *fault `json:"error"`
	}{Error: faultOf(err)}
	if e.hasID {
		m.ack(e, body)
		return
	}
	data, _ := json.Marshal(body) // strings, a bool and a number
	m.Emit(append(append([]byte(`["error_event",`), data...), ']'))
}

// ack answers e with one object, where it asked for an answer.
func (m *member) ack(e Event, body any) {
	if !e.hasID {
		return
	}
	data, err := json.Marshal(body)
	if err != nil {
		m.srv.log.Error("cannot encode an answer", "event", e.Name, "error", err)
		return
	}
	m.ackRaw(e, len(data), func(dst []byte) []byte { return append(dst, data...) })
}

// ackRaw answers e with an object of about size bytes that write appends to its argument.
func (m *member) ackRaw(e Event, size int, write func(dst []byte) []byte, attachments ...[]byte) {
	if e.hasID {
		m.Send(m.objectFrame(e, size, write, attachments...))
	}
}

func (m *member) objectFrame(e Event, size int, write func(dst []byte) []byte, attachments ...[]byte) *engineio.Frame {
	return m.ackFrame(e, size+2, func(dst []byte) []byte { return append(write(append(dst, '[')), ']') }, attachments...)
}

// read decodes a request's object into want and checks the room that it names.
func read(e Event, want any, name *string) error {
	if len(e.Args) != 1 || e.Args[0][0] != '{' {
		return badRequest(e.Name + " takes one object")
	}
	if err := json.Unmarshal(e.Args[0], want); err != nil {
		var field *json.UnmarshalTypeError
		if errors.As(err, &field) {
			return badRequest(e.Name + ": " + strconv.QuoteToASCII(field.Field) + " must not be a " + clip(field.Value))
		}
		return badRequest(e.Name + ": " + clip(err.Error()))
	}
	if n := *name; n == "" || len(n) > maxRoom || !utf8.ValidString(n) || strings.ContainsFunc(n, unicode.IsControl) {
		return badRequest("room must be 1 to 200 bytes of UTF-8 without control characters")
	}
	return nil
}

func badRequest(message string) *fault { return &fault{Code: codeBadRequest, Message: message} }

func join(ctx context.Context, m *member, e Event) error {
	var in struct {
		Room     string  `json:"room"`
		Since    *string `json:"since"`
		History  int     `json:"history"`
		Presence bool    `json:"presence"`
	}
	if err := read(e, &in, &in.Room); err != nil {
		return err
	}
	if in.History < 0 {
		return badRequest("history must not be negative")
	}
	o := room.JoinOptions{History: min(in.History, maxPage), Presence: in.Presence}
	if in.Since != nil {
		o.HasSince = true
		var err error
		if o.Since, err = broker.ParseOffset(*in.Since); err != nil {
			return badRequest("since must be an offset that a relay gave out")
		}
	}
	if len(m.rooms) >= maxJoined && !m.in(in.Room) {
		return &fault{Code: codeTooLarge, Message: "a connection may be in 200 rooms at a time"}
	}
	return m.join(ctx, e, in.Room, o)
}

// join enters a room. What comes meanwhile, of any room, is held until the answer is on its way, which says where the room
// stood: the broker knows it before the client does. Who joins again is sent the room's messages already, and has them before
// the answer that holds them, too.
func (m *member) join(ctx context.Context, e Event, name string, o room.JoinOptions) error {
	o.Keep = func(ctx context.Context, since broker.Offset) error {
		return m.kept.Join(ctx, broker.Membership{Room: name, Since: since, Presence: o.Presence})
	}
	again := m.in(name)
	if !again {
		m.out.hold()
		defer m.release()
	}
	err := m.srv.hub.Join(ctx, name, m, o, func(j room.Joined) {
		if e.hasID {
			m.SendAhead(m.objectFrame(e, j.Size()+len(name), func(dst []byte) []byte { return j.Append(dst, name) }, j.Attachments()...))
		}
	})
	switch {
	case err == nil && !again:
		m.rooms = append(m.rooms, name)
	case err != nil && !again:
		m.kept.Leave(name)
	}
	return err
}

func raw(texts []string) []json.RawMessage {
	out := make([]json.RawMessage, len(texts))
	for i, t := range texts {
		out[i] = json.RawMessage(t)
	}
	return out
}

func leave(_ context.Context, m *member, e Event) error {
	var in struct {
		Room string `json:"room"`
	}
	if err := read(e, &in, &in.Room); err != nil {
		return err
	}
	if at := slices.Index(m.rooms, in.Room); at >= 0 {
		m.rooms = slices.Delete(m.rooms, at, at+1)
		m.srv.hub.Leave(in.Room, m)
		m.kept.Leave(in.Room)
	}
	m.ack(e, struct {
		OK bool `json:"ok"`
	}{true})
	return nil
}

type published struct {
	OK        bool   `json:"ok"`
	Room      string `json:"room"`
	ID        string `json:"id"`
	Offset    string `json:"offset"`
	Seq       uint64 `json:"seq"`
	At        int64  `json:"at"`
	Duplicate bool   `json:"duplicate,omitempty"`
}

// publish stores a run of messages in one trip.
func publish(ctx context.Context, m *member, run []Event) {
	if !m.WaitLull(ctx) {
		return // the session ended
	}
	pubs := make([]broker.Publication, 0, len(run))
	asked := make([]Event, 0, len(run))
	for _, e := range run {
		p, err := m.publication(e)
		if err != nil {
			m.fail(e, err)
			continue
		}
		pubs, asked = append(pubs, p), append(asked, e)
	}
	if len(pubs) == 0 {
		return
	}
	for i, rc := range m.srv.hub.Publish(ctx, pubs...) {
		if rc.Err != nil {
			m.fail(asked[i], rc.Err)
			continue
		}
		m.ack(asked[i], published{OK: true, Room: pubs[i].Room, ID: pubs[i].ID, Offset: rc.Offset.String(),
			Seq: rc.Offset.Seq, At: rc.At, Duplicate: rc.Duplicate})
	}
}

func (m *member) publication(e Event) (p broker.Publication, err error) {
	var in struct {
		Room string          `json:"room"`
		ID   *string         `json:"id"`
		Data json.RawMessage `json:"data"`
	}
	if err = read(e, &in, &in.Room); err != nil {
		return p, err
	}
	p = broker.Publication{Room: in.Room, User: m.user.ID}
	switch {
	case !m.in(in.Room):
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
		p.Body, err = room.Body(p.ID, m.user, in.Data, e.Attachments...)
	}
	return p, err
}

// canonical is data with its placeholders in their one form. Without attachments there are none: data is as it is.
func canonical(data json.RawMessage, attachments [][]byte) (json.RawMessage, error) {
	if len(attachments) == 0 {
		return data, nil
	}
	return socketio.Canonical(data, len(attachments))
}

func notJoined() *fault {
	return &fault{Code: codeNotJoined, Message: "join the room first"}
}

func signal(_ context.Context, m *member, e Event) error {
	var in struct {
		Room string          `json:"room"`
		Data json.RawMessage `json:"data"`
	}
	if err := read(e, &in, &in.Room); err != nil {
		return err
	}
	if !m.in(in.Room) {
		return notJoined()
	}
	if in.Data == nil {
		in.Data = json.RawMessage("null")
	}
	data, err := canonical(in.Data, e.Attachments)
	if err != nil {
		return err
	}
	body, err := room.SignalBody(m.user, data, e.Attachments...)
	if err != nil {
		return err
	}
	m.srv.hub.Signal(in.Room, m.ID(), body)
	return nil
}

func history(ctx context.Context, m *member, e Event) error {
	var in struct {
		Room   string  `json:"room"`
		Before *string `json:"before"`
		Limit  int     `json:"limit"`
	}
	if err := read(e, &in, &in.Room); err != nil {
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
	messages, more, err := m.srv.hub.History(ctx, in.Room, before, in.Limit)
	if err != nil {
		return err
	}
	m.ackRaw(e, messages.Size()+48, func(dst []byte) []byte { // not through json, which would rewrite the messages
		dst = messages.Append(append(dst, `{"ok":true,"messages":`...))
		return append(strconv.AppendBool(append(dst, `,"more":`...), more), '}')
	}, messages.Attachments()...)
	return nil
}

func members(ctx context.Context, m *member, e Event) error {
	var in struct {
		Room string `json:"room"`
	}
	if err := read(e, &in, &in.Room); err != nil {
		return err
	}
	users, count, err := m.srv.hub.Members(ctx, in.Room)
	if err != nil {
		return err
	}
	list := raw(users)
	if users == nil && count > 0 { // too many: the count alone
		list = nil
	}
	m.ack(e, struct {
		OK      bool              `json:"ok"`
		Count   int               `json:"count"`
		Members []json.RawMessage `json:"members,omitzero"`
	}{true, count, list})
	return nil
}

// ping answers at once: it is how a client takes its round-trip time, since heartbeats are the server's.
func ping(_ context.Context, m *member, e Event) error {
	m.ack(e, struct {
		OK bool  `json:"ok"`
		At int64 `json:"at"`
	}{true, time.Now().UnixMilli()})
	return nil
}
