package namespace

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"setu/relay/engine"
	"setu/relay/engineio"
	"setu/relay/limit"
	"setu/relay/metrics"
	"setu/relay/socketio"
)

// Conn is a client's connection to one namespace.
type Conn struct {
	// immutable
	client  *client
	session *engine.Session
	name    string

	mu      sync.Mutex // guards what follows
	handler Handler    // nil until it is connected
	lastAsk uint64     // id of an ack that was asked for
	asks    map[uint64]*ask
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
	ErrAskTimeout = errors.New("namespace: the client did not answer in time")
	ErrAskGone    = errors.New("namespace: the client is gone")
	ErrAskMany    = errors.New("namespace: too many answers are awaited")
)

// SessionID returns the id of the client's session of Engine.IO, which is a secret.
func (c *Conn) SessionID() string { return c.session.ID() }

// Opening returns what is kept of the request that opened the session; nil if nothing is.
func (c *Conn) Opening() *engine.Opening { return c.session.Opening() }

// Address returns the address by which the client is limited.
func (c *Conn) Address() netip.Addr { return c.session.Address() }

// Send queues a frame, or holds it during a Hold. It never blocks, and reports false if the
// connection ends.
func (c *Conn) Send(f *engineio.Frame) bool { return c.session.Send(f) }

// PayFor has the client's address pay for a frame that is sent because the client has asked for it.
func (c *Conn) PayFor(f *engineio.Frame) { c.session.PayFor(f) }

// SendBypass is Send for what goes before all that is held.
func (c *Conn) SendBypass(f *engineio.Frame) bool { return c.session.SendBypass(f) }

// Hold holds back what Send takes from now on, in all of the client's namespaces, until Release.
func (c *Conn) Hold() { c.session.Hold() }

// Release ends a Hold: what was held goes out before what Send takes next.
func (c *Conn) Release() { c.session.Release() }

// TakeHeld returns what is held, which is not queued any more. The Hold goes on.
func (c *Conn) TakeHeld() []*engineio.Frame { return c.session.TakeHeld() }

// WaitLowWater waits until the client has read most of what was sent to it. It reports false if ctx
// ended first.
func (c *Conn) WaitLowWater(ctx context.Context) bool { return c.session.WaitLowWater(ctx) }

// OnPong has f called once the client has shown that it has all that was sent up to now. A later f
// replaces an earlier one. f must not block.
func (c *Conn) OnPong(f func()) { c.session.OnPong(f) }

// Reasons of a Disconnect or a Close.
const (
	Replaced  = engine.Replaced // somebody else has resumed the session
	Expired   = engine.Expired  // no token came in place of one that has expired
	Revoked   = engine.Revoked
	ComeBack  = engine.ComeBack  // something can't be known or done now
	Dismissed = engine.Dismissed // the application has closed the connection
)

// End says by which transport a client that is gone was reached last, and why its session ended.
func (c *Conn) End() (by metrics.Transport, why metrics.Close) { return c.session.End() }

// Close sends the client away once what it was sent is written. A stock client comes back by itself.
func (c *Conn) Close(reason string) { c.session.Close(reason) }

// Take takes one token of the client's for something that it does, or returns how long it is to wait
// for one: then it is to be refused, and Excess be told.
func (c *Conn) Take(k limit.Kind) (wait time.Duration) { return c.session.Take(k) }

// TakeHandshake takes what a handshake costs the client's address, for what costs as much here, or returns
// how long it is to wait: then it is to be refused, and has been noted.
func (c *Conn) TakeHandshake() (wait time.Duration) { return c.session.TakeHandshake() }

// Excess notes that the client was refused something for the rate of its connection. A client that goes
// on with it is closed.
func (c *Conn) Excess(k limit.Kind) { c.session.Excess(k) }

// Refusal is a kind of refusal: what is logged of it, and how loud.
type Refusal = engine.Refusal

// ExcessOf is Excess for another limit.
func (c *Conn) ExcessOf(kind Refusal) { c.session.ExcessOf(kind) }

// MayTell reports whether the client may be told of a fault for which it has not asked: only a few
// times a second.
func (c *Conn) MayTell() bool { return c.session.MayTell() }

// Disconnect takes the client out of the namespace and closes its session. A stock client does not
// come back after it by itself.
func (c *Conn) Disconnect(reason string) {
	c.SendBypass(c.frame(socketio.Packet{Type: socketio.Disconnect}))
	c.session.Close(reason)
}

// Accept tells the client that it is connected: sid names the connection; pid, a secret, lets it go
// on over another one, and is left out if empty.
func (c *Conn) Accept(sid, pid string) { c.Send(c.accept(sid, pid)) }

// AcceptBypass is Accept for an answer that goes before all that is held, and what is to go out with it.
func (c *Conn) AcceptBypass(sid, pid string, then ...*engineio.Frame) {
	c.session.SendBypass(append([]*engineio.Frame{c.accept(sid, pid)}, then...)...)
}

