// Package engine is an Engine.IO v4 server: sessions, the two transports by which clients reach
// them, heartbeats, and what waits to be written. It knows nothing of what sessions say.
//
// Bytes come in by a transport (websocket.go, polling.go), which hands packets to its session
// (session.go), which hands messages to its Handler. Frames go out by Session.Send into the
// session's outbox (outbox.go), from which the writers (write.go) or the client's next poll take
// them. An upgrade (upgrade.go) moves a session from polling to WebSocket.
package engine

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"setu/relay/engineio"
	"setu/relay/limit"
	"setu/relay/metrics"
	"setu/relay/pool"
)

// Config is what an engine needs to know. The zero value works.
type Config struct {
	// Node names the life of this process, and ends every session id. Empty: NewNode makes one.
	Node string

	// PingInterval is the time between two heartbeats, PingTimeout how long a client may take to
	// answer one. Zero: 25 s and 20 s, as in the stock server.
	PingInterval, PingTimeout time.Duration

	// MaxPayload bounds one message from a client, and the body of a POST, in bytes. Zero: 1,000,000.
	// A message over WebSocket of up to OversizeFactor times as much is read past.
	MaxPayload int

	// OutboxBytes bounds what may wait for one client. Zero: 4 MiB.
	OutboxBytes int

	// MaxConnections bounds the sessions at a time. Zero: 10,000.
	MaxConnections int

	// AllowedOrigins are the sites, beside the one that serves the request, whose pages may
	// connect. Zero: none.
	AllowedOrigins Origins

	// Metrics count what happens. Nil: nobody reads them.
	Metrics *metrics.Metrics

	// RequestTimeout bounds how long a body may take to come, and an answer to be read. Zero: as long
	// as a client may be silent, which is PingInterval and PingTimeout.
	RequestTimeout time.Duration

	// Rates are what one connection may do. Zero: no limit, as with all that follow.
	Rates limit.Rates
	// HandshakeRate bounds the handshakes from one address, and the requests from there that are no
	// good; HandshakesRate the handshakes in all.
	HandshakeRate, HandshakesRate limit.Rate
	// MaxAddressConnections bounds the sessions from one address, MaxUnconnected those that are
	// connected to nothing yet: of one address a quarter.
	MaxAddressConnections, MaxUnconnected int
	// Compression is from how many bytes on messages are compressed for clients that can take that. Zero:
	// none are, in either direction.
	Compression int
	// Addresses find out whose a request is. Zero: the peer's.
	Addresses limit.Addresses
	// KindOf says for how many packets of which kind a message of this size counts, of which this is the beginning:
	// none, if that can't be told. Nil: it never can.
	KindOf func(message []byte, size int) (k limit.Kind, n int)
	// MostOf says how large a message may be that begins so, beside MaxPayload. Nil: that bounds all.
	MostOf func(message []byte) int
	// KeepOpening has sessions keep the request that opened them: its address, its query, and these
	// headers, by their canonical names. Nil: they don't.
	KeepOpening *[]string
}

