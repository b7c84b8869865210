package relay

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"setu/relay/socketio"
)

// Bounds of one client.
const (
	maxRequests   = 64               // events that wait; past that, nothing more is read from it
	attachTimeout = 30 * time.Second // for the attachments of a packet, once it has come
)

// caller is Socket.IO over one session: it knows packets, namespaces and attachments. What a client asks is answered in the
// order in which it asked: Message hands each event to a worker, which runs only while there are any.
type caller struct {
	// immutable
	s      *Session
	spaces map[string]Namespace

	// owned by Message
	opened  bool // a CONNECT came
	partial *partial

	// owned by the worker; by Closed, once there is none
	conns []*Conn

	mu      sync.Mutex
	more    sync.Cond // on mu: an event was taken, or the session ended
	queue   []Event
	bytes   int // of queue
	working bool
	ended   bool
	cancel  context.CancelFunc // of the work under way
	workers sync.WaitGroup
}

// partial is a binary packet whose attachments are on their way.
type partial struct {
	event Event
	want  int // attachments
	bytes int
	timer *time.Timer
}

var (
	errConnect   = errors.New("the first packet must be a CONNECT")
	errNamespace = errors.New("a packet for a namespace that was not joined")
	errBinary    = errors.New("a binary packet that no event announced")
	errText      = errors.New("text where a binary packet was announced")
)

// SocketIO makes a handler of a session's messages that speaks Socket.IO v5: for NewEngine.
func SocketIO(spaces map[string]Namespace) func(*Session) Handler {
	return func(s *Session) Handler {
		c := &caller{s: s, spaces: spaces}
		c.more.L = &c.mu
		s.heart.expect(s.eng.cfg.ConnectTimeout)
		return c
	}
}

// Message implements Handler.
func (c *caller) Message(data []byte, binary bool) error {
	switch {
	case binary && c.partial == nil:
		return errBinary
	case binary:
		return c.attach(data)
	case c.partial != nil:
		return errText
	}
	p, err := socketio.Parse(data)
	if err != nil {
		return err
	}
	if c.opened = c.opened || p.Type == socketio.Connect; !c.opened {
		return errConnect
	}
	e := Event{kind: p.Type, namespace: p.Namespace, id: p.ID, hasID: p.HasID}
	switch p.Type {
	case socketio.Connect:
		if len(p.Data) > 0 {
			e.Args = []json.RawMessage{p.Data}
		}
	case socketio.Disconnect:
	case socketio.Event, socketio.BinaryEvent:
		e.kind = socketio.Event
		e.Name, e.Args, err = socketio.Arguments(p.Data)
	case socketio.Ack, socketio.BinaryAck:
		e.kind = socketio.Ack
		e.Args, err = socketio.Items(p.Data)
	default:
		return errPacket
	}
	if err == nil && p.Attachments > 0 {
		c.expect(e, p)
		return nil
	}
	if err == nil {
		c.enqueue(e)
	}
	return err
}

// expect waits for the attachments of a packet, within a time.
func (c *caller) expect(e Event, p socketio.Packet) {
	c.partial = &partial{event: e, want: p.Attachments, bytes: len(p.Data),
		timer: time.AfterFunc(attachTimeout, func() { c.s.close(closeProtocol, "attachments did not come in time", false) })}
}

// attach takes one attachment. All that belongs to one packet is bounded like one message.
func (c *caller) attach(data []byte) error {
	p := c.partial
	if p.bytes += len(data); p.bytes > c.s.eng.cfg.MaxPayload {
		return &tooBig{"an event with its attachments"}
	}
	p.event.Attachments = append(p.event.Attachments, data)
	if len(p.event.Attachments) == p.want {
		p.timer.Stop()
		c.partial = nil
		c.enqueue(p.event)
	}
	return nil
}

// Stop implements Handler.
func (c *caller) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.cancel != nil {
		c.cancel()
	}
	c.more.Broadcast()
}

// Closed implements Handler: it waits for the work under way and leaves all namespaces.
func (c *caller) Closed() {
	c.workers.Wait()
	if c.partial != nil {
		c.partial.timer.Stop()
	}
	for _, conn := range c.conns {
		conn.left(false)
	}
	c.conns = nil
}

// enqueue hands e to the worker. It waits while too much of this client's is waiting already: nothing more is read from it
// then, and TCP tells it so.
func (c *caller) enqueue(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.ended && (len(c.queue) >= maxRequests || c.bytes > c.s.eng.cfg.MaxPayload) {
		c.more.Wait()
	}
	if c.ended {
		return
	}
	c.queue = append(c.queue, e)
	c.bytes += e.size()
	if !c.working {
		c.working = true
		c.workers.Add(1)
		go c.work()
	}
}

// work handles events until none is left.
func (c *caller) work() {
	defer c.workers.Done()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		c.mu.Lock()
		batch := c.queue
		c.queue, c.bytes = nil, 0
		c.cancel = cancel
		if len(batch) == 0 || c.ended {
			c.working, c.cancel = false, nil
			c.mu.Unlock()
			return
		}
		c.more.Broadcast()
		c.mu.Unlock()
		for len(batch) > 0 && ctx.Err() == nil {
			n := 1
			for n < len(batch) && batch[n].alike(&batch[0]) {
				n++
			}
			if err := c.handle(ctx, batch[:n]); err != nil {
				c.s.fail(err)
				break
			}
			batch = batch[n:]
		}
	}
}

// conn returns the connection to a namespace, or nil.
func (c *caller) conn(namespace string) *Conn {
	for _, conn := range c.conns {
		if conn.name == namespace {
			return conn
		}
	}
	return nil
}

// handle takes a run of events that are alike.
func (c *caller) handle(ctx context.Context, run []Event) error {
	first := run[0]
	conn := c.conn(first.namespace)
	switch {
	case first.kind == socketio.Connect && conn != nil:
		return errPacket
	case first.kind == socketio.Connect:
		c.connect(ctx, first)
	case conn == nil:
		return errNamespace
	case first.kind == socketio.Disconnect:
		c.disconnect(conn)
	case first.kind == socketio.Ack:
		conn.answered(first.id, first, nil)
	default:
		conn.events.Handle(ctx, run)
	}
	return nil
}

func (c *caller) connect(ctx context.Context, e Event) {
	conn := &Conn{Session: c.s, name: e.namespace}
	space, known := c.spaces[e.namespace]
	if !known {
		conn.refuse(errors.New("Invalid namespace")) //lint:ignore ST1005 the stock server's words
		return
	}
	var auth json.RawMessage
	if len(e.Args) > 0 {
		auth = e.Args[0]
	}
	events, err := space.Connect(ctx, conn, auth)
	if err != nil {
		conn.refuse(err)
		return
	}
	conn.connected(events)
	c.conns = append(c.conns, conn)
}

// refuse answers a CONNECT with CONNECT_ERROR.
func (c *Conn) refuse(err error) {
	body := map[string]any{"message": err.Error()}
	var coded *ConnectError
	if errors.As(err, &coded) {
		body["data"] = map[string]string{"code": coded.Code}
	}
	data, _ := json.Marshal(body) // a map of strings
	c.Send(c.frame(socketio.Packet{Type: socketio.ConnectError, Data: data}))
}

// disconnect takes the client out of a namespace. Its session stays, for as long as one may be without any.
func (c *caller) disconnect(conn *Conn) {
	c.conns = slices.DeleteFunc(c.conns, func(o *Conn) bool { return o == conn })
	if len(c.conns) == 0 {
		c.s.heart.expect(c.s.eng.cfg.ConnectTimeout)
	}
	conn.left(true)
}
