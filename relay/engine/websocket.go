package engine

import (
	"compress/flate"
	"context"
	"errors"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"setu/relay/engineio"

	"github.com/coder/websocket"
)

// How long a client that is sent away may take.
const (
	flushTimeout = time.Second     // to read what was queued for it, and again for the close
	closeTimeout = 5 * time.Second // to answer the close
	drainTimeout = time.Second     // the same if the relay drains, which waits for all of them
)

// closeWait is how long a client may take that is sent away with this code.
func closeWait(code int) time.Duration {
	switch code {
	case closeRestart:
		return drainTimeout
	case closePolicy:
		return shedTimeout
	}
	return closeTimeout
}

// webSocketTransport is a session's WebSocket. The library accepts, reads, answers pings and closes;
// shared frames go out beside it (write.go).
type webSocketTransport struct {
	srv  *Server
	s    *Session
	ws   *websocket.Conn
	conn *rawConn
	out  *outbox
	ends sync.WaitGroup // closes under way

	deflates bool // messages may be compressed; set before anything is sent or read

	resting atomic.Bool // nobody reads until something comes
	closed  atomic.Bool // the connection was closed here
	slot    int         // of the poller's; set once

	// owned by who reads
	framing framing
}

// openWebSocket takes a WebSocket handshake for a new session. The request's goroutine ends here:
// the session reads on one of its own, so that what net/http holds for a request can go.
func (srv *Server) openWebSocket(w http.ResponseWriter, r *http.Request) {
	s := srv.openSession(w, r)
	if s == nil {
		return
	}
	t, err := srv.accept(w, r, s, s.handshake())
	if err != nil {
		srv.discard(s)
		return
	}
	s.begin(t)
	t.start()
}

// accept completes a WebSocket handshake. A new session's first frame goes out with it, after which
// anything may be sent. If it fails, the client has been answered.
func (srv *Server) accept(w http.ResponseWriter, r *http.Request, s *Session, first *engineio.Frame) (*webSocketTransport, error) {
	offered, err := subprotocols(r.Header)
	if err != nil {
		srv.Refused(refusedRequest, r, "error", err.Error())
		http.Error(w, err.Error(), http.StatusBadRequest)
		return nil, err
	}
	t := &webSocketTransport{srv: srv, s: s, out: &s.out}
	h := &hijacker{ResponseWriter: w, t: t}
	ws, err := websocket.Accept(h, r, &websocket.AcceptOptions{
		Subprotocols:       offered,
		InsecureSkipVerify: true, // the origin was checked for every transport alike
		CompressionMode:    srv.compressionMode(),
		OnPingReceived:     t.takeControl,
		OnPongReceived:     func(ctx context.Context, payload []byte) { t.takeControl(ctx, payload) },
	})
	if err != nil {
		srv.Refused(refusedRequest, r, "error", Clip(err.Error()))
		return nil, err
	}
	runtime.SetFinalizer(ws, nil)              // it is closed in any case, and the collector has enough to do
	ws.SetReadLimit(int64(srv.cfg.MaxPayload)) // until run: an upgrade's own packets are short
	t.ws, t.conn = ws, h.conn
	h.conn.noteReceived(h.conn.unread)                    // by net/http
	if h.Header().Get("Sec-WebSocket-Extensions") != "" { // the library has agreed to what the client offers
		t.deflates = true
		t.framing.inflating = &inflating{pay: s.received}
	}
	if first != nil {
		s.out.wake = t.wake // nobody else knows of s yet
	}
	if err := h.answer(first); err != nil {
		_ = ws.CloseNow()
		return nil, err
	}
	return t, nil
}

// takeControl takes a ping or a pong of the WebSocket's own, though nobody has asked for pongs. It reports whether a ping
// is to be answered.
func (t *webSocketTransport) takeControl(_ context.Context, payload []byte) (ok bool) {
	t.framing.allow(len(payload))
	t.await(packetPrice)
	return t.s.takePacket()
}

// start has the session read, until the connection ends: by the heartbeat at the latest, since no pong
// comes in the middle of a message. The session is one of srv.wg's as long as it reads.
func (t *webSocketTransport) start() {
	t.ws.SetReadLimit(int64(t.srv.cfg.MaxPayload) * OversizeFactor)
	t.srv.wg.Add(1)
	if t.conn.hasUnread() || !t.rest() {
		t.srv.pool.Go(t.run)
	}
}

// run takes what has come, and a message of which a part has. A client that says nothing has no goroutine.
func (t *webSocketTransport) run() {
	for t.takeMessage() {
		if t.conn.hasUnread() {
			t.await(packetPrice)
		} else if t.rest() {
			return
		}
	}
	t.s.onTransportClosed()
	t.ends.Wait()
	_ = t.ws.CloseNow()
	t.srv.poller.remove(t)
	t.srv.remove(t.s)
	t.srv.wg.Done()
}

