package events

import (
	"iter"
	"slices"
)

// connections are those of this relay, by user and by session. Mostly there is one of each.
type connections struct {
	byUser    map[string][]*connection
	bySession map[string][]*connection // two while one takes the session over from the other
}

func newConnections() connections {
	return connections{map[string][]*connection{}, map[string][]*connection{}}
}

func (cs connections) add(c *connection) {
	user := c.User().ID
	cs.byUser[user] = append(cs.byUser[user], c)
	cs.bySession[c.id] = append(cs.bySession[c.id], c)
}

// remove takes a connection out, if it is there.
func (cs connections) remove(c *connection) {
	strike(cs.byUser, c.User().ID, c)
	strike(cs.bySession, c.id, c)
}

func strike(from map[string][]*connection, key string, c *connection) {
	left := slices.DeleteFunc(from[key], func(is *connection) bool { return is == c })
	if len(left) == 0 {
		delete(from, key)
	} else {
		from[key] = left
	}
}

// all returns every connection.
func (cs connections) all() iter.Seq[*connection] {
	return func(yield func(*connection) bool) {
		for _, some := range cs.bySession {
			for _, c := range some {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// Target names connections, over all relays: all those of a user, or that of one session. One of the two
// is set.
type Target struct {
	User    string `json:"user,omitempty"`    // public id
	Session string `json:"session,omitempty"` // Socket.IO's sid: what CONNECT was answered with
}

// meant returns the connections that are meant here.
func (root *Root) meant(to Target) []*connection {
	root.mu.Lock()
	defer root.mu.Unlock()
	if to.Session != "" {
		return slices.Clone(root.connections.bySession[to.Session])
	}
	return slices.Clone(root.connections.byUser[to.User])
}
