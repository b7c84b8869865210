// Package relay is the server: it wires the packages below it together, and little else.
//
// The way of a message: a transport (package engine) hands packets to its session, which hands
// messages to Socket.IO (package namespace), which finds the handler of the event (package events);
// the handler asks the hub (package room), the hub asks the broker (package broker). The broker
// brings the message back, in order; the room encodes it once; every member's outbox takes the
// shared frame; the engine's writers write it, or the client's next poll takes it.
package relay

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"setu/relay/auth"
	"setu/relay/broker"
	"setu/relay/engine"
	"setu/relay/events"
	"setu/relay/forward"
	"setu/relay/metrics"
	"setu/relay/namespace"
	"setu/relay/room"
)

// Path is where clients connect, as stock clients expect it.
const Path = "/socket.io/"

// Server is one relay. It serves Path, /healthz and /readyz.
type Server struct {
	// immutable after New
	metrics *metrics.Metrics
	fleet   broker.Fleet
	hub     *room.Hub
	engine  *engine.Server
	forward *forward.Forwarder
	auth    *auth.Verifier
	root    *events.Root
	front   *front
	mux     *http.ServeMux
}

// New returns a relay that is ready to serve; Shutdown ends what it starts. It does not close b.
func New(cfg Config, b broker.Broker, log *slog.Logger) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Metrics == nil {
		cfg.Metrics = metrics.New()
	}
	verifier, err := auth.New(cfg.Auth(), log)
	if err != nil {
		return nil, err
	}
	hub := room.NewHub(b, cfg.Limits()).CountIn(cfg.Metrics).BoundMembers(cfg.MaxMembers)
	srv := &Server{metrics: cfg.Metrics, fleet: b, hub: hub, auth: verifier, front: newFront(cfg.Engine(), log), mux: http.NewServeMux()}
	srv.metrics.OnGather(srv.measure)
	srv.root = events.New(cfg.events(), srv.hub, b, verifier, log)
	srv.engine = engine.New(cfg.Engine(), log, namespace.Serve(cfg.Namespace(), map[string]namespace.Namespace{"/": srv.root}))
	srv.forward = forward.New(cfg.forward(), b, srv.engine, log)
	srv.mux.HandleFunc(Path, srv.serveClient)
	srv.mux.HandleFunc(strings.TrimSuffix(Path, "/"), srv.serveClient) // or the mux redirects, which breaks WebSocket
	srv.mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	srv.mux.HandleFunc("/readyz", srv.serveReady)
	return srv, nil
}

// ServeHTTP implements http.Handler.
func (srv *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { srv.mux.ServeHTTP(w, r) }

// clientFile matches the paths at which a stock server serves the client to pages.
var clientFile = regexp.MustCompile(`^/socket\.io/socket\.io(\.msgpack|\.esm)?(\.min)?\.js(\.map)?$`)

// noClientFile is the answer to a request for the client: where to get it instead.
const noClientFile = `Setu does not serve the client of Socket.IO. Install it (npm install socket.io-client@4), or load
https://cdn.jsdelivr.net/npm/socket.io-client@4/dist/socket.io.min.js (an ES module: socket.io.esm.min.js).`

// serveClient serves whatever is below Path, as the stock server does.
func (srv *Server) serveClient(w http.ResponseWriter, r *http.Request) {
	if clientFile.MatchString(r.URL.Path) {
		http.Error(w, noClientFile, http.StatusNotFound)
		return
	}
	srv.forward.ServeHTTP(w, r)
}

// serveReady reports whether this relay can serve.
func (srv *Server) serveReady(w http.ResponseWriter, _ *http.Request) {
	if err := srv.ready(); err != nil {
		http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ready\n")
}

// ready returns nil if this relay can serve: the broker reaches its store the whole way round, and it
// does not drain.
func (srv *Server) ready() error {
	if err := srv.engine.Draining(); err != nil {
		return err
	}
	return srv.fleet.Ready()
}

// measure looks up whether this relay can serve.
func (srv *Server) measure() {
	ready := 0.0
	if srv.ready() == nil {
		ready = 1
	}
	srv.metrics.Ready.Set(ready)
}

// Metrics returns what the relay counts.
func (srv *Server) Metrics() *metrics.Metrics { return srv.metrics }

// grace is how long the last clients get to come back elsewhere after a drain: stock clients wait
// for up to 1.5 s before they try.
const grace = 3 * time.Second

// Shutdown drains the engine, and then waits for the grace. Meanwhile new clients that connect here
// are brought to other relays, so the forwarder ends last. Users are not announced as leaving: that
// is for the broker's Close, once those that come back elsewhere have done so.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.hub.Drain()
	srv.fleet.Drain()
	had, err := srv.engine.Shutdown(ctx)
	srv.hub.Wait()
	srv.root.Close()
	if had {
		select {
		case <-time.After(grace):
		case <-ctx.Done():
		}
	}
	srv.forward.Close()
	srv.auth.Close()
	return err
}