func (c Config) withDefaults() Config {
	setDefault(&c.PingInterval, 25*time.Second)
	setDefault(&c.PingTimeout, 20*time.Second)
	setDefault(&c.MaxPayload, 1_000_000)
	setDefault(&c.OutboxBytes, 4<<20)
	setDefault(&c.MaxConnections, 10_000)
	setDefault(&c.RequestTimeout, c.PingInterval+c.PingTimeout)
	if c.Node == "" {
		c.Node = NewNode()
	}
	if c.Metrics == nil {
		c.Metrics = metrics.New()
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Server serves Engine.IO v4 on whatever path it is mounted.
type Server struct {
	// immutable after New
	cfg      Config
	log      *slog.Logger
	refusals *Refusals
	open     func(*Session) Handler
	limits   limits
	agenda   *agenda

	writers   *writers
	deflaters deflaters
	poller    poller
	wg        sync.WaitGroup // goroutines of sessions
	pool      pool.Pool      // those of short pieces of their work

	mu       sync.Mutex // guards what follows
	sessions map[string]*Session
	gone     chan struct{} // closed when draining and no session is left
	draining bool
}

// New returns a server whose sessions speak to the Handler that open returns for each; open must
// not block. Shutdown ends what New starts.
func New(cfg Config, log *slog.Logger, open func(*Session) Handler) *Server {
	cfg = cfg.withDefaults()
	srv := &Server{cfg: cfg, log: log, refusals: NewRefusals(log, cfg.Metrics), open: open, limits: newLimits(&cfg), agenda: newAgenda(cfg.PingInterval / pingSlots),
		writers: newWriters(cfg.Metrics), deflaters: newDeflaters(), sessions: map[string]*Session{}, gone: make(chan struct{})}
	cfg.Metrics.OnGather(srv.measure)
	srv.wg.Go(srv.tendMemory)
	return srv
}

// ServeHTTP implements http.Handler.
func (srv *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	srv.AwaitRequest(r)
	srv.boundRequest(w, r)
	if !srv.originAllowed(r) {
		srv.Refused(refusedOrigin, r, "origin", Clip(r.Header.Get("Origin")), "host", Clip(r.Host))
		Refuse(w, http.StatusForbidden, engineio.ErrForbidden)
		return
	}
	srv.allowOrigin(w.Header(), r)
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		preflight(w, r)
		return
	}
	transport, transports := param(r, "transport")
	version, versions := param(r, "EIO")
	switch {
	case transports != 1 || transport != "websocket" && transport != "polling":
		srv.refuseRequest(w, r, engineio.ErrTransportUnknown)
	case versions != 1 || version != "4":
		srv.Refused(refusedVersion, r, "eio", Clip(strings.Join(r.URL.Query()["EIO"], ",")))
		Refuse(w, http.StatusBadRequest, engineio.ErrUnsupportedVersion)
	case transport == "websocket":
		srv.serveWebSocket(w, r, Param(r, "sid"))
	default:
		srv.servePolling(w, r, Param(r, "sid"))
	}
}

// boundRequest bounds how long a request's body may take to come, once and for all: one that is wanted
// for reading it, any other because net/http reads it before it answers. What is answered at once is to
// be read in as much time.
func (srv *Server) boundRequest(w http.ResponseWriter, r *http.Request) {
	c := http.NewResponseController(w)
	end := time.Now().Add(srv.cfg.RequestTimeout)
	_ = c.SetWriteDeadline(end)
	if r.ContentLength == 0 {
		end = time.Time{} // it is there whole, and may wait for long
	}
	_ = c.SetReadDeadline(end)
}

// boundAnswer gives an answer to a request that has waited its own time to be read.
func (srv *Server) boundAnswer(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(srv.cfg.RequestTimeout))
}

// serveWebSocket takes a WebSocket handshake, for a new session or as the upgrade of one.
func (srv *Server) serveWebSocket(w http.ResponseWriter, r *http.Request, sid string) {
	s := srv.session(sid)
	switch {
	case sid != "" && s == nil:
		srv.refuseSession(w, r, sid)
	case r.Method != http.MethodGet:
		srv.refuseRequest(w, r, engineio.ErrBadHandshakeMethod)
	case !asksForWebSocket(r.Header):
		srv.Refused(refusedNoUpgrade, r)
		Refuse(w, http.StatusBadRequest, engineio.ErrBadRequest)
	case s != nil:
		srv.upgrade(w, r, s)
	default:
		srv.openWebSocket(w, r)
	}
}

// servePolling takes a request of long polling, which opens a session or belongs to one.
func (srv *Server) servePolling(w http.ResponseWriter, r *http.Request, sid string) {
	s := srv.session(sid)
	switch {
	case sid != "" && s == nil:
		srv.refuseSession(w, r, sid)
	case s != nil:
		srv.poll(w, r, s)
	case r.Method != http.MethodGet:
		srv.refuseRequest(w, r, engineio.ErrBadHandshakeMethod)
	default:
		srv.openPolling(w, r)
	}
}

// asksForWebSocket reports whether a request asks to become a WebSocket (RFC 6455, 4.2.1).
func asksForWebSocket(h http.Header) bool {
	if !strings.EqualFold(h.Get("Upgrade"), "websocket") {
		return false
	}
	return slices.ContainsFunc(h.Values("Connection"), func(v string) bool {
		return slices.ContainsFunc(strings.Split(v, ","), func(token string) bool {
			return strings.EqualFold(strings.TrimSpace(token), "upgrade")
		})
	})
}

