package relay

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"setu/relay/engineio"
)

// Path is where clients connect, as stock clients expect it.
const Path = "/socket.io/"

// Engine serves Engine.IO v4: sessions, each behind one of two doors (websocket.go, polling.go), or on its way from the one to
// the other (upgrade.go). It knows nothing of what they say.
type Engine struct {
	// immutable after NewEngine
	cfg  Config
	log  *slog.Logger
	open func(*Session) Handler
	node string // ends every session id

	flushers *flushers
	wg       sync.WaitGroup // goroutines of sessions

	mu       sync.Mutex
	sessions map[string]*Session
	gone     chan struct{} // closed when draining and no session is left
	draining bool
}

// NewEngine makes an engine whose sessions speak to what open makes for each; open must not block. Shutdown ends it.
func NewEngine(cfg Config, log *slog.Logger, open func(*Session) Handler) *Engine {
	if cfg.Node == "" {
		cfg.Node = newNode()
	}
	e := &Engine{cfg: cfg, log: log, open: open, node: cfg.Node, flushers: newFlushers(), sessions: map[string]*Session{},
		gone: make(chan struct{})}
	e.wg.Add(1)
	go e.tidy(e.gone)
	return e
}

// ServeHTTP implements http.Handler: it is Engine.IO's one path.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.boundBody(w, r)
	if !e.originAllowed(r) {
		refuse(w, http.StatusForbidden, engineio.ErrForbidden)
		return
	}
	e.allowOrigin(w.Header(), r)
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		preflight(w, r)
		return
	}
	q := r.URL.Query()
	transport := q["transport"]
	switch {
	case len(transport) != 1 || transport[0] != "websocket" && transport[0] != "polling":
		refuse(w, http.StatusBadRequest, engineio.ErrTransportUnknown)
	case len(q["EIO"]) != 1 || q.Get("EIO") != "4":
		refuse(w, http.StatusBadRequest, engineio.ErrUnsupportedVersion)
	case transport[0] == "websocket":
		e.serveWebSocketDoor(w, r, q.Get("sid"))
	default:
		e.servePollingDoor(w, r, q.Get("sid"))
	}
}

// boundBody gives a body as much time as a client may be silent: a wanted one for reading, any other because net/http reads it
// before it answers.
func (e *Engine) boundBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(e.cfg.PingInterval + e.cfg.PingTimeout))
	}
}

// serveWebSocketDoor takes a WebSocket handshake, for a new session or as the upgrade of one.
func (e *Engine) serveWebSocketDoor(w http.ResponseWriter, r *http.Request, sid string) {
	s := e.session(sid)
	switch {
	case sid != "" && s == nil:
		refuse(w, http.StatusBadRequest, engineio.ErrSessionUnknown)
	case r.Method != http.MethodGet:
		refuse(w, http.StatusBadRequest, engineio.ErrBadHandshakeMethod)
	case !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || !upgrades(r.Header):
		refuse(w, http.StatusBadRequest, engineio.ErrBadRequest)
	case s != nil:
		e.serveUpgrade(w, r, s)
	default:
		e.serveWebSocket(w, r)
	}
}

// servePollingDoor takes a request of long polling, which opens a session or belongs to one.
func (e *Engine) servePollingDoor(w http.ResponseWriter, r *http.Request, sid string) {
	s := e.session(sid)
	switch {
	case sid != "" && s == nil:
		refuse(w, http.StatusBadRequest, engineio.ErrSessionUnknown)
	case s != nil:
		e.servePoll(w, r, s)
	case r.Method != http.MethodGet:
		refuse(w, http.StatusBadRequest, engineio.ErrBadHandshakeMethod)
	default:
		e.openPolling(w)
	}
}

// upgrades tells whether the Connection header asks for an upgrade.
func upgrades(h http.Header) bool {
	return slices.ContainsFunc(h.Values("Connection"), func(v string) bool {
		return slices.ContainsFunc(strings.Split(v, ","), func(token string) bool {
			return strings.EqualFold(strings.TrimSpace(token), "upgrade")
		})
	})
}

func refuse(w http.ResponseWriter, status int, e *engineio.Error) {
	body, _ := json.Marshal(e) // a number and a string
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

var (
	errDraining = errors.New("this relay is draining")
	errFull     = errors.New("this relay is full")
)

// admit makes a session where there is room for one.
func (e *Engine) admit() (*Session, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.draining:
		return nil, errDraining
	case len(e.sessions) >= e.cfg.MaxConnections:
		return nil, errFull
	}
	s := e.newSession()
	e.sessions[s.id] = s
	return s, nil
}

func (e *Engine) newSession() *Session {
	s := &Session{eng: e, id: newID() + "." + e.node}
	s.out.limit = e.cfg.OutboxBytes
	s.handler = e.open(s)
	return s
}

// session returns the session with this id, or nil.
func (e *Engine) session(id string) *Session {
	if id == "" {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sessions[id]
}

// forget lets go of a session that has finished.
func (e *Engine) forget(s *Session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sessions, s.id)
	e.noneLeft()
}

// discard ends a session that never got its door.
func (e *Engine) discard(s *Session) {
	s.finish()
	e.forget(s)
}

// noneLeft tells Shutdown that all are gone. e.mu is held.
func (e *Engine) noneLeft() {
	if e.draining && len(e.sessions) == 0 {
		select {
		case <-e.gone:
		default:
			close(e.gone)
		}
	}
}

func (e *Engine) isDraining() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.draining
}

func (e *Engine) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.sessions)
}

// drain refuses new sessions and returns those that are here, in no order, which spreads rooms, too.
func (e *Engine) drain() []*Session {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.draining = true
	all := make([]*Session, 0, len(e.sessions))
	for _, s := range e.sessions {
		all = append(all, s)
	}
	e.noneLeft()
	return all
}

// spread is the pause between two closes of a drain, at most: few clients need no spreading.
const spread = 20 * time.Millisecond

// Shutdown drains: it refuses new clients, closes those that are here one after the other over half of ctx's time (with a
// code after which they come back, over another relay), and waits for all of them; the error is ctx's, where they had to be
// hurried. had tells whether there were any.
func (e *Engine) Shutdown(ctx context.Context) (had bool, err error) {
	all := e.drain()
	pause := spread
	if deadline, ok := ctx.Deadline(); ok && len(all) > 0 {
		pause = min(pause, time.Until(deadline)/2/time.Duration(len(all)))
	}
	for i, s := range all {
		if i > 0 && pause > 0 {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
		}
		s.close(closeRestart, "this relay restarts", ctx.Err() != nil)
	}
	select {
	case <-e.gone:
	case <-ctx.Done():
		err = ctx.Err()
		for _, s := range all {
			s.hasten()
		}
		<-e.gone
	}
	e.flushers.stop() // before wg, to which flushers add
	e.wg.Wait()
	return len(all) > 0, err
}
