package relay

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"setu/relay/engineio"
	"setu/relay/socketio"
)

// Namespace is one namespace of Socket.IO: whoever connects to it speaks by the table of events that it gives him.
type Namespace interface {
	// Connect takes a CONNECT with its payload, which is JSON or nothing. It answers with c.Accept and returns who handles the
	// events, or returns why not, which the client is told by CONNECT_ERROR: that stops a stock client's reconnecting, so only
	// for what won't change. ctx ends with the connection.
	Connect(ctx context.Context, c *Conn, auth json.RawMessage) (Events, error)
}

// Events handles what one client sends in one namespace. Its methods are called one at a time.
type Events interface {
	// Handle takes a run of events of one name, in their order. ctx ends with the connection.
	Handle(ctx context.Context, run []Event)
	// Left is called once, when the client has left the namespace. bye tells that it said so; else its connection is gone.
	Left(bye bool)
}

// Event is an event, or the answer to one of ours.
type Event struct {
	Name        string
	Args        []json.RawMessage
	Attachments [][]byte // what placeholders in Args stand for
	kind        socketio.Type
	namespace   string
	id          uint64 // of the ack that is wanted or given
	hasID       bool
}

// WantsAck tells whether the client waits for an answer.
func (e *Event) WantsAck() bool { return e.hasID }

func (e *Event) size() (n int) {
	for _, a := range e.Args {
		n += len(a)
	}
	for _, a := range e.Attachments {
		n += len(a)
	}
	return n
}

// alike tells whether two events may be handled in one run.
func (e *Event) alike(o *Event) bool {
	return e.kind == socketio.Event && o.kind == socketio.Event && e.Name == o.Name && e.namespace == o.namespace
}

// ConnectError is an error of Connect that tells programs its kind, as data.code of the CONNECT_ERROR.
type ConnectError struct{ Code, Message string }

func (e *ConnectError) Error() string { return e.Message }

// Conn is a client's connection to one namespace.
type Conn struct {
	*Session
	name   string
	events Events // nil until it is connected

	mu   sync.Mutex
	last uint64 // id of an ack that was asked for
	asks map[uint64]*ask
}

// ask is an event of ours whose answer is awaited.
type ask struct {
	timer *time.Timer
	done  func(Event, error)
}

// maxAsks is how many answers of one client may be awaited at a time.
const maxAsks = 64

// Errors of Ask.
var (
	ErrAskTimeout = errors.New("relay: the client did not answer in time")
	ErrAskGone    = errors.New("relay: the client is gone")
	ErrAskMany    = errors.New("relay: too many answers are awaited")
)

// Accept tells the client that it is connected: sid names the connection, pid (a secret, empty for none) lets it go on with
// another one.
func (c *Conn) Accept(sid, pid string) { c.Send(c.accepted(sid, pid)) }

func (c *Conn) accepted(sid, pid string) *engineio.Frame {
	c.heart.expect(0)
	data := append(strconv.AppendQuote([]byte(`{"sid":`), sid), '}') // of ids that we make, which need no escaping
	if pid != "" {
		data = append(strconv.AppendQuote(append(data[:len(data)-1], `,"pid":`...), pid), '}')
	}
	return c.frame(socketio.Packet{Type: socketio.Connect, Data: data})
}

// frame encodes a packet of this namespace's; the packet is one that we made.
func (c *Conn) frame(p socketio.Packet, attachments ...[]byte) *engineio.Frame {
	p.Namespace, p.Attachments = c.name, len(attachments)
	return engineio.NewFrame(len(p.Data)+len(c.name)+40, func(dst []byte) []byte {
		out, err := p.Append(append(dst, byte(engineio.Message)))
		if err != nil { // never
			c.eng.log.Error("cannot encode a packet", "error", err)
		}
		return out
	}, attachments...)
}

// Emit sends an event: payload is its array, name first, as JSON with placeholders for attachments.
func (c *Conn) Emit(payload []byte, attachments ...[]byte) bool {
	return c.Send(c.frame(socketio.Packet{Type: kind(socketio.Event, socketio.BinaryEvent, attachments), Data: payload}, attachments...))
}

func kind(plain, binary socketio.Type, attachments [][]byte) socketio.Type {
	if len(attachments) > 0 {
		return binary
	}
	return plain
}

// Ack answers an event that wants it: payload is the array of the answer's arguments, as JSON.
func (c *Conn) Ack(e Event, payload []byte, attachments ...[]byte) {
	if e.hasID {
		c.Send(c.ackFrame(e, len(payload), func(dst []byte) []byte { return append(dst, payload...) }, attachments...))
	}
}

// ackFrame is an ack whose payload, of about size bytes, write appends to its argument.
func (c *Conn) ackFrame(e Event, size int, write func(dst []byte) []byte, attachments ...[]byte) *engineio.Frame {
	return engineio.NewFrame(size+len(c.name)+40, func(dst []byte) []byte {
		dst = append(dst, byte(engineio.Message), byte(kind(socketio.Ack, socketio.BinaryAck, attachments)))
		if len(attachments) > 0 {
			dst = append(strconv.AppendInt(dst, int64(len(attachments)), 10), '-')
		}
		if c.name != "/" {
			dst = append(append(dst, c.name...), ',')
		}
		return write(strconv.AppendUint(dst, e.id, 10))
	}, attachments...)
}

// Ask emits an event that wants an answer, and has done called once: with the answer, or with an error within the time given.
// done must not block.
func (c *Conn) Ask(payload []byte, within time.Duration, done func(Event, error), attachments ...[]byte) {
	id, err := c.expect(within, done)
	if err != nil {
		done(Event{}, err)
		return
	}
	p := socketio.Packet{Type: kind(socketio.Event, socketio.BinaryEvent, attachments), Data: payload, ID: id, HasID: true}
	c.Send(c.frame(p, attachments...))
}

// expect notes who waits for an answer, and returns the id by which it will come.
func (c *Conn) expect(within time.Duration, done func(Event, error)) (id uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.events == nil:
		return 0, ErrAskGone
	case len(c.asks) >= maxAsks:
		return 0, ErrAskMany
	case c.asks == nil:
		c.asks = map[uint64]*ask{}
	}
	c.last++
	id = c.last
	c.asks[id] = &ask{time.AfterFunc(within, func() { c.answered(id, Event{}, ErrAskTimeout) }), done}
	return id, nil
}

// answered ends an ask. Answers that nobody waits for are let go.
func (c *Conn) answered(id uint64, e Event, err error) {
	c.mu.Lock()
	a := c.asks[id]
	delete(c.asks, id)
	c.mu.Unlock()
	if a != nil {
		a.timer.Stop()
		a.done(e, err)
	}
}

// connected says who handles what the client sends.
func (c *Conn) connected(e Events) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = e
}

// left ends the connection to the namespace.
func (c *Conn) left(bye bool) {
	events := c.events
	c.connected(nil)
	for _, id := range c.pending() {
		c.answered(id, Event{}, ErrAskGone)
	}
	events.Left(bye)
}

func (c *Conn) pending() []uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.asks))
}
