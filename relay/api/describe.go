package api

import (
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"setu/relay/metrics"
)

// Members of an operation's Metadata.
const (
	rightKey     = "right"
	operationKey = "operation"
)

const description = `What an application asks of Setu: publish, read, and act on users, wherever they are connected.

Every relay answers for the whole fleet, and says in the header Setu-Relay which one it was. Requests and
answers are JSON (UTF-8, no name twice in an object); a failure is a problem of RFC 9457 with a code. A room,
and whoever is named in a path, is percent-encoded there. Binary in data and args is
{"$binary": "<base64>"}, of which at most 10 go with a message.

A key is sent as Authorization: Bearer SECRET, and nowhere else. It has some of the rights publish, read and
manage. What fails with 429 or 503 may be tried again after Retry-After: a publish with the same id adds
nothing then.`

// describe returns what there is before any operation.
func describe() huma.Config {
	doc := &huma.OpenAPI{OpenAPI: "3.1.0", Info: &huma.Info{Title: "Setu", Version: "1", Description: description},
		Components: &huma.Components{Schemas: huma.NewMapRegistry("#/components/schemas/", nameOf),
			SecuritySchemes: map[string]*huma.SecurityScheme{"key": {Type: "http", Scheme: "bearer", Description: "a secret of API_KEYS"}}}}
	return huma.Config{OpenAPI: doc, Formats: map[string]huma.Format{"application/json": asJSON, "json": asJSON}, DefaultFormat: "application/json",
		RejectUnknownQueryParameters: true, Transformers: []huma.Transformer{ours}}
}

// nameOf names schemas by their Go types, as they are.
func nameOf(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	return strings.ToUpper(name[:1]) + name[1:]
}

// operation is what all operations say of themselves.
type operation struct {
	op      metrics.Operation
	id      string
	right   Right
	method  string
	path    string // below Path
	summary string
	about   string
	status  int
	body    int // bytes at most; 0: what names something
}

// of returns an operation as huma has it.
func (a *API) of(o operation) huma.Operation {
	if o.body == 0 {
		o.body = wrapping
	}
	problem := a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	relay := map[string]*huma.Param{"Setu-Relay": {Description: "RELAY_ID of the relay that answered", Schema: &huma.Schema{Type: huma.TypeString}}}
	return huma.Operation{OperationID: o.id, Method: o.method, Path: Path + o.path, Summary: o.summary, Description: o.about,
		DefaultStatus: o.status, MaxBodyBytes: int64(o.body) + 1, BodyReadTimeout: max(a.cfg.BodyTimeout, time.Millisecond),
		Tags: []string{string(o.right)}, Security: []map[string][]string{{"key": {string(o.right)}}},
		Metadata: map[string]any{rightKey: o.right, operationKey: o.op},
		Responses: map[string]*huma.Response{
			"default": {Description: "A problem: what its code says", Headers: relay,
				Content: map[string]*huma.MediaType{"application/problem+json": {Schema: problem}}},
			statusText(o.status): {Description: http.StatusText(o.status), Headers: relay},
		}}
}

func statusText(status int) string { return strconv.Itoa(status) }

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }
