package namespace

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	"setu/relay/engine"
	"setu/relay/limit"
	"setu/relay/metrics"
	"setu/relay/socketio"
)

// Bounds of one client.
const (
	maxRequests   = 64               // events that wait; past that, nothing more is read from it
	attachTimeout = 30 * time.Second // for the attachments of a packet, once it has come
	maxAuth       = 64 << 10         // bytes of what comes with a CONNECT
)

// client is one session's Socket.IO. What it asks is answered in the order in which it asked:
// Message hands each event to a worker, which runs only while there are any.
type client struct {
	// immutable
	cfg     Config
	session *engine.Session
	spaces  map[string]Namespace

	// owned by Message
	opened  bool // a CONNECT came
	paid    bool // the CONNECT for which the handshake was
	partial *partial

	// owned by the worker; by Closed, once there is none
	conns []*Conn

	mu      sync.Mutex // guards what follows
	changed sync.Cond  // on mu: events were taken, or the session ended
	queue   []Event
	bytes   int // of queue
	tasks   int // in queue, or taken from it and not begun
	working bool
	ended   bool
	cancel  context.CancelFunc // of the work under way
	workers sync.WaitGroup
}

// partial is a binary packet whose attachments are on their way.
type partial struct {
	event Event
	want  int // attachments
	got   int
	bytes int
	timer *time.Timer
}

// Errors that end a session.
var (
	errConnect   = errors.New("the first packet must be a CONNECT")
	errNamespace = errors.New("a packet for a namespace that was not joined")
	errBinary    = errors.New("a binary packet that no event announced")
	errText      = errors.New("text where a binary packet was announced")
	errPacket    = errors.New("unexpected packet")
)

// Refusals of a CONNECT. The session stays.
var (
	refusedNamespace = engine.Refusal{Level: slog.LevelInfo, Text: "refused a CONNECT to a namespace that does not exist", Limit: metrics.LimitNamespace}
	sentAway         = engine.Refusal{Level: slog.LevelInfo, Text: "sent a client away, to come back: its session can't be recovered, or the app not be asked, now", Limit: metrics.LimitComeBack}
	refusedConnect   = engine.Refusal{Level: slog.LevelInfo, Text: "refused a CONNECT", Limit: metrics.LimitConnect}
)

// largePacket is how many bytes take longer to parse than others should wait for.
const largePacket = 16 << 10

// parsing has a place for each large packet that may be parsed at a time: one processor stays free of them.
var parsing = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1))

// parse parses a packet. Large ones wait for each other, and nothing small waits for many of them.
func parse(data []byte) (socketio.Packet, error) {
	if len(data) > largePacket {
		parsing <- struct{}{}
		defer func() { <-parsing }()
	}
	return socketio.Parse(data)
}

// maxConnectHead is how many bytes of a CONNECT may precede what comes with it, at least.
const maxConnectHead = socketio.MaxNamespace + 64

// isHugeConnect reports whether a packet is a CONNECT with more than maxAuth.
func isHugeConnect(data []byte) bool {
	return len(data) > maxAuth+maxConnectHead && socketio.Type(data[0]) == socketio.Connect
}

// Message implements engine.Handler.
func (c *client) Message(data []byte, binary bool) error {
	switch {
	case binary && c.partial == nil:
		return errBinary
	case binary:
		return c.attach(data, len(data))
	case c.partial != nil:
		return errText
	}
	if isHugeConnect(data) {
		return c.takeHugeConnect(data[:maxConnectHead])
	}
	c.session.PayForParsing(len(data))
	p, err := parse(data)
	deep := errors.Is(err, socketio.ErrDepth)
	if err != nil && !deep {
		return err
	}
	if c.opened = c.opened || p.Type == socketio.Connect; !c.opened {
		return errConnect
	}
	e, err := eventOf(p, deep)
	switch {
	case err != nil:
		return err
	case p.Attachments > 0:
		c.awaitAttachments(e, p.Attachments, len(p.Data))
	case e.kind == socketio.Event || c.spend(e):
		c.enqueue(e)
	}
	return nil
}

// takeHugeConnect takes a CONNECT that is to be refused for its size, by its beginning.
func (c *client) takeHugeConnect(head []byte) error {
	p, err := socketio.ParseHead(head)
	if err != nil {
		return err
	}
	c.opened = true
	e := Event{TooLarge: true, kind: p.Type, namespace: p.Namespace}
	if c.spend(e) {
		c.enqueue(e)
	}
	return nil
}

