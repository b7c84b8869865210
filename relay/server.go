// Package relay is the server: sockets in, sockets out.
//
// The way of a message: a door (websocket.go, polling.go) hands packets to its session (session.go), which hands messages to
// its caller (caller.go), which finds the namespace's events (events.go); a handler asks the hub (package room), the hub asks
// the broker (package broker). The broker brings the message back, in order; the room encodes it once; every member's outbox
// takes the shared frame; the flushers (flush.go) write it, or the client's next poll takes it.
package relay

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"time"

	"setu/relay/broker"
	"setu/relay/engineio"
	"setu/relay/room"
	"setu/relay/socketio"
)

// Server is one relay. It serves Path, /healthz and /readyz.
type Server struct {
	*Engine
	broker broker.Broker
	hub    *room.Hub
	hops   *forwarder
	mux    *http.ServeMux
	self   string // what welcome says of this relay
}

// New makes a relay that is ready to serve; Shutdown ends what it starts. It does not close b.
func New(cfg Config, b broker.Broker, log *slog.Logger) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	srv := &Server{broker: b, hub: room.NewHub(b, cfg.Limits()), mux: http.NewServeMux(), self: describe(cfg)}
	srv.Engine = NewEngine(cfg, log, SocketIO(map[string]Namespace{"/": lobby{srv}}))
	srv.hops = newForwarder(cfg, b, srv.Engine, log)
	srv.mux.Handle(Path, srv.hops)
	srv.mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	srv.mux.HandleFunc("/readyz", srv.serveReady)
	return srv, nil
}

// Limits is what the settings say of history and sessions.
func (c Config) Limits() broker.Limits {
	return broker.Limits{History: c.HistoryLimit, TTL: c.HistoryTTL, Recovery: c.RecoveryTTL}
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

// welcome is the first event after CONNECT: all up to head has been sent. rooms lists, as JSON, those that the client is in
// again; empty for one that is new.
func (srv *Server) welcome(u broker.User, head broker.Offset, rooms string) *engineio.Frame {
	user, _ := json.Marshal(u) // strings and a bool
	return engineio.NewFrame(len(srv.self)+len(user)+len(rooms)+3*broker.MaxOffset, func(dst []byte) []byte {
		dst = append(dst, byte(engineio.Message), byte(socketio.Event))
		dst = append(append(dst, `["welcome",{"user":`...), user...)
		dst = append(append(append(dst, `,"epoch":"`...), head.Epoch...), `",`...)
		dst = append(dst, srv.self...)
		if rooms != "" {
			dst = append(append(dst, `,"recovered":true,"rooms":`...), rooms...)
		}
		return append(head.Append(append(dst, `},"`...)), `"]`...)
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

// grace is how long the last ones get to come back elsewhere after a drain: stock clients wait for up to 1.5 s before they try.
const grace = 3 * time.Second

// Shutdown drains (see Engine), and then waits for the grace. Users are not announced as leaving: that is for the broker's
// Close, when those who came back elsewhere have done so.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.hub.Drain()
	had, err := srv.Engine.Shutdown(ctx)
	srv.hub.Wait()
	if had {
		select {
		case <-time.After(grace):
		case <-ctx.Done():
		}
	}
	srv.hops.close()
	return err
}
