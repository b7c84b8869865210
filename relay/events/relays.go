package events

import (
	"context"
	"math"
	"time"

	"setu/relay/broker"
	"setu/relay/namespace"
)

// What a client may know of the fleet: how far away the store is, and which relays there are.

// ping answers at once: it is how a client takes its round-trip time, since heartbeats are the
// server's. store is the relay's own to the store, as the health check has found it, in ms.
func ping(_ context.Context, c *connection, e namespace.Event) error {
	c.ack(e, struct {
		OK    bool    `json:"ok"`
		At    int64   `json:"at"`
		Store float64 `json:"store,omitempty"`
	}{true, time.Now().UnixMilli(), milliseconds(c.root.store.RoundTrip())})
	return nil
}

// milliseconds returns a time in ms, to a hundredth.
func milliseconds(d time.Duration) float64 {
	return math.Round(float64(d.Microseconds())/10) / 100
}

// seenRelay is a relay, as clients are told of it.
type seenRelay struct {
	broker.Place
	URL string `json:"url,omitempty"` // where browsers reach the relays of its region; empty: not told
}

// relays lists this relay, and then others that take new clients.
func relays(ctx context.Context, c *connection, e namespace.Event) error {
	list := []seenRelay{c.root.seen(c.root.place)}
	others, err := c.root.store.Others(ctx)
	if err != nil {
		return err
	}
	for _, p := range others {
		if p.Place != (broker.Place{}) { // else it is a relay of before
			list = append(list, c.root.seen(p.Place))
		}
	}
	c.ack(e, struct {
		OK     bool        `json:"ok"`
		Relays []seenRelay `json:"relays"`
	}{true, list})
	return nil
}

func (root *Root) seen(at broker.Place) seenRelay { return seenRelay{at, root.relayURLs[at.Region]} }
