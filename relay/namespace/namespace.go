// Package namespace speaks Socket.IO v5 over a session of Engine.IO: packets, namespaces,
// acknowledgements and attachments. What clients say there is for the handlers of a Namespace.
package namespace

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"setu/relay/engine"
	"setu/relay/metrics"
	"setu/relay/socketio"
)

// Namespace is one namespace: whoever connects to it is given a Handler of his events.
type Namespace interface {
	// Connect takes a CONNECT with its payload, which is JSON or nothing. It answers with c.Accept and
	// returns the handler of the client's events, or returns why not, which the client is told by
	// CONNECT_ERROR: that stops a stock client's reconnecting, so it is only for what won't change. ctx
	// ends with the connection.
	Connect(ctx context.Context, c *Conn, auth json.RawMessage) (Handler, error)
}

// Handler handles what one client sends in one namespace. Its methods are called one at a time.
type Handler interface {
	// Handle takes a batch of events of one name, in their order. ctx ends with the connection.
	Handle(ctx context.Context, batch []Event)
	// Left is called once, when the client has left the namespace. goodbye says that it asked to;
	// else its connection is gone.
	Left(goodbye bool)
}

// Event is an event, or the answer to one of ours.
type Event struct {
	Name        string
	Args        []json.RawMessage
	Attachments [][]byte // what placeholders in Args stand for

	// TooDeep says that what came is nested deeper than socketio.MaxDepth: there is no Name then, and
	// no Args.
	TooDeep bool

	// Overdrawn is zero unless the client has sent more bytes than it may, and the event is to be
	// refused: then it is how long it is until the event may come again.
	Overdrawn time.Duration

	// TooLarge says that what came is larger than MaxPayload, attachments included: nothing but the
	// wish for an answer is left of it.
	TooLarge bool

	kind      socketio.Type
	namespace string
	id        uint64 // of the ack that is wanted or given
	hasID     bool

	task *task // nil, but for what is no event
}

// WantsAck reports whether the client waits for an answer.
func (e *Event) WantsAck() bool { return e.hasID }

// drop lets go of all that is large of an event that is too large.
func (e *Event) drop() {
	e.TooLarge = true
	e.Name, e.Args, e.Attachments = "", nil, nil
}

// size is what the event holds, in bytes.
func (e *Event) size() (n int) {
	for _, a := range e.Args {
		n += len(a)
	}
	for _, a := range e.Attachments {
		n += len(a)
	}
	return n
}

// joins reports whether e may be handled in one batch with o.
func (e *Event) joins(o *Event) bool {
	return e.task == nil && o.task == nil && e.kind == socketio.Event && o.kind == socketio.Event && e.Name == o.Name &&
		e.TooDeep == o.TooDeep && e.TooLarge == o.TooLarge && e.namespace == o.namespace
}

// ErrComeBack, as an error of Connect, has the client's session closed, so that a stock client connects
// again by itself. After CONNECT_ERROR it would not.
var ErrComeBack = errors.New("namespace: the client is to come back")

// ConnectError is an error of Connect that tells programs its kind, as data.code of the
// CONNECT_ERROR.
type ConnectError struct {
	Code, Message string
	Retry         time.Duration // after which it may be tried again; zero: there is nothing to wait for
}

func (e *ConnectError) Error() string { return e.Message }

// Config is what clients are bounded by.
type Config struct {
	// ConnectTimeout is how long a client may be connected to no namespace. Zero: 45 s, as in the
	// stock server.
	ConnectTimeout time.Duration
	// MaxPayload bounds a packet with its attachments, in bytes. Zero: 1,000,000.
	MaxPayload int
	// Metrics count what happens. Nil: nobody reads them.
	Metrics *metrics.Metrics
}

// Serve returns what makes the handler of an engine's sessions: it speaks Socket.IO and serves
// these namespaces, by name.
func Serve(cfg Config, spaces map[string]Namespace) func(*engine.Session) engine.Handler {
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 45 * time.Second
	}
	if cfg.MaxPayload == 0 {
		cfg.MaxPayload = 1_000_000
	}
	if cfg.Metrics == nil {
		cfg.Metrics = metrics.New()
	}
	return func(s *engine.Session) engine.Handler {
		c := &client{cfg: cfg, session: s, spaces: spaces}
		c.changed.L = &c.mu
		s.SetConnectDeadline(cfg.ConnectTimeout)
		return c
	}
}
