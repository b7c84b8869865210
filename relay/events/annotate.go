package events

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"setu/relay/auth"
	"setu/relay/broker"
	"setu/relay/hook"
	"setu/relay/limit"
	"setu/relay/metrics"
	"setu/relay/namespace"
	"setu/relay/room"
	"setu/relay/socketio"
)

// kinds are the kinds of annotations, by the names that clients have for them.
var kinds = map[string]broker.Kind{"reaction": broker.Reaction, "edit": broker.Edit, "delete": broker.Delete}

// annotated is the answer to an annotate.
type annotated struct {
	OK        bool   `json:"ok"`
	Room      string `json:"room"`
	Rev       uint64 `json:"rev"`
	Offset    string `json:"offset,omitempty"` // of the annotation; a duplicate has none
	At        int64  `json:"at,omitempty"`
	Count     *int   `json:"count,omitempty"` // of a reaction
	Duplicate bool   `json:"duplicate,omitempty"`
}

type annotateRequest struct {
	Room   string          `json:"room"`
	Offset string          `json:"offset"`
	Kind   string          `json:"kind"`
	Value  json.RawMessage `json:"value"`
	Remove bool            `json:"remove"`
	ID     *string         `json:"id"`
}

// Remark is what the application says of a message: Value is of a reaction a string, of an edit data, which has
// attachments as Content has them.
type Remark struct {
	Kind   string
	Value  json.RawMessage
	Remove bool
	ID     string // empty: it is given one
}

// NewAnnotation returns what has a remark stored, of the message at an offset.
func (root *Root) NewAnnotation(name, offset string, from broker.User, r Remark) (n Annotation, err error) {
	if err := checkRoom(name); err != nil {
		return n, err
	}
	in := annotateRequest{Room: name, Offset: offset, Kind: r.Kind, Value: r.Value, Remove: r.Remove}
	var attachments [][]byte
	if r.ID != "" {
		in.ID = &r.ID
	}
	if kinds[r.Kind] == broker.Edit && r.Value != nil {
		if _, in.Value, attachments, err = (Content{Data: r.Value}).lift(); err != nil {
			return n, err
		}
	}
	if size(attachments, in.Value) > root.maxPayload {
		return n, tooLarge(context.Background(), nil, namespace.Event{})
	}
	n, err = in.check(attachments)
	if n.From = from; n.ID == "" {
		n.ID = newPublishID()
	}
	return n, err
}

// annotate says something of one message: a reaction, or an edit or a delete of one's own. It counts as a
// publish.
func annotate(ctx context.Context, c *connection, batch []namespace.Event) {
	for _, e := range batch {
		if !c.WaitLowWater(ctx) {
			return // the session ended
		}
		if !c.spend(limit.Publish, e) {
			c.root.metrics.Publishes.Of(metrics.PublishRateLimited).Inc()
			continue
		}
		if err := c.annotate(ctx, e); err != nil {
			c.fail(e, err)
		}
	}
}

func (c *connection) annotate(ctx context.Context, e namespace.Event) error {
	n, err := c.annotation(e)
	if err == nil {
		n, err = c.askAnnotate(ctx, n)
	}
	if err != nil {
		c.root.metrics.Publishes.Of(metrics.PublishRefused).Inc()
		return err
	}
	done, err := c.root.Annotate(ctx, n)
	if err != nil {
		return err
	}
	c.ack(e, annotatedAs(n, done))
	return nil
}

// annotation checks an annotate.
func (c *connection) annotation(e namespace.Event) (n Annotation, err error) {
	var in annotateRequest
	if err = decodeRequest(e, &in, &in.Room); err != nil {
		return n, err
	}
	if err = c.may(in.Room, auth.Publish); err != nil {
		return n, err
	}
	if !c.in(in.Room) {
		return n, notJoined()
	}
	n, err = in.check(e.Attachments)
	if n.From = c.User(); n.ID == "" {
		n.ID = newPublishID()
	}
	return n, err
}

func annotatedAs(n Annotation, done broker.Annotated) annotated {
	out := annotated{OK: true, Room: n.Room, Rev: done.Rev, At: done.At, Duplicate: done.Duplicate}
	if !done.Offset.IsZero() {
		out.Offset = done.Offset.String()
	}
	if n.Kind == broker.Reaction {
		out.Count = &done.Count
	}
	return out
}

