package relay

import (
	"context"
	"errors"
	"sync"

	"setu/relay/engineio"
)

// Close codes (RFC 6455, 7.4.1) with which a client is sent away. A stock client comes back after each of them.
const (
	closeNormal   = 1000
	closeGone     = 1001 // did not answer the heartbeat, did not connect, or let go of a request
	closeProtocol = 1002
	closeTooBig   = 1009
	closeRestart  = 1012 // the relay drains
	closeSlow     = 1013 // its outbox is full
)

// Handler takes what one session's client sends.
type Handler interface {
	// Message takes one message, in the order in which they were sent, one call at a time. It may block, which slows the
	// client down. An error ends the session and is told the client as the reason: at most 123 bytes.
	Message(data []byte, binary bool) error
	// Stop is called when the session ends, whatever Message does just then, perhaps under a lock: it must not block.
	Stop()
	// Closed is called once, after Stop and when Message is not called any more.
	Closed()
}

// door is the transport by which a session is reached. The session does not know which.
type door interface {
	// end closes the transport once what the outbox holds is written, or at once where hurry is set. It does not block, and
	// whoever owns the transport learns of it and calls the session's finish.
	end(code int, reason string, hurry bool)
}

// Session is one client by Engine.IO: an outbox, a heartbeat, and the door through which it is reached now.
type Session struct {
	// immutable after open
	eng     *Engine
	id      string // of Engine.IO: a secret
	handler Handler

	out    outbox
	heart  heart
	ending sync.Once
	taking sync.Mutex // held while Handler.Message runs: in an upgrade one door may not be through when the next one begins

	mu     sync.Mutex
	door   door
	ended  bool
	code   int // with reason, why it ended; set before ended
	reason string
}

var (
	errPing   = errors.New("a ping is the server's to send")
	errPacket = errors.New("unexpected packet")
	errBye    = errors.New("the client said goodbye")
)

// ID is the session's id of Engine.IO. It is a secret between the client and this relay.
func (s *Session) ID() string { return s.id }

// hello is the Engine.IO handshake: the first packet, which the door sends. upgrades are the doors that may come next.
func (s *Session) hello(upgrades ...string) *engineio.Frame {
	cfg := &s.eng.cfg
	h := engineio.Handshake{SID: s.id, Upgrades: upgrades, PingInterval: cfg.PingInterval.Milliseconds(),
		PingTimeout: cfg.PingTimeout.Milliseconds(), MaxPayload: int64(cfg.MaxPayload)}
	return engineio.NewFrame(192, func(dst []byte) []byte { return h.Append(append(dst, byte(engineio.Open))) })
}

// begin gives the session its first door, once hello is out, and starts its clocks. A drain may have closed it before.
func (s *Session) begin(d door) {
	s.mu.Lock()
	s.door = d
	ended := s.ended
	s.mu.Unlock()
	s.heart.start(s)
	if ended {
		d.end(s.code, s.reason, false)
	}
}

// change gives the session another door. It is false where the session has ended: then the old door sees to that.
func (s *Session) change(d door) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.door = d
	}
	return !s.ended
}

// Send queues a frame and never blocks: a client that is too slow is closed, never waited for. It is false where the session
// ends.
func (s *Session) Send(f *engineio.Frame) bool { return s.queued(s.out.put(f)) }

// SendAhead is Send for what goes before all that is held.
func (s *Session) SendAhead(f *engineio.Frame) bool { return s.queued(s.out.ahead(f)) }

// queued closes a client for which there was no room.
func (s *Session) queued(ok bool) bool {
	if !ok {
		s.close(closeSlow, "too slow", true)
	}
	return ok
}

// WaitLull waits until the client has read most of what was sent; false where ctx ended.
func (s *Session) WaitLull(ctx context.Context) bool { return s.out.waitLull(ctx) }

// close sends the client away. Only the first call counts; when any of them returns, the door has been told.
func (s *Session) close(code int, reason string, hurry bool) {
	s.ending.Do(func() {
		s.mu.Lock()
		s.code, s.reason, s.ended = code, reason, true
		d := s.door
		s.mu.Unlock()
		s.handler.Stop()
		s.heart.stop()
		if d != nil {
			d.end(code, reason, hurry)
		} else {
			s.out.close() // it may never get a door
		}
	})
}

// fail ends the session for what its client did, which err says.
func (s *Session) fail(err error) {
	var big *tooBig
	switch {
	case err == errBye:
		s.close(closeNormal, "", false)
	case errors.As(err, &big):
		s.eng.log.Warn("a client sent more than MAX_PAYLOAD", "limit", s.eng.cfg.MaxPayload, "what", big.what)
		s.close(closeTooBig, err.Error(), false)
	default:
		s.close(closeProtocol, err.Error(), false)
	}
}

// tooBig is the error of more bytes than MAX_PAYLOAD.
type tooBig struct{ what string }

func (e *tooBig) Error() string { return e.what + " is larger than maxPayload" }

// hasten ends a session that has been closed and takes its time.
func (s *Session) hasten() {
	s.mu.Lock()
	d, code, reason := s.door, s.code, s.reason
	s.mu.Unlock()
	if d != nil {
		d.end(code, reason, true)
	}
}

// finish is called once by the door, when nothing can be read any more. Requests that still name the session are answered by
// the door until forget is called.
func (s *Session) finish() {
	s.close(closeNormal, "", true)
	s.await()
	s.handler.Closed()
	if s.code != closeNormal { // logged here, since close may be called under a room's lock
		s.eng.log.Debug("closed a client", "code", s.code, "reason", s.reason)
	}
}

// await returns when no Message is under way, and none will be.
func (s *Session) await() {
	s.taking.Lock()
	defer s.taking.Unlock()
}

// take takes one Engine.IO packet. An error costs this client the session.
func (s *Session) take(p engineio.Packet) error {
	switch p.Type {
	case engineio.Pong:
		s.heart.pong()
		return nil
	case engineio.Message:
		return s.message(p)
	case engineio.Ping:
		return errPing
	case engineio.Close:
		return errBye
	}
	return errPacket
}

func (s *Session) message(p engineio.Packet) error {
	s.taking.Lock()
	defer s.taking.Unlock()
	if s.isEnded() {
		return nil
	}
	return s.handler.Message(p.Data, p.Binary)
}

func (s *Session) isEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}
