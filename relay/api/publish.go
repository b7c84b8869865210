package api

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"setu/relay/broker"
	"setu/relay/events"
	"setu/relay/metrics"
)

// Sender is the user whom something is from.
type Sender struct {
	ID   string `json:"id" minLength:"1" doc:"the user's public id"`
	Name string `json:"name,omitzero" required:"false" doc:"what the user is called; by default the id"`
}

// Message is what is published: data, or a named event with args.
type Message struct {
	Data  json.RawMessage   `json:"data,omitzero" required:"false" doc:"any JSON, heard as message"`
	Event string            `json:"event,omitzero" required:"false" doc:"a name, in place of data: members hear event(...args, offset)"`
	Args  []json.RawMessage `json:"args,omitzero" required:"false" nullable:"false" doc:"the event's arguments, at most 254"`
	ID    string            `json:"id,omitzero" required:"false" minLength:"1" doc:"1 to 64 characters: the same user's repeat, over any relay, adds nothing, for at least 5 minutes and as long as the message is kept"`
	As    *Sender           `json:"as,omitzero" required:"false" doc:"whom it is from; by default the key: {id: app:NAME, name: NAME}"`
}

// RoomMessage is a message of a batch.
type RoomMessage struct {
	Room string `json:"room"`
	Message
}

// Receipt says that a message is stored.
type Receipt struct {
	Room      string `json:"room"`
	ID        string `json:"id"`
	Offset    string `json:"offset" doc:"names the message"`
	Seq       uint64 `json:"seq" doc:"counts the room's messages from 1"`
	At        int64  `json:"at" doc:"milliseconds since 1970, by the store's clock"`
	Duplicate bool   `json:"duplicate,omitzero" required:"false" doc:"it was stored before: by the same user, with the same id"`
}

// Result is what came of one message of a batch: a Receipt or a Problem.
type Result struct{ is any }

// Schema implements huma.SchemaProvider.
func (Result) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{r.Schema(typeOf[Receipt](), true, ""), r.Schema(typeOf[Problem](), true, "")}}
}

// MarshalJSON implements json.Marshaler.
func (r Result) MarshalJSON() ([]byte, error) { return json.Marshal(r.is) }

type publishInput struct {
	Room string `path:"room"`
	Key  string `header:"Idempotency-Key" doc:"the message's id"`
	Body Message
}

type receiptOutput struct {
	Status int
	Body   Receipt
}

func (a *API) registerPublish() {
	op := a.of(operation{metrics.OperationPublish, "publish", Publish, http.MethodPost, "rooms/{room}/messages", "Publish in a room",
		"Stores a message, or a named event, and has all members of the room hear it, in one order. It takes no membership.", http.StatusCreated, a.cfg.MaxPayload*2 + wrapping})
	a.mayRepeat(&op, "It was stored before", typeOf[Receipt]())
	huma.Register(a.huma, op, a.publish)
}

// mayRepeat documents that an operation that was done before is answered by 200, with the same body.
func (a *API) mayRepeat(op *huma.Operation, description string, body reflect.Type) {
	schema := a.huma.OpenAPI().Components.Schemas.Schema(body, true, "")
	op.Responses["200"] = &huma.Response{Description: description, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}
}

func (a *API) publish(ctx context.Context, in *publishInput) (*receiptOutput, error) {
	m := in.Body
	if key := strings.Trim(in.Key, `"`); key != "" { // the header may be a quoted string
		if m.ID != "" && m.ID != key {
			return nil, newProblem(codeBadRequest, "id and Idempotency-Key differ")
		}
		m.ID = key
	}
	p, err := a.publication(ctx, RoomMessage{in.Room, m})
	if err != nil {
		return nil, problemOf(err)
	}
	receipt, failed := receiptOf(p, a.root.Publish(ctx, p)[0])
	if failed != nil {
		return nil, failed
	}
	out := &receiptOutput{http.StatusCreated, receipt}
	if receipt.Duplicate {
		out.Status = http.StatusOK
	}
	return out, nil
}

// publication checks a message.
func (a *API) publication(ctx context.Context, m RoomMessage) (broker.Publication, error) {
	from, err := sender(ctx, m.As)
	if err != nil {
		return broker.Publication{}, err
	}
	return a.root.NewPublication(m.Room, m.ID, from, events.Content{Data: m.Data, Event: m.Event, Args: m.Args})
}

// sender returns whom something is from.
func sender(ctx context.Context, as *Sender) (broker.User, error) {
	if as == nil {
		return events.AppUser(askedOf(ctx).key.Name), nil
	}
	return events.As(as.ID, as.Name)
}

// receiptOf says what became of a publication.
func receiptOf(p broker.Publication, rc broker.Receipt) (Receipt, *Problem) {
	if rc.Err != nil {
		failed := problemOf(rc.Err)
		failed.Room, failed.ID = p.Room, p.ID
		return Receipt{}, failed
	}
	return Receipt{Room: p.Room, ID: p.ID, Offset: rc.Offset.String(), Seq: rc.Offset.Seq, At: rc.At, Duplicate: rc.Duplicate}, nil
}