// Refuse answers a request with an error of Engine.IO.
func Refuse(w http.ResponseWriter, status int, e *engineio.Error) {
	body, _ := json.Marshal(e) // a number and a string
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// nodeLength is the length of a node's name, in characters.
const nodeLength = 10

// newID returns an id that nobody can guess: 26 characters, 130 bits of crypto/rand.
func newID() string { return strings.ToLower(rand.Text()) }

// NewNode returns a name for the life of one process among those of a fleet: 50 bits of
// crypto/rand.
func NewNode() string { return newID()[:nodeLength] }

// NodeOf returns the node whose session an id names, or "" if the id is not of a session of ours.
func NodeOf(sid string) string {
	_, node, _ := strings.Cut(sid, ".")
	foreign := func(c rune) bool { return (c < 'a' || c > 'z') && (c < '2' || c > '7') }
	if len(node) != nodeLength || strings.ContainsFunc(node, foreign) {
		return ""
	}
	return node
}

// Node returns the name of this process' life.
func (srv *Server) Node() string { return srv.cfg.Node }

// Errors of a handshake. They are answered with 503.
var (
	errDraining = errors.New("this relay is draining")
	errFull     = errors.New("this relay is full")
)

// openSession makes a session for a request's client, or answers the request and returns nil.
func (srv *Server) openSession(w http.ResponseWriter, r *http.Request) *Session {
	s, err := srv.admit(srv.Address(r))
	if err != nil {
		srv.refuseHandshake(w, r, err)
		return nil
	}
	s.from = from(r) // nobody else knows of s yet
	if srv.cfg.KeepOpening != nil {
		s.opening = srv.openingOf(r)
	}
	return s
}

// admit makes a session for a client at this address if there is room for one.
func (srv *Server) admit(at netip.Addr) (*Session, error) {
	if err := srv.Draining(); err != nil {
		return nil, err
	}
	if err := srv.limits.admit(at); err != nil {
		return nil, err
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	var err error
	switch {
	case srv.draining:
		err = errDraining
	case len(srv.sessions) >= srv.cfg.MaxConnections:
		err = errFull
	}
	if err != nil {
		srv.limits.release(at, true)
		return nil, err
	}
	s := srv.newSession(at)
	srv.sessions[s.id] = s
	return s, nil
}

type forwardedKey struct{}

// Forwarded marks a request that another relay has brought here, from a client at this address; the
// zero Addr if that is not known. What it opens ends with that relay.
func Forwarded(r *http.Request, at netip.Addr) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), forwardedKey{}, at))
}

// session returns the session with this id, or nil.
func (srv *Server) session(id string) *Session {
	if id == "" {
		return nil
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.sessions[id]
}

// remove lets go of a session that has ended.
func (srv *Server) remove(s *Session) {
	s.noteConnected()
	srv.limits.connections.Remove(s.address)
	s.turn.Leave()
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.sessions, s.id)
	srv.noteEmpty()
}

// discard ends a session that never got its transport.
func (srv *Server) discard(s *Session) {
	s.onTransportClosed()
	srv.remove(s)
}

// noteEmpty tells Shutdown when no session is left. srv.mu is held.
func (srv *Server) noteEmpty() {
	if !srv.draining || len(srv.sessions) > 0 {
		return
	}
	select {
	case <-srv.gone:
	default:
		close(srv.gone)
	}
}

// Draining returns a non-nil error once Shutdown has been called.
func (srv *Server) Draining() error {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.draining {
		return errDraining
	}
	return nil
}

// all returns the sessions that there are, in no order.
func (srv *Server) all() []*Session {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return slices.Collect(maps.Values(srv.sessions))
}

// Count returns how many sessions there are.
func (srv *Server) Count() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return len(srv.sessions)
}

// drain refuses new sessions and returns those that are here, in no order, which spreads the
// members of a room, too.
func (srv *Server) drain() []*Session {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.draining = true
	srv.noteEmpty()
	return slices.Collect(maps.Values(srv.sessions))
}

// maxSpread is the longest pause between two closes of a drain: few clients need no spreading.
const maxSpread = 20 * time.Millisecond

// Shutdown drains: it refuses new clients, closes those that are here one after the other over half
// of ctx's time, with a code after which they come back, and waits for all of them. The error is
// ctx's, if they had to be forced. had reports whether there were any.
func (srv *Server) Shutdown(ctx context.Context) (had bool, err error) {
	all := srv.drain()
	pause := maxSpread
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
	if !srv.awaitGone(ctx, flushTimeout+drainTimeout) {
		err = ctx.Err() // nil: only clients that were sent away before the drain take longer
		forceAll(all)
	}
	if !srv.awaitGone(ctx, 0) {
		err = ctx.Err()
		forceAll(all)
		<-srv.gone
	}
	srv.writers.stop() // before wg, to which writers add
	srv.wg.Wait()
	srv.pool.Close()
	srv.poller.close()
	return len(all) > 0, err
}

// awaitGone waits until no session is left. It reports false if ctx ended, or after a time if within
// is not zero.
func (srv *Server) awaitGone(ctx context.Context, within time.Duration) bool {
	var enough <-chan time.Time
	if within > 0 {
		enough = time.After(within)
	}
	select {
	case <-srv.gone:
		return true
	case <-enough:
		return false
	case <-ctx.Done():
		return false
	}
}

func forceAll(sessions []*Session) {
	for _, s := range sessions {
		s.forceClose()
	}
}
