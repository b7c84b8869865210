package events

import (
	"slices"
	"time"

	"setu/relay/auth"
	"setu/relay/broker"
	"setu/relay/namespace"
)

// How a client is sent away that may not stay.

// dismiss tells the client why, and closes its connection. A stock client comes back by itself, and
// shows the token that it has by then.
func (c *connection) dismiss(why *fault) {
	c.emitLast(why)
	c.Close(why.Message)
}

// banish tells the client that it was revoked and takes it out of the namespace, after which a stock
// client does not come back by itself. Its session ends with the connection.
func (c *connection) banish() {
	c.banished.Store(true)
	c.emitLast(revokedFault())
	c.Disconnect(namespace.Revoked)
}

func revokedFault() *fault { return &fault{Code: codeRevoked, Message: namespace.Revoked} }

// register makes the connection known to revocations, and to what the application has done about it, and has
// accept answer its CONNECT: nobody finds the connection before it is answered, or misses it then. accept must
// not block.
func (root *Root) register(c *connection, accept func()) {
	root.mu.Lock()
	defer root.mu.Unlock()
	root.connections.add(c)
	accept()
}

// checkRevoked applies a revocation to the connection that was under way while it was registered.
func (root *Root) checkRevoked(c *connection) {
	if r, revoked := root.revoked(c.User().ID, c.id, c.grant.Load()); revoked {
		c.revoke(r)
	}
}

func (root *Root) unregister(c *connection) {
	root.mu.Lock()
	defer root.mu.Unlock()
	root.connections.remove(c)
}

// revoke applies new revocations to whoever is connected, and mutes. It does not block, or call the broker: what
// it sends is queued, and the connections end by themselves.
func (root *Root) revoke(all []broker.Revocation) {
	all = slices.DeleteFunc(slices.Clone(all), func(r broker.Revocation) bool {
		if r.Muted != "" {
			root.mutes.note(r)
		}
		return r.Muted != ""
	})
	if len(all) == 0 {
		return
	}
	root.mu.Lock()
	defer root.mu.Unlock()
	for c := range root.connections.all() {
		for _, r := range all {
			if c.isMeant(r) {
				c.revoke(r)
				break
			}
		}
	}
}

// isMeant reports whether a revocation is of this connection.
func (c *connection) isMeant(r broker.Revocation) bool {
	g := c.grant.Load()
	return (r.User == c.User().ID || r.Session == c.id || r.Token != "" && r.Token == g.TokenID) && r.Ends(issued(g))
}

// issued is when a grant's token was issued, in milliseconds since 1970; 0 if that is not known.
func issued(g *auth.Grant) int64 {
	if g.Issued.IsZero() {
		return 0
	}
	return g.Issued.UnixMilli()
}

// revoke ends the connection, or asks it for another token if the revocation allows that. A guest has
// none.
func (c *connection) revoke(r broker.Revocation) {
	g := c.grant.Load()
	if !r.Reauth || c.User().Guest {
		c.banish()
		return
	}
	c.requestToken(g, time.Now().Add(reauthGrace), revokedFault())
}

// setTimer has f called after d, and not what was set before.
func (c *connection) setTimer(d time.Duration, f func()) {
	if was := c.timer.Swap(time.AfterFunc(d, f)); was != nil {
		was.Stop()
	}
}

// stopTimer has nothing called that was set.
func (c *connection) stopTimer() {
	if was := c.timer.Swap(nil); was != nil {
		was.Stop()
	}
}
