package engine

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"setu/relay/engineio"
	"setu/relay/limit"
	"setu/relay/metrics"
)

// Close codes (RFC 6455, 7.4.1) with which a client is sent away. A stock client comes back after
// each of them.
const (
	closeNormal   = 1000
	closeGone     = 1001 // it did not answer the heartbeat, did not connect, or dropped a request
	closeProtocol = 1002
	closePolicy   = 1008 // it went on with what was refused for a limit
	closeTooLarge = 1009
	closeRestart  = 1012 // the relay drains
	closeSlow     = 1013 // its outbox is full
)

// Handler takes what one session's client sends.
type Handler interface {
	// Message takes one message. Messages come in the order in which they were sent, one call at a
	// time. It may block, which slows the client down. An error ends the session, and its text, at
	// most 123 bytes, is told to the client as the reason.
	Message(data []byte, binary bool) error
	// TooLarge takes a message larger than MaxPayload or Config.MostOf, which has been read past: its beginning, and how
	// many bytes it had. It is called as Message is, and its error ends the session in the same way.
	TooLarge(head []byte, size int, binary bool) error
	// Stop is called when the session ends, whatever Message does at the time, perhaps under a lock
	// of the caller's: it must not block.
	Stop()
	// Closed is called once, after Stop, when Message has returned and will not be called again.
	Closed()
}

// transport is the way by which a session is reached. The session does not know which.
type transport interface {
	// end closes the transport once what the outbox has is written, or at once if force is set. It
	// does not block. Whoever owns the transport learns of it and calls onTransportClosed.
	end(code int, reason string, force bool)
}

// Session is one client of Engine.IO: an outbox, a heartbeat, and the transport of the moment.
type Session struct {
	// immutable after open
	srv     *Server
	id      string // a secret
	from    string // names the client to who reads the log
	handler Handler
	address netip.Addr // by which it is limited
	opening *Opening   // nil unless Config.KeepOpening

	allowance *limit.Client // what it may still do
	turn      *limit.Turn   // its address' account; nil: nothing waits
	flow      limit.Flow    // what it takes of that

	out       outbox
	heartbeat heartbeat
	waiting   atomic.Bool // it counts as unconnected
	ending    sync.Once
	handlerMu sync.Mutex // held during Handler.Message: two transports may read during an upgrade

	mu        sync.Mutex // guards what follows
	transport transport  // nil until the handshake is out
	ended     bool
	code      int    // why it ended; set before ended
	reason    string // the same
	late      int    // bytes that came after it ended
}

// newSession makes a session for a client at this address.
func (srv *Server) newSession(at netip.Addr) *Session {
	s := &Session{srv: srv, id: newID() + "." + srv.cfg.Node, address: at, turn: srv.limits.enterTurn(at)}
	s.spend(openPrice)
	s.allowance = limit.NewClient(&srv.cfg.Rates, s.turn.Crowd())
	s.waiting.Store(true)
	s.out.limit = srv.cfg.OutboxBytes
	s.handler = srv.open(s)
	return s
}

// Errors that end a session.
var (
	errPing    = errors.New("a ping is the server's to send")
	errPacket  = errors.New("unexpected packet")
	errGoodbye = errors.New("the client said goodbye")
)

// ID returns the session's id, a secret between the client and this server.
func (s *Session) ID() string { return s.id }

// handshake is the first packet, which the transport sends. upgrades are the transports that may
// come next.
func (s *Session) handshake(upgrades ...string) *engineio.Frame {
	cfg := &s.srv.cfg
	h := engineio.Handshake{SID: s.id, Upgrades: upgrades, PingInterval: cfg.PingInterval.Milliseconds(),
		PingTimeout: cfg.PingTimeout.Milliseconds(), MaxPayload: int64(cfg.MaxPayload)}
	return engineio.NewFrame(192, func(dst []byte) []byte {
		return h.Append(append(dst, byte(engineio.Open)))
	})
}

// begin gives the session its first transport, once the handshake is out, and starts its clocks. A
// drain may have closed it before.
func (s *Session) begin(t transport) {
	s.mu.Lock()
	s.transport = t
	ended := s.ended
	s.mu.Unlock()
	s.srv.cfg.Metrics.Handshakes.Of(kindOf(t), metrics.HandshakeOK).Inc()
	s.heartbeat.start(s)
	if ended {
		t.end(s.code, s.reason, false)
	}
}

// change gives the session another transport. It reports false if the session has ended: the old
// transport sees to that.
func (s *Session) change(t transport) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.transport = t
	}
	return !s.ended
}

// Send queues a frame, or holds it during a Hold. It never blocks: a client that is too slow is
// closed, never waited for. It reports false if the session ends.
func (s *Session) Send(f *engineio.Frame) bool { return s.queued(s.out.put(f)) }

// SendBypass is Send for what goes before all that is held.
func (s *Session) SendBypass(frames ...*engineio.Frame) bool {
	return s.queued(s.out.bypass(frames...))
}

// queued closes a client for which there was no room.
func (s *Session) queued(ok bool) bool {
	if !ok {
		s.close(closeSlow, "too slow", true)
	}
	return ok
}

// Hold holds back what Send takes from now on, until Release. It counts as queued.
func (s *Session) Hold() { s.out.hold() }

// Release ends a Hold, if there is one: what was held goes out before what Send takes next.
func (s *Session) Release() { s.out.release() }

