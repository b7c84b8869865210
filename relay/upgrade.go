package relay

import (
	"context"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"setu/relay/engineio"
)

// upgradeTimeout is how long an upgrade may take, from the WebSocket's handshake on.
const upgradeTimeout = 10 * time.Second

// An upgrade, as the client sees it: it opens a WebSocket with its session's id and sends a probe; the answer tells it to let
// its polling come to rest; once no request is under way any more it says that it goes on over the WebSocket.
//
//	2probe   client, over WebSocket
//	3probe   server, over WebSocket; a GET that waits is let go with 6
//	5        client, over WebSocket, when its last GET and POST are answered
const (
	probePing = "2probe"
	probePong = "3probe"
)

var probeFrame = engineio.NewFrame(len(probePong), func(dst []byte) []byte { return append(dst, probePong...) })

// serveUpgrade takes a WebSocket for a session that polls. A second one for the same session is closed once it is open:
// clients learn of it by that, not by a status.
func (e *Engine) serveUpgrade(w http.ResponseWriter, r *http.Request, s *Session) {
	if !e.stays(s) {
		refuse(w, http.StatusBadRequest, engineio.ErrSessionUnknown)
		return
	}
	k, err := e.accept(w, r, s, nil)
	if err != nil {
		e.wg.Done()
		return // the library has answered
	}
	s.mu.Lock()
	p, _ := s.door.(*poller)
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), upgradeTimeout)
	go func() {
		defer e.wg.Done()
		defer cancel()
		if p == nil || !p.beginProbe(cancel) {
			k.turnAway(ctx, "this session has its WebSocket")
			return
		}
		if !p.upgrade(ctx, k) {
			p.endProbe()
			k.turnAway(ctx, "the upgrade failed")
		}
	}()
}

// stays adds to wg where s is here yet: while it is, Shutdown has not come to wg.
func (e *Engine) stays(s *Session) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sessions[s.id] != s {
		return false
	}
	e.wg.Add(1)
	return true
}

// beginProbe is false where the session is not polling any more, or another upgrade is under way.
func (p *poller) beginProbe(cancel context.CancelFunc) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.moved || p.ended || p.probe != nil {
		return false
	}
	p.probe = cancel
	return true
}

func (p *poller) endProbe() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.probe = nil
}

// upgrade takes the client's part of the exchange, and then is the session's reader. It is false where the session stays with
// polling.
func (p *poller) upgrade(ctx context.Context, k *socket) bool {
	if !k.heard(ctx, probePing) {
		return false
	}
	waiting := p.waiting()
	_ = k.wire.SetWriteDeadline(time.Now().Add(flushPause)) // whoever reads nothing must not hold this goroutine
	if _, err := k.wire.Write(probeFrame.Wire()); err != nil {
		return false
	}
	_ = k.wire.SetWriteDeadline(time.Time{})
	p.release(waiting)
	if !k.heard(ctx, string(byte(engineio.Upgrade))) || !p.s.change(k) {
		return false
	}
	p.move(k)
	k.run()
	return true
}

// heard reads one frame, which must be this.
func (k *socket) heard(ctx context.Context, want string) bool {
	kind, got, err := k.ws.Read(ctx)
	return err == nil && kind == websocket.MessageText && string(got) == want
}

// waiting counts the GETs up to the one that waits; 0 where none does.
func (p *poller) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.getting {
		return 0
	}
	return p.gets
}

// release lets a GET go that waited at the probe, if it still does.
func (p *poller) release(waiting int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.getting && p.gets == waiting {
		p.letGo = true
		p.wake()
	}
}

// move hands the outbox over. From here on no GET takes anything from it.
func (p *poller) move(k *socket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moved, p.probe = true, nil
	p.s.out.redirect(k.wake, p.written)
	p.wake()
}

// turnAway closes a WebSocket that is no session's door; without a word where ctx has ended.
func (k *socket) turnAway(ctx context.Context, reason string) {
	if ctx.Err() == nil {
		_ = k.wire.SetDeadline(time.Now().Add(flushPause)) // a drain may wait for it
		_ = k.ws.Close(closeProtocol, reason)
	}
	k.broken()
	_ = k.ws.CloseNow()
}
