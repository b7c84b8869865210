package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
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
	srv    *Server
	s      *Session
	ws     *websocket.Conn
	conn   *rawConn
	out    *outbox
	writer *writer
	ends   sync.WaitGroup // closes under way

	// owned by run
	limited io.LimitedReader // of the message that is read
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
	srv.wg.Go(t.run)
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
	t := &webSocketTransport{srv: srv, s: s, out: &s.out, writer: srv.writers.next()}
	h := &hijacker{ResponseWriter: w, metrics: srv.cfg.Metrics}
	ws, err := websocket.Accept(h, r, &websocket.AcceptOptions{
		Subprotocols:       offered,
		InsecureSkipVerify: true, // the origin was checked for every transport alike
		CompressionMode:    websocket.CompressionDisabled,
		OnPingReceived: func(_ context.Context, payload []byte) bool {
			t.framing.allow(len(payload))
			return s.takePacket()
		},
	})
	if err != nil {
		srv.Refused(refusedRequest, r, "error", Clip(err.Error()))
		return nil, err
	}
	ws.SetReadLimit(int64(srv.cfg.MaxPayload)) // until run: an upgrade's own packets are short
	t.ws, t.conn = ws, h.conn
	h.conn.received = t.received
	if first != nil {
		s.out.wake = t.wake // nobody else knows of s yet
	}
	if err := h.answer(first); err != nil {
		_ = ws.CloseNow()
		return nil, err
	}
	return t, nil
}

// run reads until the connection ends: by the heartbeat at the latest, since no pong comes in the
// middle of a message.
func (t *webSocketTransport) run() {
	t.ws.SetReadLimit(int64(t.srv.cfg.MaxPayload) * OversizeFactor)
	for {
		data, size, binary, err := t.read()
		if errors.Is(err, websocket.ErrMessageTooBig) { // the library has said 1009
			t.s.Fail(&TooLargeError{"a message"})
		}
		if err != nil {
			t.s.lost(err)
			break
		}
		if err := t.take(data, size, binary); err != nil {
			t.s.Fail(err)
			break
		}
		if t.s.isShed() {
			break
		}
	}
	t.s.onTransportClosed()
	t.ends.Wait()
	_ = t.ws.CloseNow() // else a finalizer does, one cycle of the collector later
	t.srv.remove(t.s)
}

// headBytes is how much of a message is kept that is too large: more than what says who is to be
// answered.
const headBytes = 512

// messageBuffers are those in which messages are put together: what is kept of one is as large as it is.
var messageBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// read reads one message, and says how large it was. Of one that is larger than MaxPayload data is
// the beginning alone.
func (t *webSocketTransport) read() (data []byte, size int, binary bool, err error) {
	kind, r, err := t.ws.Reader(context.Background())
	if err != nil {
		return nil, 0, false, err
	}
	r = t.framing.of(r)
	most := t.srv.cfg.MaxPayload
	t.limited = io.LimitedReader{R: r, N: int64(most) + 1}
	b := messageBuffers.Get().(*bytes.Buffer)
	b.Reset()
	_, err = b.ReadFrom(&t.limited)
	if size = b.Len(); size > most {
		b.Truncate(min(size, headBytes))
	}
	data = bytes.Clone(b.Bytes())
	messageBuffers.Put(b)
	if err == nil && size > most {
		var n int64
		n, err = io.Copy(io.Discard, r)
		size += int(n)
	}
	return data, size, kind == websocket.MessageBinary, err
}

// take takes what read returned.
func (t *webSocketTransport) take(data []byte, size int, binary bool) error {
	if size > t.srv.cfg.MaxPayload {
		return t.s.tooLarge(data, size, binary)
	}
	packet, err := engineio.Parse(data, binary)
	if err != nil {
		return err
	}
	return t.s.take(packet)
}

// wake is the outbox's: there is something to write and nobody writes.
func (t *webSocketTransport) wake() { t.writer.add(t) }

// breakConn ends a connection that can't be written to.
func (t *webSocketTransport) breakConn() { _ = t.conn.Conn.Close() }

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
		if code == closePolicy {
			t.conn.sendClose(code, reason)
			<-time.After(closeWait(code)) // nothing more is read; else what comes would cut the close off
			t.breakConn()
			return
		}
		_ = t.conn.SetReadDeadline(now.Add(closeWait(code))) // the library has none inside a frame
		_ = t.ws.Close(websocket.StatusCode(code), reason)
		t.breakConn()
	})
}

var _ net.Conn = (*rawConn)(nil)
