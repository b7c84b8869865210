package client

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"setu/relay/socketio"
)

// Kinds of annotations.
const (
	Reaction = "reaction"
	Edit     = "edit"
	Delete   = "delete"
)

var errReaction = errors.New("client: a reaction must be UTF-8 and not empty")

// Annotations is how what was said of a message stands.
type Annotations struct {
	Rev       int64                    `json:"rev"` // of the newest one
	Reactions map[string]ReactionCount `json:"reactions"`
	Edited    *Edited                  `json:"edited"` // nil: never
	Deleted   bool                     `json:"deleted"`
}

// ReactionCount is how many users have given a reaction, and whether this one is among them.
type ReactionCount struct {
	Count int  `json:"count"`
	Me    bool `json:"me"`
}

// Edited is when a message was last edited.
type Edited struct {
	At int64 `json:"at"` // ms since 1970 by the store's clock
}

// Annotation is what somebody says of a message: a reaction, an edit, or that it is deleted.
//
// After a rejoin one may come again: if its Rev is no higher than that of the message's Annotations it
// says nothing new.
type Annotation struct {
	Room   string          `json:"room"`
	Offset string          `json:"offset"` // of the message
	Seq    int64           `json:"seq"`    // likewise
	Kind   string          `json:"kind"`
	Value  json.RawMessage `json:"value"`  // a reaction: a string; an edit: what the message's data is now; null if it was deleted since
	Remove bool            `json:"remove"` // the reaction is taken back
	Count  int             `json:"count"`  // how many users have given the reaction, this one counted
	From   User            `json:"from"`
	At     int64           `json:"at"`  // ms since 1970 by the store's clock
	Rev    int64           `json:"rev"` // counts the message's annotations from 1

	Attachments [][]byte `json:"-"` // of an edit, as a Message's
	Recovered   bool     `json:"-"` // it was missed while there was no connection
}

func (a *Annotation) attach(all [][]byte) { a.Value, a.Attachments = selectAttachments(a.Value, all) }

// Reaction returns the value of a reaction; empty if it is none.
func (a Annotation) Reaction() (value string) {
	if a.Kind == Reaction {
		_ = json.Unmarshal(a.Value, &value) // a string
	}
	return value
}

// With returns how the annotations stand after one more. me is the id of the user who sees them.
func (n Annotations) With(a Annotation, me string) Annotations {
	if a.Rev <= n.Rev {
		return n
	}
	n.Rev = a.Rev
	switch a.Kind {
	case Reaction:
		was := n.Reactions
		n.Reactions = make(map[string]ReactionCount, len(was)+1)
		for value, r := range was {
			n.Reactions[value] = r
		}
		value := a.Reaction()
		r := ReactionCount{a.Count, was[value].Me}
		if a.From.ID == me {
			r.Me = !a.Remove
		}
		if n.Reactions[value] = r; r.Count <= 0 {
			delete(n.Reactions, value)
		}
	case Edit:
		n.Edited = &Edited{a.At}
	case Delete:
		n = Annotations{Rev: a.Rev, Deleted: true}
	}
	return n
}

// Annotated is what became of an annotation.
type Annotated struct {
	Room      string `json:"room"`
	Rev       int64  `json:"rev"`
	Offset    string `json:"offset"` // of the annotation
	At        int64  `json:"at"`
	Count     int    `json:"count"`     // of a reaction
	Duplicate bool   `json:"duplicate"` // it was so already, and nobody is told
}

type annotateRequest struct {
	Room   string `json:"room"`
	Offset string `json:"offset"`
	Kind   string `json:"kind"`
	Remove bool   `json:"remove,omitempty"`
	ID     string `json:"id"`
}

// React gives a reaction to the message at an offset, or takes it back. It waits until that is stored, as
// Publish does, and does not wait for other publishes. One that was given already stays so.
func (c *Client) React(ctx context.Context, room, offset, reaction string, remove bool) (Annotated, error) {
	if reaction == "" || !utf8.ValidString(reaction) {
		return Annotated{}, errReaction
	}
	value, err := encode(reaction)
	if err != nil {
		return Annotated{}, err
	}
	return c.annotate(ctx, annotateRequest{Room: room, Offset: offset, Kind: Reaction, Remove: remove}, value, nil)
}

// EditMessage replaces what one's own message at an offset says. Data and attachments are what they are
// for PublishBinary.
func (c *Client) EditMessage(ctx context.Context, room, offset string, data any, attachments [][]byte) (Annotated, error) {
	value, err := encode(data)
	if err != nil {
		return Annotated{}, err
	}
	if err := checkAttachments(value, attachments); err != nil {
		return Annotated{}, err
	}
	return c.annotate(ctx, annotateRequest{Room: room, Offset: offset, Kind: Edit}, value, cloneEach(attachments))
}

// DeleteMessage deletes one's own message at an offset: what it said is gone for good.
func (c *Client) DeleteMessage(ctx context.Context, room, offset string) (Annotated, error) {
	return c.annotate(ctx, annotateRequest{Room: room, Offset: offset, Kind: Delete}, nil, nil)
}

func (c *Client) annotate(ctx context.Context, in annotateRequest, value json.RawMessage, attachments [][]byte) (Annotated, error) {
	if err := checkRoom(in.Room); err != nil {
		return Annotated{}, err
	}
	var b [9]byte
	random(b[:])
	in.ID = base64.RawURLEncoding.EncodeToString(b[:])
	body := eventBody("annotate", in)
	if value != nil {
		body = withMembers(body, append([]byte(`,"value":`), value...))
	}
	if _, err := socketio.Parse(append([]byte{byte(socketio.Event)}, body...)); err != nil {
		return Annotated{}, fmt.Errorf("client: data: %w", err)
	}
	q := newCall("annotate", in.Room, body)
	q.attachments, q.retryable = attachments, true
	q.expiresAt = time.Now().Add(c.options.PublishTimeout)
	var out Annotated
	err := c.request(ctx, q, &out)
	return out, err
}

// receiveAnnotation handles a live annotation. One that comes before the answer to a join is in that.
func (c *Client) receiveAnnotation(a Annotation, offset string) {
	if r := c.rooms[a.Room]; r != nil && r.joined {
		c.deliverAnnotation(a)
		r.setOffset(offset)
	}
}

func (c *Client) deliverAnnotation(a Annotation) {
	if h := c.options.Handler.Annotation; h != nil {
		c.emit(func() { h(a) })
	}
}