// spend takes what a packet costs that is no event. If there is not enough it refuses the packet, and
// reports false: only a CONNECT has an answer that says so. Finding out who a client is may be dear, so
// each CONNECT but the first costs the address a handshake, too.
func (c *client) spend(e Event) bool {
	if wait := c.session.Take(limit.Event); wait > 0 {
		c.refuseExcess(e, "too many packets", wait)
		c.session.Excess(limit.Event)
		return false
	}
	if e.kind != socketio.Connect {
		return true
	}
	if !c.paid {
		c.paid = true
		return true
	}
	wait := c.session.TakeHandshake()
	if wait > 0 {
		c.refuseExcess(e, "too many CONNECTs from this address", wait)
	}
	return wait == 0
}

func (c *client) refuseExcess(e Event, what string, wait time.Duration) {
	if e.kind == socketio.Connect {
		conn := &Conn{session: c.session, name: e.namespace}
		c.refuse(conn, &ConnectError{Code: "rate_limited", Message: what, Retry: wait})
	}
}

// TooLarge implements engine.Handler. An event is answered when all of it has been read past, its
// attachments included, and so is a CONNECT with more than MostOf; anything else ends the session.
func (c *client) TooLarge(head []byte, size int, binary bool) error {
	switch {
	case binary && c.partial != nil:
		return c.attach(nil, size)
	case !binary && c.partial == nil && size <= c.cfg.MaxPayload:
		return c.takeHugeConnect(head)
	}
	p, err := socketio.ParseHead(head)
	p.Data = nil
	e, _ := eventOf(p, false)
	if binary || err != nil || e.kind != socketio.Event || c.partial != nil || !c.opened {
		return &engine.TooLargeError{What: "a message"}
	}
	e.drop()
	if p.Attachments > 0 {
		c.awaitAttachments(e, p.Attachments, size)
		return nil
	}
	c.session.LogTooLarge(size)
	c.enqueue(e)
	return nil
}

// eventOf returns what the worker is to handle of a packet, whose payload is not there if it was
// nested too deep.
func eventOf(p socketio.Packet, deep bool) (e Event, err error) {
	e = Event{TooDeep: deep, kind: p.Type, namespace: p.Namespace, id: p.ID, hasID: p.HasID}
	switch p.Type {
	case socketio.BinaryEvent:
		e.kind = socketio.Event
	case socketio.BinaryAck:
		e.kind = socketio.Ack
	case socketio.ConnectError:
		return e, errPacket
	}
	switch {
	case len(p.Data) == 0:
	case e.kind == socketio.Connect:
		e.Args = []json.RawMessage{p.Data}
	case e.kind == socketio.Event:
		e.Name, e.Args, err = socketio.Arguments(p.Data)
	case e.kind == socketio.Ack:
		e.Args, err = socketio.Items(p.Data)
	}
	return e, err
}

// awaitAttachments waits for so many attachments of a packet that had this size, within a time.
func (c *client) awaitAttachments(e Event, want, size int) {
	timer := time.AfterFunc(attachTimeout, func() { c.session.Fail(errAttachTimeout) })
	c.partial = &partial{event: e, want: want, bytes: size, timer: timer}
}

var errAttachTimeout = errors.New("attachments did not come in time")

// attach takes one attachment of this size. All that belongs to one packet is bounded like one
// message: of an event that is too large nothing is kept, and the rest is read past.
func (c *client) attach(data []byte, size int) error {
	p := c.partial
	p.got++
	p.bytes += size
	most := c.cfg.MaxPayload
	switch {
	case p.bytes > most*engine.OversizeFactor, p.bytes > most && p.event.kind != socketio.Event:
		return &engine.TooLargeError{What: "an event with its attachments"}
	case p.bytes > most:
		p.event.drop()
	default:
		p.event.Attachments = append(p.event.Attachments, data)
	}
	if p.got < p.want {
		return nil
	}
	p.timer.Stop()
	c.partial = nil
	if p.event.TooLarge {
		c.session.LogTooLarge(p.bytes)
	}
	c.enqueue(p.event)
	return nil
}

// Stop implements engine.Handler.
func (c *client) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.cancel != nil {
		c.cancel()
	}
	c.changed.Broadcast()
}

// Closed implements engine.Handler: it waits for the work under way and leaves all namespaces.
func (c *client) Closed() {
	c.workers.Wait()
	if c.partial != nil {
		c.partial.timer.Stop()
	}
	for _, conn := range c.conns {
		conn.left(false)
	}
	c.conns = nil
}

// enqueue hands e to the worker. It waits while too much of this client's is waiting already:
// nothing more is read from it then, and TCP tells it so.
func (c *client) enqueue(e Event) {
	if e.kind == socketio.Event {
		e.Overdrawn = c.session.Overdrawn(e.size())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.ended && (len(c.queue) >= maxRequests || c.bytes > c.cfg.MaxPayload) {
		c.changed.Wait()
	}
	if c.ended {
		return
	}
	c.queue = append(c.queue, e)
	c.bytes += e.size()
	c.startWork()
}

// startWork starts the worker if there is none. c.mu is held.
func (c *client) startWork() {
	if !c.working {
		c.working = true
		c.workers.Add(1)
		c.session.Go(c.work)
	}
}

// work handles events until none is left.
func (c *client) work() {
	defer c.workers.Done()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for queue := c.takeQueue(cancel); len(queue) > 0; queue = c.takeQueue(cancel) {
		for len(queue) > 0 {
			n := 1
			for n < len(queue) && queue[n].joins(&queue[0]) {
				n++
			}
			if err := c.handle(ctx, queue[:n]); err != nil {
				c.session.Fail(err)
			}
			queue = queue[n:]
		}
	}
}

// takeQueue takes what waits; if there is nothing, the work is over. Once the session has ended, so
// has the work's context.
func (c *client) takeQueue(cancel context.CancelFunc) []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	queue := c.queue
	c.queue, c.bytes = nil, 0
	if c.working, c.cancel = len(queue) > 0, nil; c.working {
		c.cancel = cancel
	}
	if c.ended {
		cancel()
	}
	c.changed.Broadcast()
	return queue
}

// conn returns the connection to a namespace, or nil.
func (c *client) conn(namespace string) *Conn {
	for _, conn := range c.conns {
		if conn.name == namespace {
			return conn
		}
	}
	return nil
}

// handle takes a batch of events of one name, or one packet of another kind. Of what waits when the
// session ends only goodbyes count: clients close the session right behind them.
func (c *client) handle(ctx context.Context, batch []Event) error {
	first := batch[0]
	conn := c.conn(first.namespace)
	switch {
	case first.task != nil:
		c.runTask(ctx, first.task)
	case ctx.Err() != nil && first.kind != socketio.Disconnect:
	case first.kind == socketio.Connect && conn != nil:
		return errPacket
	case first.kind == socketio.Connect:
		c.connect(ctx, first)
	case conn == nil:
		return errNamespace
	case first.kind == socketio.Disconnect:
		c.disconnect(conn)
	case first.kind == socketio.Ack:
		var err error
		if first.TooDeep {
			err = socketio.ErrDepth
		}
		conn.answered(first.id, first, err)
	default:
		conn.handler.Handle(ctx, batch)
	}
	return nil
}

func (c *client) connect(ctx context.Context, e Event) {
	conn := &Conn{client: c, session: c.session, name: e.namespace}
	space, known := c.spaces[e.namespace]
	if !known {
		c.session.Refused(refusedNamespace, "namespace", engine.Clip(e.namespace))
		c.refuse(conn, errors.New("Invalid namespace")) //lint:ignore ST1005 the stock server's words
		return
	}
	if e.TooLarge || e.size() > maxAuth {
		c.refuse(conn, &ConnectError{Code: "too_large", Message: "what comes with a CONNECT has more than 65536 bytes"})
		return
	}
	if e.TooDeep {
		c.refuse(conn, &ConnectError{Code: "bad_request", Message: "what comes with a CONNECT is nested too deep"})
		return
	}
	var auth json.RawMessage
	if len(e.Args) > 0 {
		auth = e.Args[0]
	}
	handler, err := space.Connect(ctx, conn, auth)
	if errors.Is(err, ErrComeBack) {
		c.session.Refused(sentAway, "namespace", engine.Clip(e.namespace), "error", engine.Clip(err.Error()))
		c.cfg.Metrics.Connects.Of(metrics.ConnectComeBack).Inc()
		c.session.Close(engine.ComeBack)
		return
	}
	if err != nil {
		c.session.Refused(refusedConnect, "namespace", engine.Clip(e.namespace), "error", engine.Clip(err.Error()))
		c.refuse(conn, err)
		return
	}
	conn.setHandler(handler)
	c.conns = append(c.conns, conn)
}

// refuse answers a CONNECT with CONNECT_ERROR, and counts it.
func (c *client) refuse(conn *Conn, err error) {
	c.cfg.Metrics.Connects.Of(metrics.ConnectRefused).Inc()
	conn.refuse(err)
}

// disconnect takes the client out of a namespace. Its session stays, for as long as one may be
// without any.
func (c *client) disconnect(conn *Conn) {
	c.conns = slices.DeleteFunc(c.conns, func(o *Conn) bool { return o == conn })
	if len(c.conns) == 0 {
		c.session.SetConnectDeadline(c.cfg.ConnectTimeout)
	}
	conn.left(true)
}