// rest has run called when something comes, or the connection is closed. It reports false if that can't be
// had: what comes is to be waited for then.
func (t *webSocketTransport) rest() bool {
	if t.conn.fd == nil {
		return false
	}
	t.resting.Store(true)
	if t.srv.poller.arm(t) && !t.closed.Load() {
		return true
	}
	return !t.resting.CompareAndSwap(true, false)
}

// rouse ends a rest.
func (t *webSocketTransport) rouse() {
	if t.resting.CompareAndSwap(true, false) {
		t.srv.pool.Go(t.run)
	}
}

// onClosed is called when the connection is closed here.
func (t *webSocketTransport) onClosed() {
	t.closed.Store(true)
	t.rouse()
}

// takeMessage reads one message and hands it on. It reports false if that was the last.
func (t *webSocketTransport) takeMessage() bool {
	m, err := t.read()
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig): // the library has said 1009
		t.s.Fail(&TooLargeError{"a message"})
	case errors.As(err, &corrupt):
		t.s.Fail(errCorrupt)
	}
	if err != nil {
		t.s.lost(err)
		return false
	}
	if err := t.take(m); err != nil {
		t.s.Fail(err)
		return false
	}
	return !t.s.isShed()
}

var errCorrupt = errors.New("a message that can't be decompressed")

// incoming is a message that has come.
type incoming struct {
	data   []byte // of one that is too large the beginning
	size   int
	binary bool
	large  bool // it is larger than it may be, as which a bomb counts however large it is
}

// read reads one message. One that is too large is read past.
func (t *webSocketTransport) read() (m incoming, err error) {
	kind, r, err := t.ws.Reader(context.Background())
	if err != nil {
		return m, err
	}
	m.binary = kind == websocket.MessageBinary
	r = t.framing.of(r)
	a := assembly{most: t.srv.cfg.MaxPayload}
	defer a.free()
	err = a.read(r, t.mostOf, t.payForPart)
	m.size = a.size
	if m.large = a.isTooLarge() || err == errBomb; !m.large {
		m.data = a.all()
		return m, err
	}
	m.data = a.head()
	if err == nil || err == errBomb {
		past := 0
		past, err = readPast(r)
		m.size += past
		if !a.isTooLarge() { // a bomb
			m.size = max(m.size, a.most+1)
		}
	}
	return m, err
}

// mostOf returns how large a message may be that begins so.
func (t *webSocketTransport) mostOf(head []byte) int {
	if t.srv.cfg.MostOf == nil || engineio.Type(head[0]) != engineio.Message {
		return t.srv.cfg.MaxPayload
	}
	return 1 + min(t.srv.cfg.MaxPayload-1, t.srv.cfg.MostOf(head[1:]))
}

// payForPart has the client's address pay for a part of a large message.
func (t *webSocketTransport) payForPart(n int) { t.s.spend(time.Duration(n) * partPrice) }

// take takes what read returned.
func (t *webSocketTransport) take(m incoming) error {
	if m.large {
		return t.s.tooLarge(m.data, m.size, m.binary)
	}
	packet, err := engineio.Parse(m.data, m.binary)
	if err != nil {
		return err
	}
	return t.s.take(packet)
}

// wake is the outbox's: there is something to write and nobody writes.
func (t *webSocketTransport) wake() { t.srv.writers.add(t) }

// breakConn ends a connection that can't be written to.
func (t *webSocketTransport) breakConn() { _ = t.conn.Close() }

// end implements transport.
func (t *webSocketTransport) end(code int, reason string, force bool) {
	empty := t.out.close()
	if force {
		if code != closeNormal {
			t.conn.tryClose(code, reason)
		}
		t.breakConn()
		return
	}
	t.ends.Go(func() {
		if empty != nil {
			select {
			case <-empty:
			case <-time.After(flushTimeout):
			}
		}
		now := time.Now()
		_ = t.conn.SetWriteDeadline(now.Add(flushTimeout))
		_ = t.conn.SetReadDeadline(now.Add(closeWait(code))) // the library has none inside a frame
		switch code {
		case closePolicy:
			t.conn.sendClose(code, reason)
			<-time.After(closeWait(code)) // nothing more is read; else what comes would cut the close off
		case closeProtocol: // the library would take each frame that comes before the answer
			t.conn.sendClose(code, reason)
			t.conn.awaitClose()
		default:
			_ = t.ws.Close(websocket.StatusCode(code), reason)
		}
		t.breakConn()
	})
}

var _ net.Conn = (*rawConn)(nil)
