package engine

import (
	"context"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"setu/relay/engineio"
	"setu/relay/limit"
	"setu/relay/metrics"
)

// upgradeTimeout is how long an upgrade may take, from the WebSocket's handshake on.
const upgradeTimeout = 10 * time.Second

// An upgrade, as the client sees it: it opens a WebSocket with its session's id and sends a probe;
// the answer tells it to let its polling come to rest; once no request is under way any more it says
// that it goes on over the WebSocket.
//
//	2probe   client, over WebSocket
//	3probe   server, over WebSocket; a GET that waits is let go with 6
//	5        client, over WebSocket, when its last GET and POST are answered
//
// The stock server lets a client leave out the probe if it has no request under way, and PHP's
// elephant.io does.
const (
	probePing = "2probe"
	probePong = "3probe"
	goOn      = string(engineio.Upgrade)
)

var probeFrame = engineio.NewFrame(len(probePong), func(dst []byte) []byte { return append(dst, probePong...) })

// upgrade takes a WebSocket for a session that polls. A second one for the same session is closed
// once it is open: clients learn of it by that, not by a status.
func (srv *Server) upgrade(w http.ResponseWriter, r *http.Request, s *Session) {
	if wait := s.Take(limit.Event); wait > 0 { // each takes a connection, and up to upgradeTimeout
		s.Excess(limit.Event)
		refuseExcess(w, wait)
		return
	}
	if !srv.retain(s) {
		srv.refuseSession(w, r, s.id)
		return
	}
	s.spend(upgradePrice)
	t, err := srv.accept(w, r, s, nil)
	if err != nil {
		srv.wg.Done()
		return // the library has answered
	}
	s.mu.Lock()
	p, _ := s.transport.(*pollingTransport)
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), upgradeTimeout)
	go func() {
		defer srv.wg.Done()
		defer cancel()
		if p == nil || !p.beginProbe(cancel) {
			srv.cfg.Metrics.Upgrades.Of(metrics.UpgradeRefused).Inc()
			t.turnAway(ctx, "this session has its WebSocket")
			return
		}
		if !p.upgrade(ctx, t) {
			p.endProbe()
			srv.cfg.Metrics.Upgrades.Of(metrics.UpgradeFailed).Inc()
			t.turnAway(ctx, "the upgrade failed")
		}
	}()
}

// retain adds to wg if s is still here: as long as it is, Shutdown has not come to wg.
func (srv *Server) retain(s *Session) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.sessions[s.id] != s {
		return false
	}
	srv.wg.Add(1)
	return true
}

// beginProbe reports false if the session is not polling any more, or another upgrade is under way.
func (p *pollingTransport) beginProbe(cancel context.CancelFunc) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.upgraded || p.ended || p.probe != nil {
		return false
	}
	p.probe = cancel
	return true
}

func (p *pollingTransport) endProbe() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.probe = nil
}

// upgrade takes the client's part of the exchange, and then is the session's reader. It reports
// false if the session stays with polling.
func (p *pollingTransport) upgrade(ctx context.Context, t *webSocketTransport) bool {
	switch t.readText(ctx) {
	case probePing:
		if !p.answerProbe(t) || t.readText(ctx) != goOn {
			return false
		}
	case goOn:
		if !p.atRest(ctx) {
			return false
		}
	default:
		return false
	}
	if !p.s.change(t) {
		return false
	}
	p.handOver(t)
	t.srv.cfg.Metrics.Upgrades.Of(metrics.Upgraded).Inc()
	t.start()
	return true
}

// answerProbe lets the GET go that waits, if there is one, once the answer is out.
func (p *pollingTransport) answerProbe(t *webSocketTransport) bool {
	waiting := p.waitingGet()
	_ = t.conn.SetWriteDeadline(time.Now().Add(flushTimeout)) // a client that reads nothing must not hold this goroutine
	if _, err := t.conn.Write(probeFrame.Wire()); err != nil {
		return false
	}
	_ = t.conn.SetWriteDeadline(time.Time{})
	p.releaseGet(waiting)
	return true
}

// atRest reports whether no request is under way: what one brings might be lost, or overtaken, since
// nobody told the client to wait for it. A client may have a GET's answer before this side knows
// that it is written, so an answer's end is waited for.
func (p *pollingTransport) atRest(ctx context.Context) bool {
	defer context.AfterFunc(ctx, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.answered.Broadcast()
	})()
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.answering && ctx.Err() == nil {
		p.answered.Wait()
	}
	return !p.getting && !p.posting && ctx.Err() == nil
}

// readText reads one frame and returns its text, or "" if it is none.
func (t *webSocketTransport) readText(ctx context.Context) string {
	kind, got, err := t.ws.Read(ctx)
	if err != nil || kind != websocket.MessageText {
		return ""
	}
	return string(got)
}

// waitingGet returns the number of the GET that waits, or 0.
func (p *pollingTransport) waitingGet() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.getting {
		return 0
	}
	return p.gets
}

// releaseGet lets the GET of this number go, if it still waits.
func (p *pollingTransport) releaseGet(number int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.getting && p.gets == number {
		p.letGo = true
		p.wake()
	}
}

// handOver gives the outbox to t. From here on no GET takes anything from it.
func (p *pollingTransport) handOver(t *webSocketTransport) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.upgraded, p.probe = true, nil
	p.s.out.redirect(t.wake, p.written)
	p.wake()
}

// turnAway closes a WebSocket that does not become a session's transport; without a word if ctx has
// ended.
func (t *webSocketTransport) turnAway(ctx context.Context, reason string) {
	if ctx.Err() == nil {
		_ = t.conn.SetDeadline(time.Now().Add(flushTimeout)) // a drain may wait for it
		_ = t.ws.Close(closeProtocol, reason)
	}
	t.breakConn()
	_ = t.ws.CloseNow()
}