// TakeHeld returns what is held, which is not queued any more. The Hold goes on.
func (s *Session) TakeHeld() []*engineio.Frame { return s.out.takeHeld() }

// WaitLowWater waits until the client has read most of what was sent to it. It reports false if ctx
// ended first.
func (s *Session) WaitLowWater(ctx context.Context) bool { return s.out.waitLowWater(ctx) }

// OnPong has f called once, when the client has shown that it has all that was sent up to now: by
// its answer to a ping that was sent after it. A later f replaces an earlier one. f must not block.
func (s *Session) OnPong(f func()) { s.heartbeat.onPong(f) }

// SetConnectDeadline closes the session unless it is called again within d. Zero: not any more, since the
// client has connected.
func (s *Session) SetConnectDeadline(d time.Duration) {
	if d == 0 {
		s.noteConnected()
	}
	s.heartbeat.setConnectDeadline(d)
}

// Go runs f, a short piece of the session's work, beside the caller. It may be called until Handler.Closed
// returns.
func (s *Session) Go(f func()) { s.srv.pool.Go(f) }

// Close sends the client away once what it was sent is written, for no fault of its own.
func (s *Session) Close(reason string) { s.close(closeNormal, reason, false) }

// close sends the client away. Only the first call counts; when any call returns, the transport has
// been told.
func (s *Session) close(code int, reason string, force bool) {
	s.ending.Do(func() {
		s.mu.Lock()
		s.code, s.reason, s.ended = code, reason, true
		t := s.transport
		s.mu.Unlock()
		s.handler.Stop()
		s.heartbeat.stop()
		switch code {
		case closePolicy, closeProtocol, closeTooLarge: // what a flood goes on to bring waits, to its end
		default:
			s.turn.Forgo(&s.flow)
		}
		if t != nil {
			t.end(code, reason, force)
		} else {
			s.out.close() // it may never get a transport
		}
	})
}

// OversizeFactor is how many times MaxPayload what a client sends may be to be read past, and
// answered as too large. Its bytes are not kept. A client that sends more is closed with 1009: stock
// clients take that for the end of the connection, and one of them is deaf until its heartbeat fails.
const OversizeFactor = 8

// Fail ends the session for what its client did. The client is told err's text, at most 123 bytes.
func (s *Session) Fail(err error) {
	var large *TooLargeError
	switch {
	case err == errGoodbye:
		s.close(closeNormal, "", false)
	case errors.As(err, &large):
		s.Refused(refusedTooLarge, "limit", s.srv.cfg.MaxPayload, "what", large.What)
		s.close(closeTooLarge, err.Error(), false)
	default:
		s.close(closeProtocol, err.Error(), false)
	}
}

// TooLargeError is the error of more bytes than MaxPayload.
type TooLargeError struct{ What string }

func (e *TooLargeError) Error() string { return e.What + " is larger than maxPayload" }

// forceClose ends at once a session that has been closed and takes its time.
func (s *Session) forceClose() {
	s.mu.Lock()
	t, code, reason := s.transport, s.code, s.reason
	s.mu.Unlock()
	if t != nil {
		t.end(code, reason, true)
	}
}

// onTransportClosed is called once by the transport, when nothing can be read any more. Requests
// that still name the session are answered by the transport until the server removes it.
func (s *Session) onTransportClosed() {
	s.close(closeNormal, "", true)
	s.waitHandler()
	s.handler.Closed()
	s.countClose()
	if s.code != closeNormal { // logged here, since close may be called under a lock
		s.srv.log.Debug("closed a client", "code", s.code, "reason", s.reason)
	}
}

// waitHandler returns when no Message is under way, and none will be.
func (s *Session) waitHandler() {
	s.handlerMu.Lock()
	defer s.handlerMu.Unlock()
}

// take takes one packet. An error costs this client the session.
func (s *Session) take(p engineio.Packet) error {
	switch p.Type {
	case engineio.Pong:
		if s.takePacket() && !s.heartbeat.pong() && s.turn.IsWanted() && s.allowance.Unasked() {
			s.shedFlood()
		}
		return nil
	case engineio.Message:
		return s.message(p)
	case engineio.Ping:
		return errPing
	case engineio.Close:
		return errGoodbye
	}
	return errPacket
}

func (s *Session) message(p engineio.Packet) error {
	s.handlerMu.Lock()
	defer s.handlerMu.Unlock()
	if s.isEnded() {
		return nil
	}
	return s.handler.Message(p.Data, p.Binary)
}

// tooLarge takes a packet that was read past. What is no message ends the session.
func (s *Session) tooLarge(head []byte, size int, binary bool) error {
	p, err := engineio.Parse(head, binary)
	if err != nil || p.Type != engineio.Message {
		return &TooLargeError{"a packet"}
	}
	s.handlerMu.Lock()
	defer s.handlerMu.Unlock()
	if s.isEnded() {
		return nil
	}
	return s.handler.TooLarge(p.Data, size, binary)
}

// LogTooLarge notes in the log that the client sent something of this size which was read past.
func (s *Session) LogTooLarge(size int) {
	s.srv.log.Debug("read past what was more than MAX_PAYLOAD", "limit", s.srv.cfg.MaxPayload, "size", size)
}

// isShed reports whether the client was closed for excess: nothing more of it is to be looked at.
func (s *Session) isShed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended && s.code == closePolicy
}

func (s *Session) isEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}
