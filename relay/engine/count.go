package engine

import (
	"net/http"

	"github.com/coder/websocket"

	"setu/relay/metrics"
)

// What is counted here is counted by one line where it happens; this is what that line takes.

// Reasons by which closes of one code are told apart.
const (
	noPong    = "no pong in time"
	noConnect = "no CONNECT in time"

	// connectionLost is told to nobody: there is no way left.
	connectionLost = "the connection is lost"

	// These are for Session.Close.
	Replaced = "another connection has resumed this session"
	ComeBack = "try again"
	Expired  = "the token has expired"
	Revoked  = "the right to be here was revoked"

	Dismissed = "the application has closed the connection"
)

// closedBy returns what a close is counted as.
func closedBy(code int, reason string) metrics.Close {
	switch code {
	case closeRestart:
		return metrics.CloseDrain
	case closeSlow:
		return metrics.CloseSlow
	case closeTooLarge:
		return metrics.CloseTooLarge
	case closeProtocol:
		return metrics.CloseProtocol
	case closePolicy:
		return metrics.CloseRateLimited
	}
	switch reason {
	case noPong:
		return metrics.ClosePingTimeout
	case noConnect:
		return metrics.CloseConnectTimeout
	case Replaced:
		return metrics.CloseReplaced
	case ComeBack:
		return metrics.CloseComeBack
	case Expired:
		return metrics.CloseExpired
	case Revoked:
		return metrics.CloseRevoked
	case "":
		return metrics.CloseClient
	}
	if code == closeGone || reason == connectionLost {
		return metrics.CloseTransport
	}
	return metrics.CloseServer
}

// End says by which transport the client of a session that has ended was reached last, and why it ended.
func (s *Session) End() (by metrics.Transport, why metrics.Close) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return kindOf(s.transport), closedBy(s.code, s.reason)
}

// countClose counts a session that has ended, if its handshake was ever out.
func (s *Session) countClose() {
	s.mu.Lock()
	t, code, reason := s.transport, s.code, s.reason
	s.mu.Unlock()
	if t != nil {
		s.srv.cfg.Metrics.Closes.Of(closedBy(code, reason)).Inc()
	}
}

// lost ends a session of whose connection nothing can be read any more. A client that closed it by the
// book said goodbye.
func (s *Session) lost(err error) {
	if websocket.CloseStatus(err) < 0 {
		s.close(closeNormal, connectionLost, true)
	}
}

// countRefused counts a request for a new session that is refused.
func (srv *Server) countRefused(kind Refusal, r *http.Request) {
	if t := Param(r, "transport"); Param(r, "sid") == "" && metrics.IsTransport(t) {
		srv.cfg.Metrics.Handshakes.Of(metrics.Transport(t), metrics.Handshake(kind.limit())).Inc()
	}
}

func kindOf(t transport) metrics.Transport {
	if _, polls := t.(*pollingTransport); polls {
		return metrics.Polling
	}
	return metrics.WebSocket
}

// measure looks up how many clients there are, and what waits for them.
func (srv *Server) measure() {
	count := map[metrics.Transport]int{metrics.WebSocket: 0, metrics.Polling: 0}
	waiting := 0
	for _, s := range srv.all() {
		s.mu.Lock()
		t := s.transport
		s.mu.Unlock()
		if t != nil {
			count[kindOf(t)]++
		}
		waiting += s.out.size()
	}
	for t, n := range count {
		srv.cfg.Metrics.Connections.Of(t).Set(float64(n))
	}
	srv.cfg.Metrics.OutboxBytes.Set(float64(waiting))
}

// size is how many bytes wait.
func (o *outbox) size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes
}

func (c *rawConn) countSent(n int) {
	if c.metrics != nil {
		c.metrics.SentBytes.Of(metrics.WebSocket).Add(float64(n))
	}
}

func (c *rawConn) countReceived(n int) {
	if c.metrics != nil {
		c.metrics.ReceivedBytes.Of(metrics.WebSocket).Add(float64(n))
	}
}

// countAfter is how many bytes a busy writer writes before it counts them. An idle one has counted all:
// writers would have to wait for each other if they counted each write.
const countAfter = 1 << 20

func (w *writer) countSent() {
	if w.sent > 0 {
		w.counter.Add(float64(w.sent))
		w.sent = 0
	}
}
