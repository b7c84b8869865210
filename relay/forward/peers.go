package forward

import (
	"context"
	"errors"
	"slices"
	"time"

	"setu/relay/broker"
)

const (
	// findTimeout bounds the search for a relay.
	findTimeout = 2 * time.Second
	// deadFor is how long a relay that could not be dialed is not dialed again.
	deadFor = 5 * time.Second
	// lostFor is how long a relay is still dialed of which the store knows nothing any more: a store that has been
	// emptied is told of it anew.
	lostFor = 5 * time.Second
	// maxPeers bounds what is remembered of other relays.
	maxPeers = 1024
)

// peer is what was last heard of another relay.
type peer struct {
	broker.Peer
	heard time.Time // when the store last had it; zero: that does not count any more
	lost  bool      // the store has it no more
	dead  time.Time // when it could not be reached; zero: it was reached
}

func (p peer) isDead() bool { return time.Since(p.dead) < deadFor }

// find looks another relay up. While the store is away, and for a while after it has lost that relay, what was known of
// it last holds.
func (f *Forwarder) find(ctx context.Context, node string) (p peer, ok bool) {
	f.mu.Lock()
	was := f.peers[node]
	f.mu.Unlock()
	switch {
	case was.isDead():
		return peer{}, false
	case was.Node != "" && f.fleet.Ready() != nil:
		return was, true
	}
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	now, err := f.fleet.Peer(ctx, node)
	switch {
	case err == nil:
		p = peer{Peer: now, heard: time.Now()}
		f.note(node, p)
		return p, true
	case !errors.Is(err, broker.ErrGone):
		return was, was.Node != ""
	case time.Since(was.heard) < lostFor:
		was.lost = true
		return was, true
	}
	f.drop(node)
	return peer{}, false
}

// findOthers returns relays that take new clients and could be dialed lately. While the store is
// away, those that were known last hold.
func (f *Forwarder) findOthers(ctx context.Context) []broker.Peer {
	err := f.fleet.Ready()
	var others []broker.Peer
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, findTimeout)
		defer cancel()
		others, err = f.fleet.Others(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		f.others = others
	}
	return slices.DeleteFunc(slices.Clone(f.others), func(p broker.Peer) bool { return f.peers[p.Node].isDead() })
}

func (f *Forwarder) note(node string, p peer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.peers) >= maxPeers {
		clear(f.peers)
	}
	f.peers[node] = p
}

func (f *Forwarder) drop(node string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.peers, node)
}
