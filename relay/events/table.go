package events

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"setu/relay/broker"
	"setu/relay/engineio"
	"setu/relay/limit"
	"setu/relay/metrics"
	"setu/relay/namespace"
	"setu/relay/room"
	"setu/relay/socketio"
)

// Bounds of what requests may name.
const (
	maxRoom = 200 // bytes
	maxID   = 64  // characters of a publish id
	maxPage = 256 // messages of one answer; a relay that keeps fewer has fewer
)

// handler answers a batch of events of one name, in their order.
type handler func(ctx context.Context, c *connection, batch []namespace.Event)

// row is an event of the table: what it is limited as, and what answers it.
type row struct {
	kind   limit.Kind
	handle handler
}

// table is the contract with clients: what they may send, and what answers it.
var table = map[string]row{
	"join":     each(limit.Join, join),
	"leave":    each(limit.Event, leave),
	"publish":  {limit.Publish, publish},
	"annotate": {limit.Publish, annotate},
	"signal":   each(limit.Signal, signal),
	"history":  each(limit.History, history),
	"members":  each(limit.History, members),
	"token":    each(limit.Event, renew),
	"ping":     each(limit.Event, ping),
	"relays":   each(limit.Event, relays),
}

// each is the row of events that are answered one by one.
func each(k limit.Kind, answer func(context.Context, *connection, namespace.Event) error) row {
	return row{k, perEvent(k, answer)}
}

// KindOf returns what events of a name are limited as.
func (root *Root) KindOf(name []byte) limit.Kind {
	if r, ok := table[string(name)]; ok {
		return r.kind
	}
	if rule, ok := root.lobbyEvents.of(string(name)); ok {
		return rule.kind()
	}
	return limit.Event
}

// perEvent makes a handler of a function that answers one request, which is limited as this kind.
func perEvent(k limit.Kind, answer func(context.Context, *connection, namespace.Event) error) handler {
	return func(ctx context.Context, c *connection, batch []namespace.Event) {
		for _, e := range batch {
			if !c.WaitLowWater(ctx) {
				return // the session ended
			}
			if !c.spend(k, e) {
				continue
			}
			if err := answer(ctx, c, e); err != nil {
				c.fail(e, err)
			}
		}
	}
}

// Handle implements namespace.Handler.
func (c *connection) Handle(ctx context.Context, batch []namespace.Event) {
	switch {
	case batch[0].TooLarge:
		perEvent(limit.Event, tooLarge)(ctx, c, batch)
	case batch[0].TooDeep:
		perEvent(limit.Event, tooDeep)(ctx, c, batch)
	default:
		c.root.handlerOf(batch[0].Name)(ctx, c, batch)
	}
}

// handlerOf returns who handles events of a name: the first that knows it.
func (root *Root) handlerOf(name string) handler {
	if r, ok := table[name]; ok {
		return r.handle
	}
	if rule, ok := root.lobbyEvents.of(name); ok {
		return rule.handle
	}
	if root.hooks.Asks(metrics.HookEvent) {
		return perEvent(limit.Event, askEvent)
	}
	return perEvent(limit.Event, unknown)
}

func tooLarge(context.Context, *connection, namespace.Event) error {
	return &fault{Code: codeTooLarge, Message: "an event may have maxPayload bytes, its attachments included"}
}

func tooDeep(context.Context, *connection, namespace.Event) error {
	return badRequest("arrays and objects may be nested " + strconv.Itoa(socketio.MaxDepth) + " deep, the event's own two included")
}

func unknown(_ context.Context, _ *connection, e namespace.Event) error {
	return badRequest("unknown event " + strconv.QuoteToASCII(clip(e.Name)))
}

func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

// Codes of failed requests: a closed list.
const (
	codeBadRequest  = "bad_request" // the request is not as the table says
	codeNotJoined   = "not_joined"  // it takes membership of the room
	codeTooLarge    = "too_large"   // more than a limit that welcome told
	codeGap         = "gap"         // the history asked for is no more
	codeUnavailable = "unavailable" // the store does not answer; try again after retry ms

	codeUnauthorized = "unauthorized" // no token, or one that does not hold
	codeForbidden    = "forbidden"    // a right is missing, which the fault names
	codeRevoked      = "revoked"      // the user, the token or the session was revoked
	codeMuted        = "muted"        // the user may not speak; try again after retry ms

	codeRateLimited = "rate_limited" // too often; try again after retry ms
	codeFull        = "full"         // the room has as many members as it may
)

// retryAfter is how long a client is told to wait if the store does not answer.
const retryAfter = time.Second

// fault is why a request failed, as its sender is told.
type fault struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Retry   int64  `json:"retry,omitempty"` // ms
	Right   string `json:"right,omitempty"` // that is missing
}

func (f *fault) Error() string { return f.Message }

func badRequest(message string) *fault { return &fault{Code: codeBadRequest, Message: message} }

