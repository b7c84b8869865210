package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"setu/relay/events"
	"setu/relay/metrics"
)

// Annotation is what is said of a message.
type Annotation struct {
	Kind   string          `json:"kind" enum:"reaction,edit,delete"`
	Value  json.RawMessage `json:"value,omitzero" required:"false" doc:"of a reaction: text of 1 to 64 bytes; of an edit: the message's data from then on, any JSON"`
	Remove bool            `json:"remove,omitzero" required:"false" doc:"of a reaction: it is taken back"`
	ID     string          `json:"id,omitzero" required:"false" doc:"of an edit, 1 to 64 characters: the same user's repeat, over any relay, changes nothing"`
	As     *Sender         `json:"as,omitzero" required:"false" doc:"whom it is from; by default the key: {id: app:NAME, name: NAME}"`
}

// Annotated says that an annotation is stored.
type Annotated struct {
	Room      string `json:"room"`
	Rev       uint64 `json:"rev" doc:"counts the message's annotations from 1"`
	Offset    string `json:"offset,omitzero" required:"false" doc:"names the annotation; a duplicate has none"`
	At        int64  `json:"at,omitzero" required:"false" doc:"milliseconds since 1970, by the store's clock"`
	Count     *int   `json:"count,omitzero" required:"false" nullable:"false" doc:"of a reaction: how many users have given it"`
	Duplicate bool   `json:"duplicate,omitzero" required:"false" doc:"it was so before"`
}

// Reaction is how many users have given a reaction.
type Reaction struct {
	Count int `json:"count"`
}

// Edited is when a message was last edited.
type Edited struct {
	At int64 `json:"at" doc:"milliseconds since 1970, by the store's clock"`
}

// Annotations is how what was said of a message stands.
type Annotations struct {
	Rev       uint64              `json:"rev"`
	Reactions map[string]Reaction `json:"reactions,omitzero" required:"false"`
	Edited    *Edited             `json:"edited,omitzero" required:"false"`
	Deleted   bool                `json:"deleted,omitzero" required:"false" doc:"its data is null"`
}

type annotateInput struct {
	Room   string `path:"room"`
	Offset string `path:"offset" doc:"the message's"`
	Body   Annotation
}

type annotatedOutput struct {
	Status int
	Body   Annotated
}

func (a *API) registerAnnotate() {
	op := a.of(operation{metrics.OperationAnnotate, "annotate", Publish, http.MethodPost, "rooms/{room}/messages/{offset}/annotations", "React, edit, delete",
		"Says something of one message, which all members of the room hear. Messages of others than the user whom it is from take a key with manage, too, to edit or delete.", http.StatusCreated, a.cfg.MaxPayload*2 + wrapping})
	a.mayRepeat(&op, "It was so before", typeOf[Annotated]())
	huma.Register(a.huma, op, a.annotate)
}

func (a *API) annotate(ctx context.Context, in *annotateInput) (*annotatedOutput, error) {
	from, err := sender(ctx, in.Body.As)
	if err != nil {
		return nil, problemOf(err)
	}
	b := in.Body
	n, err := a.root.NewAnnotation(in.Room, in.Offset, from, events.Remark{Kind: b.Kind, Value: b.Value, Remove: b.Remove, ID: b.ID})
	if err != nil {
		return nil, problemOf(err)
	}
	n.Any = askedOf(ctx).key.has(Manage)
	done, err := a.root.Annotate(ctx, n)
	if err != nil {
		return nil, problemOf(err)
	}
	out := &annotatedOutput{http.StatusCreated, Annotated{Room: n.Room, Rev: done.Rev, At: done.At, Duplicate: done.Duplicate}}
	if b.Kind == "reaction" {
		out.Body.Count = &done.Count
	}
	if done.Duplicate {
		out.Status = http.StatusOK
	} else {
		out.Body.Offset = done.Offset.String()
	}
	return out, nil
}
