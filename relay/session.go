package relay

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"setu/relay/broker"
	"setu/relay/engineio"
	"setu/relay/socketio"
)

// Close codes (RFC 6455, 7.4.1) with which a client is sent away. A stock client comes back after each of them.
const (
	closeNormal   = 1000
	closeGone     = 1001 // did not answer the heartbeat, or did not connect
	closeProtocol = 1002
	closeTooBig   = 1009
	closeRestart  = 1012 // the relay drains
	closeSlow     = 1013 // its outbox is full
)

// Bounds of one session.
const (
	connectTimeout = 45 * time.Second // for the CONNECT after the handshake
	maxRequests    = 64               // of a session that wait; past that, its socket is not read
)

// door is the transport by which a session is reached. The session does not know which.
type door interface {
	// end closes the transport once what the outbox holds is written, or at once where hurry is set. It does not block, and
	// the one who reads from the transport learns of it.
	end(code int, reason string, hurry bool)
}

// session is one client. What it asks is answered in the order in which it asked: the reader hands each request to a worker,
// which runs only while there are any.
type session struct {
	// immutable after newSession
	srv  *Server
	id   string // of Engine.IO: a secret
	name string // names the connection to others: Socket.IO's sid
	out  outbox

	// owned by the reader: whoever calls receive
	connected bool
	skipping  *request // a binary event whose attachments are on their way
	attached  int      // of them, still to come

	user broker.User // written by the reader on CONNECT, before any request

	// owned by the worker
	rooms []string // joined; few, so a list is less than a map

	heart  heart
	ending sync.Once

	mu      sync.Mutex
	door    door      // nil until attach
	more    sync.Cond // on mu: a request was taken, or the session ended
	queue   []request
	bytes   int // of queue
	working bool
	ended   bool
	code    int // with reason, why it ended; set before ended
	reason  string
	cancel  context.CancelFunc // of the work under way
	workers sync.WaitGroup
}

// request is an event of the client's.
type request struct {
	name   string
	arg    json.RawMessage // its one argument; nil where there is none or more
	ack    uint64
	hasAck bool
}

var (
	errPing      = errors.New("a ping is the server's to send")
	errPacket    = errors.New("unexpected packet")
	errConnect   = errors.New("the first packet must be a CONNECT")
	errNamespace = errors.New("an event for a namespace that was not joined")
	errBinary    = errors.New("a binary packet that no event announced")
	errText      = errors.New("text where a binary packet was announced")
	errBye       = errors.New("the client said goodbye")
)

func newSession(srv *Server, id string) *session {
	s := &session{srv: srv, id: id, name: publicID("socket", id)}
	s.more.L = &s.mu
	s.out.limit = srv.cfg.OutboxBytes
	return s
}

// attach gives the session its door. A drain may have closed the session before it had one.
func (s *session) attach(d door) {
	s.mu.Lock()
	s.door = d
	ended := s.ended
	s.mu.Unlock()
	if ended {
		d.end(s.code, s.reason, false)
	}
}

// hello is the Engine.IO handshake: the first packet, which the door sends.
func (s *session) hello() *engineio.Frame {
	h := engineio.Handshake{SID: s.id, PingInterval: s.srv.cfg.PingInterval.Milliseconds(),
		PingTimeout: s.srv.cfg.PingTimeout.Milliseconds(), MaxPayload: int64(s.srv.cfg.MaxPayload)}
	return engineio.NewFrame(160, func(dst []byte) []byte { return h.Append(append(dst, byte(engineio.Open))) })
}

// begin starts the clocks, once hello is out. The door is set.
func (s *session) begin() { s.heart.start(s) }

// ID implements room.Member.
func (s *session) ID() string { return s.name }

// User implements room.Member.
func (s *session) User() broker.User { return s.user }

// Send implements room.Member: a member that is too slow is closed, never waited for.
func (s *session) Send(f *engineio.Frame) bool {
	if s.out.put(f) {
		return true
	}
	s.close(closeSlow, "too slow", true)
	return false
}

// close sends the client away. Only the first call counts; when any of them returns, the door has been told.
func (s *session) close(code int, reason string, hurry bool) {
	s.ending.Do(func() {
		s.mu.Lock()
		s.code, s.reason, s.ended = code, reason, true
		if s.cancel != nil {
			s.cancel()
		}
		s.more.Broadcast()
		d := s.door
		s.mu.Unlock()
		s.heart.stop()
		if d != nil {
			d.end(code, reason, hurry)
		}
	})
}

// hasten ends a session that has been closed and takes its time.
func (s *session) hasten() {
	s.mu.Lock()
	d, code, reason := s.door, s.code, s.reason
	s.mu.Unlock()
	if d != nil {
		d.end(code, reason, true)
	}
}

// finish is called once by the door, when nothing can be read any more: it waits for the work under way and leaves all rooms.
func (s *session) finish() {
	s.close(closeNormal, "", true)
	s.workers.Wait()
	for _, name := range s.rooms {
		s.srv.hub.Leave(name, s)
	}
	if s.code != closeNormal { // logged here, since close may be called under a room's lock
		s.srv.log.Debug("closed a client", "user", s.user.ID, "code", s.code, "reason", s.reason)
	}
	s.srv.remove(s)
}

// receive takes one Engine.IO frame. An error costs this client the connection.
func (s *session) receive(frame []byte, binary bool) error {
	p, err := engineio.Parse(frame, binary)
	if err != nil {
		return err
	}
	switch p.Type {
	case engineio.Pong:
		s.heart.pong()
		return nil
	case engineio.Message:
		if p.Binary {
			return s.receiveAttachment()
		}
		return s.receiveMessage(p.Data)
	case engineio.Ping:
		return errPing
	case engineio.Close:
		return errBye
	}
	return errPacket
}

// receiveMessage takes one Socket.IO packet.
func (s *session) receiveMessage(data []byte) error {
	if s.skipping != nil {
		return errText
	}
	p, err := socketio.Parse(data)
	if err != nil {
		return err
	}
	switch {
	case p.Type == socketio.Connect:
		return s.receiveConnect(p)
	case !s.connected:
		return errConnect
	case p.Namespace != "/":
		return errNamespace
	case p.Type == socketio.Event || p.Type == socketio.BinaryEvent:
		return s.receiveEvent(p)
	case p.Type == socketio.Disconnect:
		return errBye
	case p.Type == socketio.Ack:
		return nil // nothing that we send asks for one
	}
	return errPacket
}

func (s *session) receiveEvent(p socketio.Packet) error {
	name, args, err := socketio.Arguments(p.Data)
	if err != nil {
		return err
	}
	r := request{name: name, ack: p.ID, hasAck: p.HasID}
	if len(args) == 1 {
		r.arg = args[0]
	}
	if p.Type == socketio.BinaryEvent {
		r.arg = nil // it may be long, and what follows it may never come
		if s.skipping, s.attached = &r, p.Attachments; s.attached > 0 {
			return nil
		}
		return s.receiveAttachment()
	}
	s.enqueue(r)
	return nil
}

// receiveAttachment lets the attachments of a binary event pass, keeping none, and then says that it can't be taken.
func (s *session) receiveAttachment() error {
	if s.skipping == nil {
		return errBinary
	}
	if s.attached--; s.attached <= 0 {
		s.enqueue(request{name: binaryEvent, ack: s.skipping.ack, hasAck: s.skipping.hasAck})
		s.skipping = nil
	}
	return nil
}

// receiveConnect takes a CONNECT: for "/", who the client is; for any other namespace, an answer that there is none.
func (s *session) receiveConnect(p socketio.Packet) error {
	if p.Namespace != "/" {
		s.refuse(p.Namespace, "Invalid namespace", "")
		return nil // the client may still connect to "/"
	}
	if s.connected {
		return errPacket
	}
	user, err := identifyAside(p.Data)
	if err != nil {
		s.refuse("/", err.Error(), codeBadRequest)
		return nil
	}
	s.user = user
	s.connected = true
	s.heart.connect()
	s.reply(socketio.Packet{Type: socketio.Connect, Data: []byte(`{"sid":"` + s.name + `"}`)})
	s.Send(s.srv.welcome(user))
	return nil
}

// refuse answers a CONNECT with CONNECT_ERROR, which stops a stock client's reconnecting: only for what won't change.
func (s *session) refuse(namespace, message, code string) {
	body := map[string]any{"message": message}
	if code != "" {
		body["data"] = map[string]string{"code": code}
	}
	data, _ := json.Marshal(body) // a map of strings
	s.reply(socketio.Packet{Type: socketio.ConnectError, Namespace: namespace, Data: data})
}

// reply sends one packet to this client alone.
func (s *session) reply(p socketio.Packet) {
	s.Send(engineio.NewFrame(len(p.Data)+32, func(dst []byte) []byte {
		out, err := p.Append(append(dst, byte(engineio.Message)))
		if err != nil { // never: we made the packet
			s.srv.log.Error("cannot encode a packet", "error", err)
		}
		return out
	}))
}

// enqueue hands r to the worker. It waits while too much of this client's is waiting already: its socket is not read then,
// and TCP tells it so.
func (s *session) enqueue(r request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.ended && (len(s.queue) >= maxRequests || s.bytes > s.srv.cfg.MaxPayload) {
		s.more.Wait()
	}
	if s.ended {
		return
	}
	s.queue = append(s.queue, r)
	s.bytes += len(r.arg)
	if !s.working {
		s.working = true
		s.workers.Add(1)
		go s.work()
	}
}

// work answers requests until none is left.
func (s *session) work() {
	defer s.workers.Done()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		s.mu.Lock()
		batch := s.queue
		s.queue, s.bytes = nil, 0
		s.cancel = cancel
		if len(batch) == 0 || s.ended {
			s.working, s.cancel = false, nil
			s.mu.Unlock()
			return
		}
		s.more.Broadcast()
		s.mu.Unlock()
		for len(batch) > 0 {
			n := 1
			for n < len(batch) && batch[n].name == batch[0].name {
				n++
			}
			s.handle(ctx, batch[:n])
			batch = batch[n:]
		}
	}
}
