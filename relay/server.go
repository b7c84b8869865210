// Package relay is the server: sockets in, sockets out.
//
// The way of a message: a door (websocket.go) hands bytes to the session (session.go), which parses them and finds the
// handler (events.go); the handler asks the hub (package room), the hub asks the broker (package broker). The broker brings
// the message back, in order; the room encodes it once; every member's outbox takes the shared frame; the flushers
// (flush.go) write it.
package relay

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"setu/relay/broker"
	"setu/relay/engineio"
	"setu/relay/room"
	"setu/relay/socketio"
)

// Path is where clients connect, as stock clients expect it.
const Path = "/socket.io/"

// Server is one relay. It serves Path, /healthz and /readyz.
type Server struct {
	cfg    Config
	broker broker.Broker
	hub    *room.Hub
	log    *slog.Logger
	mux    *http.ServeMux
	self   string // what welcome says of this relay

	flushers *flushers
	wg       sync.WaitGroup // goroutines of sessions

	mu       sync.Mutex
	sessions map[*session]struct{}
	gone     chan struct{} // closed when draining and no session is left
	draining bool
}

// New makes a relay that is ready to serve; Shutdown ends what it starts. It does not close b.
func New(cfg Config, b broker.Broker, log *slog.Logger) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, broker: b, hub: room.NewHub(b, cfg.Limits()), log: log, mux: http.NewServeMux(), self: describe(cfg),
		flushers: newFlushers(), sessions: map[*session]struct{}{}, gone: make(chan struct{})}
	s.mux.HandleFunc(Path, s.serveEngine)
	s.mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	s.mux.HandleFunc("/readyz", s.serveReady)
	s.wg.Add(1)
	go s.tidy(s.gone)
	return s, nil
}

// Limits is what the settings say of history.
func (c Config) Limits() broker.Limits {
	return broker.Limits{History: c.HistoryLimit, TTL: c.HistoryTTL}
}

// ServeHTTP implements http.Handler.
func (srv *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { srv.mux.ServeHTTP(w, r) }

// serveReady says whether this relay can serve: the broker reaches its store the whole way round, and it does not drain.
func (srv *Server) serveReady(w http.ResponseWriter, _ *http.Request) {
	err := srv.broker.Ready()
	if srv.isDraining() {
		err = errDraining
	}
	if err != nil {
		http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ready\n")
}

// serveEngine is Engine.IO's one path.
func (srv *Server) serveEngine(w http.ResponseWriter, r *http.Request) {
	if !srv.originAllowed(r) {
		refuse(w, http.StatusForbidden, engineio.ErrForbidden)
		return
	}
	q := r.URL.Query()
	switch {
	case q.Get("transport") != "websocket":
		refuse(w, http.StatusBadRequest, engineio.ErrTransportUnknown)
	case q.Get("EIO") != "4":
		refuse(w, http.StatusBadRequest, engineio.ErrUnsupportedVersion)
	case q.Get("sid") != "":
		refuse(w, http.StatusBadRequest, engineio.ErrSessionUnknown)
	case r.Method != http.MethodGet:
		refuse(w, http.StatusBadRequest, engineio.ErrBadHandshakeMethod)
	case !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || !upgrades(r.Header):
		refuse(w, http.StatusBadRequest, engineio.ErrBadRequest)
	default:
		srv.serveWebSocket(w, r)
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

// originAllowed denies pages of other sites, whatever the transport. A request without an Origin is no browser's.
func (srv *Server) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(srv.cfg.AllowedOrigins, "*") {
		return true
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	if strings.EqualFold(u.Host, r.Host) {
		return true
	}
	return slices.ContainsFunc(srv.cfg.AllowedOrigins, func(a string) bool {
		return strings.EqualFold(strings.TrimSuffix(a, "/"), u.Scheme+"://"+u.Host)
	})
}

var (
	errDraining = errors.New("this relay is draining")
	errFull     = errors.New("this relay is full")
)

// admit makes a session where there is room for one.
func (srv *Server) admit() (*session, error) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	switch {
	case srv.draining:
		return nil, errDraining
	case len(srv.sessions) >= srv.cfg.MaxConnections:
		return nil, errFull
	}
	s := newSession(srv, newID())
	srv.sessions[s] = struct{}{}
	return s, nil
}

func (srv *Server) remove(s *session) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.sessions, s)
	srv.noneLeft()
}

// noneLeft tells Shutdown that all are gone. srv.mu is held.
func (srv *Server) noneLeft() {
	if srv.draining && len(srv.sessions) == 0 {
		select {
		case <-srv.gone:
		default:
			close(srv.gone)
		}
	}
}

func (srv *Server) isDraining() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.draining
}

// welcome is the first event after CONNECT.
func (srv *Server) welcome(u broker.User) *engineio.Frame {
	head := srv.broker.Head()
	user, _ := json.Marshal(u) // strings and a bool
	return engineio.NewFrame(len(srv.self)+len(user)+3*broker.MaxOffset, func(dst []byte) []byte {
		dst = append(dst, byte(engineio.Message), byte(socketio.Event))
		dst = append(append(dst, `["welcome",{"user":`...), user...)
		dst = append(append(append(dst, `,"epoch":"`...), head.Epoch...), `",`...)
		dst = append(append(dst, srv.self...), `},"`...)
		return append(head.Append(dst), `"]`...)
	})
}

// describe is what every welcome says alike: the middle of its object.
func describe(cfg Config) string {
	text, _ := json.Marshal(struct { // strings and numbers
		Relay  string         `json:"relay"`
		Region string         `json:"region"`
		Limits map[string]int `json:"limits"`
	}{cfg.RelayID, cfg.Region, map[string]int{"maxPayload": cfg.MaxPayload, "history": cfg.HistoryLimit, "page": maxPage,
		"room": maxRoom, "id": maxID, "rooms": maxJoined, "members": room.MaxMembers}})
	return string(text[1 : len(text)-1])
}

const (
	// spread is the pause between two closes of a drain, at most: few clients need no spreading.
	spread = 20 * time.Millisecond
	// grace is how long the last ones get to come back elsewhere: stock clients wait for up to 1.5 s before they try.
	grace = 3 * time.Second
)

// Shutdown drains: it refuses new clients, closes those that are here one after the other over half of ctx's time (with a
// code after which they come back, over another relay), and waits for all of them, and then for the grace. Users are not
// announced as leaving: that is for the broker's Close, when those who came back elsewhere have done so.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.mu.Lock()
	srv.draining = true
	all := make([]*session, 0, len(srv.sessions))
	for s := range srv.sessions { // in no order, which spreads rooms, too
		all = append(all, s)
	}
	srv.noneLeft()
	srv.mu.Unlock()
	srv.hub.Drain()

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
	err := error(nil)
	select {
	case <-srv.gone:
	case <-ctx.Done():
		err = ctx.Err()
		for _, s := range all {
			s.hasten()
		}
		<-srv.gone
	}
	srv.hub.Wait()
	srv.flushers.stop() // before wg, to which flushers add
	srv.wg.Wait()
	if len(all) > 0 {
		select {
		case <-time.After(grace):
		case <-ctx.Done():
		}
	}
	return err
}
