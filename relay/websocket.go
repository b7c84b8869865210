package relay

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"setu/relay/engineio"

	"github.com/coder/websocket"
)

// How long a closing client may take,
const (
	flushPause = time.Second     // to read what was queued for it, and again for the close
	closePause = 5 * time.Second // to answer the close
)

// socket is the WebSocket door. The library accepts, reads, answers pings and closes; shared frames go out beside it (wire).
type socket struct {
	eng     *Engine
	s       *Session
	ws      *websocket.Conn
	wire    *wire
	out     *outbox
	flusher *flusher
	ends    sync.WaitGroup // closes under way
}

// serveWebSocket takes a WebSocket handshake for a new session. The request's goroutine ends here: the session reads on one
// of its own, so that what net/http holds for a request can go.
func (e *Engine) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	s, err := e.admit()
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	k, err := e.accept(w, r, s, s.hello())
	if err != nil {
		e.discard(s)
		return
	}
	s.begin(k)
	e.wg.Go(k.run)
}

// accept completes the handshake: for a new session with its first frame, after which anything may be sent. Where it can't, the
// client has been answered.
func (e *Engine) accept(w http.ResponseWriter, r *http.Request, s *Session, first *engineio.Frame) (*socket, error) {
	h := &hijacker{ResponseWriter: w}
	ws, err := websocket.Accept(h, r, &websocket.AcceptOptions{
		InsecureSkipVerify: true, // the origin was checked for every transport alike
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(int64(e.cfg.MaxPayload))
	k := &socket{eng: e, s: s, ws: ws, wire: h.wire, out: &s.out, flusher: e.flushers.next()}
	if first != nil {
		s.out.wake = k.wake // nobody else knows of s yet
	}
	if err := h.answer(first); err != nil {
		_ = ws.CloseNow()
		return nil, err
	}
	return k, nil
}

// run reads until the connection ends.
func (k *socket) run() {
	ctx := context.Background() // reads end with the connection: by the heartbeat at the latest
	for {
		typ, data, err := k.ws.Read(ctx)
		if errors.Is(err, websocket.ErrMessageTooBig) { // the library has said 1009
			k.s.fail(&tooBig{"a message"})
		}
		if err != nil {
			break
		}
		packet, err := engineio.Parse(data, typ == websocket.MessageBinary)
		if err == nil {
			err = k.s.take(packet)
		}
		if err != nil {
			k.s.fail(err)
			break
		}
	}
	k.s.finish()
	k.ends.Wait()
	_ = k.ws.CloseNow() // else a finalizer does, one cycle of the collector later
	k.eng.forget(k.s)
}

// wake is the outbox's: there is something to write and nobody writes.
func (k *socket) wake() { k.flusher.add(k) }

// pushLater writes what the socket did not take at once in a goroutine of its own, for as long as there is something. held
// says that wire.mu is held because a frame is half written.
func (k *socket) pushLater(frames []*engineio.Frame, skip int, held bool) {
	mine := append([]*engineio.Frame(nil), frames...)
	k.eng.wg.Add(1)
	go func() {
		defer k.eng.wg.Done()
		for len(mine) > 0 {
			if !held {
				k.wire.mu.Lock()
			}
			err := k.wire.push(mine, skip)
			k.wire.mu.Unlock()
			if err != nil {
				k.broken()
			}
			held, skip = false, 0
			written := sizeOf(mine)
			clear(mine)
			mine = k.out.take(mine[:0], written)
		}
	}()
}

// broken ends a connection that can't be written to.
func (k *socket) broken() { _ = k.wire.Conn.Close() }

// end implements door.
func (k *socket) end(code int, reason string, hurry bool) {
	empty := k.out.close()
	if hurry {
		k.lastWord(code, reason)
		k.broken()
		return
	}
	k.ends.Go(func() {
		if empty != nil {
			select {
			case <-empty:
			case <-time.After(flushPause):
			}
		}
		now := time.Now()
		_ = k.wire.SetWriteDeadline(now.Add(flushPause))
		_ = k.wire.SetReadDeadline(now.Add(closePause)) // the library has none inside a frame
		_ = k.ws.Close(websocket.StatusCode(code), reason)
		k.broken()
	})
}

// lastWord says why, if the socket takes it at once: a room's lock may be held, and nobody waits for a slow client.
func (k *socket) lastWord(code int, reason string) {
	if code == closeNormal || k.wire.raw == nil || !k.wire.mu.TryLock() {
		return
	}
	defer k.wire.mu.Unlock()
	if k.wire.over {
		return
	}
	k.wire.over = true
	last := attempt{buf: append([]byte{finClose, byte(2 + len(reason)), byte(code >> 8), byte(code)}, reason...)}
	_ = k.wire.raw.Write(last.write)
}

var _ net.Conn = (*wire)(nil)