func (c *Conn) accept(sid, pid string) *engineio.Frame {
	c.session.SetConnectDeadline(0)
	data := append(strconv.AppendQuote([]byte(`{"sid":`), sid), '}') // ids of ours need no escaping
	if pid != "" {
		data = append(strconv.AppendQuote(append(data[:len(data)-1], `,"pid":`...), pid), '}')
	}
	return c.frame(socketio.Packet{Type: socketio.Connect, Data: data})
}

// refuse answers a CONNECT with CONNECT_ERROR.
func (c *Conn) refuse(err error) {
	body := map[string]any{"message": err.Error()}
	var coded *ConnectError
	if errors.As(err, &coded) {
		more := map[string]any{"code": coded.Code}
		if coded.Retry > 0 {
			more["retry"] = coded.Retry.Milliseconds()
		}
		body["data"] = more
	}
	data, _ := json.Marshal(body) // strings and a number
	c.Send(c.frame(socketio.Packet{Type: socketio.ConnectError, Data: data}))
}

// frame encodes a packet of this namespace's. The packet is one that we made.
func (c *Conn) frame(p socketio.Packet, attachments ...[]byte) *engineio.Frame {
	p.Namespace, p.Attachments = c.name, len(attachments)
	return engineio.NewFrame(len(p.Data)+len(c.name)+40, func(dst []byte) []byte {
		out, _ := p.Append(append(dst, byte(engineio.Message))) // it refuses what nobody here makes
		return out
	}, attachments...)
}

// Emit sends an event: payload is its array, name first, as JSON with placeholders for attachments.
func (c *Conn) Emit(payload []byte, attachments ...[]byte) bool {
	p := socketio.Packet{Type: typeOf(socketio.Event, socketio.BinaryEvent, attachments), Data: payload}
	return c.Send(c.frame(p, attachments...))
}

// EmitBypass is Emit for what goes before all that is held.
func (c *Conn) EmitBypass(payload []byte, attachments ...[]byte) bool {
	p := socketio.Packet{Type: typeOf(socketio.Event, socketio.BinaryEvent, attachments), Data: payload}
	return c.SendBypass(c.frame(p, attachments...))
}

// typeOf returns the type of a packet with these attachments.
func typeOf(text, binary socketio.Type, attachments [][]byte) socketio.Type {
	if len(attachments) > 0 {
		return binary
	}
	return text
}

// Ack answers an event that wants it: payload is the array of the answer's arguments, as JSON.
func (c *Conn) Ack(e Event, payload []byte, attachments ...[]byte) {
	if e.hasID {
		write := func(dst []byte) []byte { return append(dst, payload...) }
		c.Send(c.AckFrame(e, len(payload), write, attachments...))
	}
}

// AckFrame returns the answer to an event that wants it. write appends the array of its arguments,
// of about size bytes, to its argument.
func (c *Conn) AckFrame(e Event, size int, write func(dst []byte) []byte, attachments ...[]byte) *engineio.Frame {
	return engineio.NewFrame(size+len(c.name)+40, func(dst []byte) []byte {
		dst = append(dst, byte(engineio.Message), byte(typeOf(socketio.Ack, socketio.BinaryAck, attachments)))
		if len(attachments) > 0 {
			dst = append(strconv.AppendInt(dst, int64(len(attachments)), 10), '-')
		}
		if c.name != "/" {
			dst = append(append(dst, c.name...), ',')
		}
		return write(strconv.AppendUint(dst, e.id, 10))
	}, attachments...)
}

// Ask emits an event that wants an answer, and has done called once: with the answer, or with an
// error after at most within. done must not block.
func (c *Conn) Ask(payload []byte, within time.Duration, done func(Event, error), attachments ...[]byte) {
	id, err := c.beginAsk(within, done)
	if err != nil {
		done(Event{}, err)
		return
	}
	p := socketio.Packet{Type: typeOf(socketio.Event, socketio.BinaryEvent, attachments), Data: payload, ID: id, HasID: true}
	c.Send(c.frame(p, attachments...))
}

// beginAsk notes who waits for an answer, and returns the id by which it will come.
func (c *Conn) beginAsk(within time.Duration, done func(Event, error)) (id uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.handler == nil:
		return 0, ErrAskGone
	case len(c.asks) >= maxAsks:
		return 0, ErrAskMany
	case c.asks == nil:
		c.asks = map[uint64]*ask{}
	}
	c.lastAsk++
	id = c.lastAsk
	c.asks[id] = &ask{time.AfterFunc(within, func() { c.answered(id, Event{}, ErrAskTimeout) }), done}
	return id, nil
}

// answered ends an ask. Answers that nobody waits for are dropped.
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

func (c *Conn) setHandler(h Handler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.handler = h
}

// left ends the connection to the namespace.
func (c *Conn) left(goodbye bool) {
	handler := c.handler
	c.setHandler(nil)
	for _, id := range c.pendingAsks() {
		c.answered(id, Event{}, ErrAskGone)
	}
	handler.Left(goodbye)
}

func (c *Conn) pendingAsks() []uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.asks))
}
