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

	Metrics *metrics.Metrics // count what happens; nil: nobody reads them
}

// Store is what the events ask of a broker themselves; what is a room's they ask the hub.
type Store interface {
	broker.Messages
	broker.Sessions
	broker.Revocations
}

// Root is the root namespace: whoever connects becomes a user who may join rooms.
type Root struct {
	// immutable after New
	hub      *room.Hub
	store    Store
	auth     *auth.Verifier
	log      *slog.Logger
	metrics  *metrics.Metrics
	relay    string // RELAY_ID
	self     string // what every welcome says of this relay
	maxRooms int
	users    *limit.Users
	usage    *usage

	mu          sync.Mutex // guards what follows
	connections map[*connection]struct{}
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
	root := &Root{hub: hub, store: store, auth: v, log: log, metrics: cfg.Metrics, relay: cfg.RelayID, self: describe(cfg),
		maxRooms: cfg.MaxRooms, users: limit.NewUsers(cfg.Node, cfg.UserRates, cfg.MaxUserConnections),
		connections: map[*connection]struct{}{}}
	root.usage = tellUsage(root.users, store, cfg.Node, log)
	store.OnRevoked(root.revoke)
	return root
}

// Close ends what New has started. Limits hold on.
func (root *Root) Close() { root.usage.close() }

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
	conn := &connection{Conn: c, root: root, began: time.Now()}
	conn.grant.Store(who.grant)
	resumed := false
	if who.pid != "" {
		resumed, err = conn.resume(ctx, who)
		if refusal(err) == nil {
			root.metrics.Recoveries.Of(metrics.ByPID, metrics.OutcomeOf(resumed, err)).Inc()
		}
	}
	if err == nil && !resumed {
		err = conn.start(who)
	}
	if refused := refusal(err); refused != nil {
		root.countRefused(refused.Code)
	}
	if err != nil {
		return nil, err
	}
	root.countConnect(resumed)
	conn.watchExpiry(who.grant)
	root.register(conn)
	return conn, nil
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
