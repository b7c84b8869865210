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

	"setu/relay/api"
	"setu/relay/auth"
	"setu/relay/broker"
	"setu/relay/engine"
	"setu/relay/events"
	"setu/relay/forward"
	"setu/relay/hook"
	"setu/relay/metrics"
	"setu/relay/namespace"
	"setu/relay/room"
)

// Path is where clients connect, as stock clients expect it.
const Path = "/socket.io/"

// Server is one relay. It serves Path, api.Path if there are keys, /healthz and /readyz.
type Server struct {
	// immutable after New
	metrics *metrics.Metrics
	fleet   broker.Fleet
	hub     *room.Hub
	engine  *engine.Server
	forward *forward.Forwarder
	auth    *auth.Verifier
	root    *events.Root
	hooks   *hook.Sender // nil: there is no app to ask
	front   *front
	newest  *newestReader
	teller  *hook.Teller // nil: the app is not told of presence
	telling *hook.Sender
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
	hub := room.NewHub(b, cfg.Limits()).CountIn(cfg.Metrics).BoundMembers(cfg.MaxMembers).In(cfg.Region)
	srv := &Server{metrics: cfg.Metrics, fleet: b, hub: hub, auth: verifier, front: newFront(cfg.Engine(), log), mux: http.NewServeMux()}
	srv.newest = newNewestReader(cfg.Engine().Addresses, cfg.HistoryRate)
	srv.metrics.OnGather(srv.measure)
	if srv.hooks, err = cfg.openHooks(log); err != nil {
		return nil, err
	}
	if srv.teller, srv.telling, err = newTeller(cfg, b, log); err != nil {
		return nil, err
	}
	e := cfg.events(srv.hooks)
	if cfg.tellsPresence() {
		e.Online = b
	}
	srv.root = events.New(e, srv.hub, b, verifier, log)
	of := cfg.Engine()
	of.MostOf = namespace.MostOf
	of.KindOf = namespace.KindOf(srv.root.KindOf)
	srv.engine = engine.New(of, log, namespace.Serve(cfg.Namespace(), map[string]namespace.Namespace{"/": srv.root}))
	srv.forward = forward.New(cfg.forward(), b, srv.engine, log)
	srv.mux.HandleFunc(Path, srv.serveClient)
	srv.mux.HandleFunc(strings.TrimSuffix(Path, "/"), srv.serveClient) // or the mux redirects, which breaks WebSocket
	srv.mux.Handle("/healthz", srv.inTurn(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") }))
	srv.mux.Handle("/readyz", srv.inTurn(srv.serveReady))
	if cfg.APIKeys != "" {
		guard := api.Guard{Address: srv.engine.Address, Charge: srv.engine.Charge, IsShutOut: srv.engine.IsShutOut, Files: srv.BoundFiles}
		srv.mux.Handle(api.Path, srv.inTurn(api.New(cfg.api(), srv.root, b, guard, log).ServeHTTP))
	} else {
		srv.mux.Handle(api.Path, srv.inTurn(api.Off))
	}
	return srv, nil
}

// ServeHTTP implements http.Handler.
func (srv *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { srv.mux.ServeHTTP(w, r) }

// inTurn has h wait until it is the turn of the client's address.
func (srv *Server) inTurn(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		srv.engine.AwaitRequest(r)
		h(w, r)
	})
}

// clientFile matches the paths at which a stock server serves the client to pages.
var clientFile = regexp.MustCompile(`^/socket\.io/socket\.io(\.msgpack|\.esm)?(\.min)?\.js(\.map)?$`)

// noClientFile is the answer to a request for the client: where to get it instead.
const noClientFile = `Setu does not serve the client of Socket.IO. Install it (npm install socket.io-client@4), or load
https://cdn.jsdelivr.net/npm/socket.io-client@4/dist/socket.io.min.js (an ES module: socket.io.esm.min.js).`

// serveClient serves whatever is below Path, as the stock server does.
func (srv *Server) serveClient(w http.ResponseWriter, r *http.Request) {
	if clientFile.MatchString(r.URL.Path) {
		srv.engine.AwaitRequest(r)
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

// Connected returns the sessions that are connected to this relay, the oldest first, at most so many, and how
// many there are.
func (srv *Server) Connected(most int) (list []events.Connected, total int) {
	return srv.root.Connected(most)
}

// grace is how long the last clients get to come back elsewhere after a drain: stock clients wait
// for up to 1.5 s before they try.
const grace = 3 * time.Second

// Shutdown drains the engine, and then waits for the grace. Meanwhile new clients that connect here
// are brought to other relays, so the forwarder ends last. Users are not announced as leaving: that
// is for the broker's Close, once those that come back elsewhere have done so.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.hub.Drain()
	srv.root.Drain()
	srv.fleet.Drain()
	if srv.hooks != nil { // a client is gone once the app has answered what it asked
		defer context.AfterFunc(ctx, srv.hooks.Close)()
	}
	had, err := srv.engine.Shutdown(ctx)
	srv.hub.Wait()
	srv.root.Close()
	if srv.hooks != nil {
		srv.hooks.Close()
	}
	if had {
		select {
		case <-time.After(grace):
		case <-ctx.Done():
		}
	}
	srv.forward.Close()
	srv.auth.Close()
	if srv.teller != nil {
		srv.teller.Close()
		srv.telling.Close()
	}
	return err
}
