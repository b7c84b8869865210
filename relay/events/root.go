// Package events is Setu's own namespace "/": the table of events that clients may send, with a
// handler each; who somebody is; and the recovery of a session.
package events

import (
	"context"
	"encoding/json"
	"log/slog"

	"setu/relay/broker"
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

	Metrics *metrics.Metrics // count what happens; nil: nobody reads them
}

// Store is what the events ask of a broker themselves; what is a room's they ask the hub.
type Store interface {
	broker.Messages
	broker.Sessions
}

// Root is the root namespace: whoever connects becomes a user who may join rooms.
type Root struct {
	hub     *room.Hub
	store   Store
	log     *slog.Logger
	metrics *metrics.Metrics
	self    string // what every welcome says of this relay
}

// New returns the root namespace over a hub and its store.
func New(cfg Config, hub *room.Hub, store Store, log *slog.Logger) *Root {
	if cfg.Metrics == nil {
		cfg.Metrics = metrics.New()
	}
	return &Root{hub: hub, store: store, log: log, metrics: cfg.Metrics, self: describe(cfg)}
}

// Connect implements namespace.Namespace.
func (root *Root) Connect(ctx context.Context, c *namespace.Conn, auth json.RawMessage) (namespace.Handler, error) {
	who, err := identify(auth)
	if err != nil {
		return nil, &namespace.ConnectError{Code: codeBadRequest, Message: err.Error()}
	}
	conn := &connection{Conn: c, root: root}
	resumed := false
	if who.pid != "" {
		resumed, err = conn.resume(ctx, who)
		root.metrics.Recoveries.Of(metrics.ByPID, metrics.OutcomeOf(resumed, err)).Inc()
		if err != nil {
			return nil, err
		}
	}
	if !resumed {
		conn.start(who)
	}
	root.countConnect(resumed)
	return conn, nil
}

func (root *Root) countConnect(resumed bool) {
	result := metrics.ConnectNew
	if resumed {
		result = metrics.ConnectRecovered
	}
	root.metrics.Connects.Of(result).Inc()
}
