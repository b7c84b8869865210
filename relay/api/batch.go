package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"setu/relay/broker"
	"setu/relay/metrics"
)

// Batch is some messages, each of which is judged by itself.
type Batch struct {
	Messages []RoomMessage `json:"messages" minItems:"1" maxItems:"1000" nullable:"false"`
}

type batchInput struct {
	Body struct {
		Messages []json.RawMessage `json:"messages"`
	}
}

type batchOutput struct {
	Body struct {
		Results []Result `json:"results" nullable:"false" doc:"in the messages' order: a receipt, or a problem"`
	}
}

// registerBatch describes a batch by what its messages are. A request is held against less: what is no
// message fails by itself, and not all of the batch with it.
func (a *API) registerBatch() {
	op := a.of(operation{metrics.OperationBatch, "publishBatch", Publish, http.MethodPost, "messages", "Publish in many rooms",
		"At most 1,000 messages, which are stored in their order. Each is stored, or fails, by itself, and has an id of its own: an Idempotency-Key is not looked at.",
		http.StatusOK, a.cfg.MaxPayload*batchBytes + wrapping})
	described := a.huma.OpenAPI().Components.Schemas.Schema(typeOf[Batch](), true, "")
	strict := a.huma.OpenAPI().Components.Schemas.SchemaFromRef(described.Ref)
	list := *strict.Properties["messages"]
	list.Items = &huma.Schema{}
	loose := *strict
	loose.Properties = map[string]*huma.Schema{"messages": &list}
	loose.PrecomputeMessages()
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: &loose}}}
	huma.Register(a.huma, op, a.publishBatch)
	op.RequestBody.Content["application/json"].Schema = described
}

// batchStep is how many messages of a batch make one trip.
const batchStep = 100

func (a *API) publishBatch(ctx context.Context, in *batchInput) (*batchOutput, error) {
	a.rates.Debit(askedOf(ctx).key.Name, len(in.Body.Messages)-1)
	out := &batchOutput{}
	out.Body.Results = make([]Result, len(in.Body.Messages))
	var pubs []broker.Publication
	var at []int // of pubs, in the results
	for i, text := range in.Body.Messages {
		p, err := a.batched(ctx, i, text)
		if err != nil {
			out.Body.Results[i] = Result{problemOf(err)}
			continue
		}
		pubs, at = append(pubs, p), append(at, i)
	}
	away := false // then nothing more is tried: each trip takes its time
	for len(pubs) > 0 {
		n := min(len(pubs), batchStep)
		var receipts []broker.Receipt
		if !away {
			receipts = a.root.Publish(ctx, pubs[:n]...)
		}
		for i, p := range pubs[:n] {
			rc := broker.Receipt{Err: broker.ErrUnavailable}
			if !away {
				rc = receipts[i]
			}
			out.Body.Results[at[i]] = result(receiptOf(p, rc))
		}
		away = away || !errors.Is(receipts[n-1].Err, nil)
		pubs, at = pubs[n:], at[n:]
	}
	return out, nil
}

// batched reads and checks one message of a batch, as the body of publish is.
func (a *API) batched(ctx context.Context, i int, text json.RawMessage) (p broker.Publication, err error) {
	var is any
	var m RoomMessage
	if err := asJSON.Unmarshal(text, &is); err != nil {
		return p, newProblem(codeBadRequest, err.Error())
	}
	schemas := a.huma.OpenAPI().Components.Schemas
	at := huma.NewPathBuffer(nil, 0)
	at.Push("body.messages")
	at.PushIndex(i)
	var res huma.ValidateResult
	if huma.Validate(schemas, schemas.Schema(typeOf[RoomMessage](), true, ""), at, huma.ModeWriteToServer, is, &res); len(res.Errors) > 0 {
		return p, unprocessable(res.Errors)
	}
	if err := asJSON.Unmarshal(text, &m); err != nil {
		return p, newProblem(codeBadRequest, fmt.Sprintf("body.messages[%d]: %v", i, err))
	}
	return a.publication(ctx, m)
}

func result(r Receipt, failed *Problem) Result {
	if failed != nil {
		return Result{failed}
	}
	return Result{r}
}
