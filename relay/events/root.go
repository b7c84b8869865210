// Package events is Setu's own namespace "/": the table of events that clients may send, with a
// handler each; who somebody is; and the recovery of a session.
package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"setu/relay/auth"
	"setu/relay/broker"
	"setu/relay/hook"
	"setu/relay/limit"
	"setu/relay/metrics"
	"setu/relay/namespace"
	"setu/relay/room"
)

// Config is what the events need of the settings.
type Config struct {
	RelayID string // told to clients, as Region is
	Region  string

	MaxPayload int // bytes of one message, told to clients
	History    int // messages kept of a room, told to clients

	// Node names this relay to others.
	Node string
	// MaxRooms bounds the rooms of one connection, and is told to clients. Zero: 200.
	MaxRooms int
	// UserRates and MaxUserConnections bound one user, over all relays. Zero: no limit.
	UserRates          limit.Rates
	MaxUserConnections int

	// Lobby is the room that every connection is in from CONNECT on; empty: there is none.
	// LobbyEvents are what clients may emit to it by themselves.
	Lobby       string
	LobbyEvents LobbyEvents

	// RelayURLs are where browsers reach the relays of a region, by region: told to clients.
	RelayURLs map[string]string

	// Hooks ask the app. Nil: there is none.
	Hooks *hook.Sender

	// Online is told who is connected. Nil: nobody is.
	Online broker.Notices

	Metrics *metrics.Metrics // count what happens; nil: nobody reads them
}

// Store is what the events ask of a broker themselves; what is a room's they ask the hub.
type Store interface {
	broker.Messages
	broker.Sessions
	broker.Revocations
	broker.Commands
	broker.Fleet
}

// Root is the root namespace: whoever connects becomes a user who may join rooms.
type Root struct {
	// immutable after New
	hub      *room.Hub
	store    Store
	auth     *auth.Verifier
	guests   *auth.Grant // what they may do; nil: there are none
	log      *slog.Logger
	metrics  *metrics.Metrics
	relay    string // RELAY_ID
	region   string
	place    broker.Place // of RELAY_ID and REGION: where everybody is who is connected here
	self     string       // what every welcome says of this relay
	maxRooms int

	maxPayload int // bytes of what the application publishes

	relayURLs map[string]string // where browsers reach the relays of a region, by region

	users  *limit.Users
	usage  *usage
	online *online
	mutes  mutes
	hooks  *hook.Sender // nil: there is no app to ask

	lobby       string
	lobbyEvents LobbyEvents

	mu          sync.Mutex // guards what follows
	connections connections
}

// New returns the root namespace over a hub and its store. Who may do what, v decides. Close ends what
// it starts.
func New(cfg Config, hub *room.Hub, store Store, v *auth.Verifier, log *slog.Logger) *Root {
	if cfg.Metrics == nil {
		cfg.Metrics = metrics.New()
	}
	if cfg.MaxRooms == 0 {
		cfg.MaxRooms = 200
	}
	root := &Root{hub: hub, store: store, auth: v, log: log, metrics: cfg.Metrics, relay: cfg.RelayID, region: cfg.Region, place: broker.Place{Region: cfg.Region, Relay: cfg.RelayID}, self: describe(cfg),
		relayURLs: cfg.RelayURLs, maxRooms: cfg.MaxRooms, maxPayload: cfg.MaxPayload, users: limit.NewUsers(cfg.Node, cfg.UserRates, cfg.MaxUserConnections),
		lobby: cfg.Lobby, lobbyEvents: cfg.LobbyEvents, connections: newConnections(), hooks: cfg.Hooks, online: newOnline(cfg.Online)}
	if rooms, admitted := v.Guests(); admitted {
		root.guests = &auth.Grant{Rooms: rooms}
	}
	root.usage = tellUsage(root.users, store, cfg.Node, log)
	store.OnRevoked(root.revoke)
	store.OnCommand(root.obey)
	return root
}

// Close ends what New has started. Limits hold on.
func (root *Root) Close() { root.usage.close() }

// Drain says that all connections are about to be closed. The broker's Close then says who is gone.
func (root *Root) Drain() { root.online.drain() }

// Connect implements namespace.Namespace.
func (root *Root) Connect(ctx context.Context, c *namespace.Conn, auth json.RawMessage) (namespace.Handler, error) {
	who, err := root.identify(ctx, auth)
	if err != nil {
		f := faultOf(err)
		root.countRefused(f.Code)
		if f.Code == codeUnavailable { // a CONNECT_ERROR would stop the client for good
			return nil, fmt.Errorf("%w: %w", namespace.ErrComeBack, err)
		}
		return nil, &namespace.ConnectError{Code: f.Code, Message: f.Message}
	}
	conn := &connection{Conn: c, root: root, began: time.Now(), forms: who.forms, moves: who.moves, tokenUser: who.grant.UserID}
	conn.grant.Store(who.grant)
	resumed, app, err := conn.begin(ctx, who, auth)
	if refused := refusal(err); refused != nil {
		root.countRefused(refused.Code)
	}
	if err != nil {
		return nil, err
	}
	root.countConnect(resumed)
	conn.watchExpiry(conn.grant.Load())
	root.online.enter(conn.User().Unplaced())
	root.checkRevoked(conn)
	conn.welcomeFromApp(ctx, app)
	return conn, nil
}

// begin makes the connection go on with its client's session or, if that can't be had, that of a new one.
// What the app has said is to be done once it is registered.
func (c *connection) begin(ctx context.Context, who identity, auth json.RawMessage) (resumed bool, app said, err error) {
	if who.pid != "" {
		resumed, app, err = c.tryRecover(ctx, who, auth)
		if err != nil || resumed {
			return resumed, app, err
		}
		c.forgetApp(who)
	}
	pid := newID()
	if app, err = c.admit(ctx, &who, auth, socketID(pid), false); err == nil {
		err = c.start(ctx, who, pid)
	}
	return false, app, err
}

// tryRecover makes the connection go on with its client's session, if that can be had.
func (c *connection) tryRecover(ctx context.Context, who identity, auth json.RawMessage) (resumed bool, app said, err error) {
	if _, bad := broker.ParseOffset(who.offset); bad == nil { // else nothing can be recovered, and nobody is asked
		app, err = c.admit(ctx, &who, auth, socketID(who.pid), true)
	}
	if err == nil {
		resumed, err = c.resume(ctx, who)
	}
	if refusal(err) == nil {
		c.root.metrics.Recoveries.Of(metrics.ByPID, metrics.OutcomeOf(resumed, err)).Inc()
	}
	return resumed, app, err
}

// refusal returns err if it is one by which a CONNECT is refused, or nil.
func refusal(err error) *namespace.ConnectError {
	var refused *namespace.ConnectError
	errors.As(err, &refused)
	return refused
}

func (root *Root) countConnect(resumed bool) {
	result := metrics.ConnectNew
	if resumed {
		result = metrics.ConnectRecovered
	}
	root.metrics.Connects.Of(result).Inc()
}