// check reads a request, whose data may have attachments.
func (in annotateRequest) check(attachments [][]byte) (n Annotation, err error) {
	n = Annotation{Room: in.Room, Remove: in.Remove, Attachments: attachments}
	if in.ID != nil {
		if n.ID = *in.ID; CheckID(n.ID) != nil {
			return n, CheckID(n.ID)
		}
	}
	if n.Target, err = broker.ParseOffset(in.Offset); err != nil {
		return n, badRequest("offset must be a message's")
	}
	if n.Kind = kinds[in.Kind]; n.Kind == 0 {
		return n, badRequest("kind must be reaction, edit or delete")
	}
	if len(attachments) > 0 && n.Kind != broker.Edit {
		return n, badRequest("only an edit may have attachments")
	}
	if in.Remove && n.Kind != broker.Reaction {
		return n, badRequest("only a reaction can be taken back")
	}
	switch {
	case n.Kind == broker.Reaction:
		if len(in.Value) == 0 || in.Value[0] != '"' {
			return n, badRequest("a reaction needs a value that is a string")
		}
		if n.Reaction, err = text(in.Value); err != nil {
			return n, badRequest("value " + err.Error())
		}
	case n.Kind == broker.Edit && in.Value == nil:
		return n, badRequest("an edit needs a value: the message's data from now on")
	case n.Kind == broker.Edit:
		n.Data, err = canonical(in.Value, attachments)
	case isThere(in.Value):
		return n, badRequest("a delete takes no value")
	}
	return n, err
}

// Annotation is what somebody says of a message.
type Annotation struct {
	Room        string
	Target      broker.Offset
	Kind        broker.Kind
	Reaction    string          // of a reaction
	Remove      bool            // likewise: it is taken back
	Data        json.RawMessage // of an edit
	Attachments [][]byte        // likewise; Data is canonical then
	From        broker.User
	ID          string // of an edit, for repeats
	Any         bool   // of an edit and a delete: whoever published the message
}

// checkReaction returns an error if no message can have this reaction.
func checkReaction(value string) error {
	if value == "" || len(value) > broker.MaxReaction || !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
		return badRequest("a reaction must be 1 to 64 bytes of UTF-8 without control characters")
	}
	return nil
}

// Annotate stores what is said of a message, as broker.Annotations has it.
func (root *Root) Annotate(ctx context.Context, n Annotation) (broker.Annotated, error) {
	a, err := root.newAnnotation(ctx, n)
	if err != nil {
		root.metrics.Publishes.Of(metrics.PublishRefused).Inc()
		return broker.Annotated{}, explain(err)
	}
	done, err := root.hub.Annotate(ctx, a)
	return done, explain(err)
}

// newAnnotation returns what has n stored, if its user may say that.
func (root *Root) newAnnotation(ctx context.Context, n Annotation) (broker.Annotation, error) {
	a := broker.Annotation{Room: n.Room, Target: n.Target, User: n.From.ID, ID: n.ID, Kind: n.Kind, Value: n.Reaction, Remove: n.Remove, About: n.From.Text()}
	if n.Kind == broker.Reaction {
		return a, checkReaction(n.Reaction)
	}
	about, err := root.hub.Message(ctx, n.Room, n.Target)
	if err != nil {
		return a, err
	}
	switch {
	case about.From.ID != n.From.ID && !n.Any:
		return a, &fault{Code: codeForbidden, Message: "only who published a message may edit or delete it"}
	case n.Kind == broker.Delete:
		a.Body = room.DeletedBody(about)
	case about.Deleted:
		return a, broker.ErrDeleted
	case about.Event:
		return a, badRequest("a named event can't be edited")
	default:
		a.Body = room.Body(about.ID, about.From, n.Data, n.Attachments...)
	}
	return a, err
}

// explain returns the fault that an annotation's error is; others remain.
func explain(err error) error {
	switch {
	case errors.Is(err, broker.ErrDeleted):
		return &fault{Code: codeGap, Message: "that message was deleted"}
	case errors.Is(err, broker.ErrGap):
		return &fault{Code: codeGap, Message: "that message is kept no more"}
	case errors.Is(err, broker.ErrCrowded):
		return &fault{Code: codeTooLarge, Message: "that message has as many reactions as it may"}
	}
	return err
}

// askAnnotate asks the app about a reaction or an edit, if it wants to be asked of publishes. What an edit
// says it may change.
func (c *connection) askAnnotate(ctx context.Context, n Annotation) (Annotation, error) {
	if !c.root.hooks.Asks(metrics.HookPublish) || n.Kind == broker.Delete || n.Remove {
		return n, nil
	}
	m := hook.Message{ID: n.ID, Annotates: &hook.Annotates{Offset: n.Target.String(), Kind: "edit"}}
	var err error
	if n.Kind == broker.Reaction {
		m.Annotates.Kind = "reaction"
		m.Data, err = json.Marshal(n.Reaction)
	} else {
		m.Data, err = socketio.ToBase64(n.Data, n.Attachments)
	}
	if err != nil {
		return n, badRequest(err.Error())
	}
	r := c.request(metrics.HookPublish)
	r.Entry = &hook.Entry{Room: n.Room, Message: &m}
	reply, err := c.askApp(ctx, r)
	if err == nil {
		err = c.apply(ctx, r, reply)
		c.finish(reply)
	}
	if err != nil || reply.Change == nil {
		return n, err
	}
	if n.Kind == broker.Reaction || reply.Change.Event != "" {
		_ = c.root.hooks.Complain(r, errors.New("only an edit can be changed, and only to data")) // which logs it
		return n, noApp()
	}
	n.Data, n.Attachments = reply.Change.Data.Values[0], reply.Change.Data.Attachments
	return n, nil
}