func notJoined() *fault { return &fault{Code: codeNotJoined, Message: "join the room first"} }

// faultOf returns what err means to a client.
func faultOf(err error) *fault {
	var f *fault
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, broker.ErrGap):
		return &fault{Code: codeGap, Message: "that history is no more"}
	case errors.Is(err, room.ErrElsewhere):
		return badRequest("before must be an offset of this room")
	case errors.Is(err, room.ErrFull):
		return &fault{Code: codeFull, Message: "the room is full"}
	}
	return &fault{Code: codeUnavailable, Message: "the message store does not answer", Retry: retryAfter.Milliseconds()}
}

// Fault says what an error means, as clients are told: a code, a text, and how long to wait before it is
// tried again, or 0.
func Fault(err error) (code, message string, retry time.Duration) {
	f := faultOf(err)
	return f.Code, f.Message, time.Duration(f.Retry) * time.Millisecond
}

// failure is the answer to a request that failed. A publish that may have been stored for all that is
// named: who tries again under the same id adds nothing.
type failure struct {
	OK    bool   `json:"ok"` // false
	Room  string `json:"room,omitempty"`
	ID    string `json:"id,omitempty"`
	Error *fault `json:"error"`
}

// fail tells the sender, and nobody else, what was wrong.
func (c *connection) fail(e namespace.Event, err error) {
	c.answerFailure(e, failure{Error: faultOf(err)})
}

func (c *connection) answerFailure(e namespace.Event, body failure) {
	c.root.countRefused(body.Error.Code)
	if e.WantsAck() {
		c.ack(e, body)
		return
	}
	if !c.MayTell() {
		return
	}
	c.emitFailure(body)
}

// countRefused counts what is refused to whoever may not have it, or has too much of it.
func (root *Root) countRefused(code string) {
	switch code {
	case codeUnauthorized, codeForbidden, codeRevoked, codeRateLimited, codeFull:
		root.metrics.Refusals.Of(metrics.Limit(code)).Inc()
	}
}

// emitError tells the client of a fault that no request of its own has brought about.
func (c *connection) emitError(f *fault) { c.emitFailure(failure{Error: f}) }

func (c *connection) emitFailure(body failure) { c.Emit(errorEvent(body)) }

// emitLast is emitError for what comes right before the connection's end: it goes before all that is held, which is
// dropped then.
func (c *connection) emitLast(f *fault) { c.EmitBypass(errorEvent(failure{Error: f})) }

func errorEvent(body failure) []byte {
	data, _ := json.Marshal(body) // strings, a bool and a number
	return append(append([]byte(`["error_event",`), data...), ']')
}

// ack answers e with one object, if it asked for an answer.
func (c *connection) ack(e namespace.Event, body any) {
	if !e.WantsAck() {
		return
	}
	data, err := json.Marshal(body)
	if err != nil {
		c.root.log.Error("cannot encode an answer", "event", e.Name, "error", err)
		return
	}
	c.ackWith(e, len(data), func(dst []byte) []byte { return append(dst, data...) })
}

// ackWith answers e with an object of about size bytes that write appends to its argument.
func (c *connection) ackWith(e namespace.Event, size int, write func(dst []byte) []byte, attachments ...[]byte) {
	if e.WantsAck() {
		c.Send(c.objectFrame(e, size, write, attachments...))
	}
}

// objectFrame returns an ack whose one argument is the object that write appends. The client's address has paid for it.
func (c *connection) objectFrame(e namespace.Event, size int, write func(dst []byte) []byte, attachments ...[]byte) *engineio.Frame {
	array := func(dst []byte) []byte { return append(write(append(dst, '[')), ']') }
	f := c.AckFrame(e, size+2, array, attachments...)
	c.PayFor(f)
	return f
}

// decodeRequest decodes a request's object into want and checks the room that it names.
func decodeRequest(e namespace.Event, want any, name *string) error {
	if len(e.Args) != 1 || e.Args[0][0] != '{' {
		return badRequest(e.Name + " takes one object")
	}
	if err := decode(e.Args[0], want); err != nil {
		return badRequest(e.Name + ": " + err.Error())
	}
	return checkRoom(*name)
}

// decodeName is decodeRequest for requests that a room's name alone will do for.
func decodeName(e namespace.Event, want any, name *string) error {
	switch {
	case len(e.Args) != 1 || e.Args[0][0] != '"' && e.Args[0][0] != '{':
		return badRequest(e.Name + " takes one object, or the name of a room")
	case e.Args[0][0] == '{':
		return decodeRequest(e, want, name)
	}
	var err error
	if *name, err = text(e.Args[0]); err != nil {
		return badRequest(e.Name + ": room " + err.Error())
	}
	return checkRoom(*name)
}

// checkRoom returns an error if no room can have this name.
func checkRoom(name string) error {
	if name == "" || len(name) > maxRoom || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return badRequest("room must be 1 to 200 bytes of UTF-8 without control characters")
	}
	return nil
}
