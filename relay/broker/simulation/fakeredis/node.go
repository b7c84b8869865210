package fakeredis

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// node is one server process: its data, its scripts, and who is connected to it. All of it is guarded
// by Service.mu, so that one command runs at a time.
type node struct {
	of       *Service
	commands map[string]*command
	keys     map[string]*item
	scripts  map[string]string // by hash
	sessions []*session
	tracked  map[string]map[*session]bool // who is told when a key changes
	readonly bool
	chance   *rand.Rand
	lua      *interpreter

	// while a command runs
	changed []string // keys that it wrote
	caller  *session // whose command it is, for tracking
	now     time.Time
}

func newNode(s *Service, keys map[string]*item) *node {
	n := &node{of: s, commands: allCommands(), keys: keys, scripts: map[string]string{}, tracked: map[string]map[*session]bool{},
		chance: rand.New(rand.NewPCG(s.chance.Uint64(), 1))}
	n.lua = newInterpreter(n)
	return n
}

func cloneKeys(keys map[string]*item) map[string]*item {
	out := make(map[string]*item, len(keys))
	for name, it := range keys {
		out[name] = it.clone()
	}
	return out
}

// clock is the server's.
func (n *node) clock() time.Time { return time.Now().Add(n.of.step) }

// find returns a key's value, nil if it is not there or has expired.
func (n *node) find(key string) *item {
	it := n.keys[key]
	if it == nil {
		return nil
	}
	if !it.expires.IsZero() && !n.now.Before(it.expires) {
		delete(n.keys, key)
		n.touch(key)
		return nil
	}
	return it
}

// read is find for a command that does not write: it is noted who is told when the key changes.
func (n *node) read(key string) *item {
	if s := n.caller; s != nil && s.tracking && (!s.optin || s.caching) {
		if n.tracked[key] == nil {
			n.tracked[key] = map[*session]bool{}
		}
		n.tracked[key][s] = true
	}
	return n.find(key)
}

// touch notes that a key was written.
func (n *node) touch(key string) {
	if !slices.Contains(n.changed, key) {
		n.changed = append(n.changed, key)
	}
}

func (n *node) put(key string, it *item) {
	n.keys[key] = it
	n.touch(key)
}

func (n *node) drop(key string) bool {
	if n.find(key) == nil {
		return false
	}
	delete(n.keys, key)
	n.touch(key)
	return true
}

// settle drops keys that have become empty, tells who tracks what was written, and hands it on to
// the replica.
func (n *node) settle() {
	for _, key := range n.changed {
		if it := n.keys[key]; it != nil && it.isEmpty() {
			delete(n.keys, key)
		}
		n.invalidate(key)
		n.of.replicate(n, key)
	}
	n.changed = nil
}

// invalidate tells who tracks a key that it has changed.
func (n *node) invalidate(key string) {
	for _, s := range n.trackersOf(key) {
		s.send(push{"invalidate", array{key}})
	}
	delete(n.tracked, key)
}

// invalidateAll tells who tracks anything that all has changed.
func (n *node) invalidateAll() {
	clear(n.tracked)
	for _, s := range n.sessions {
		if s.tracking {
			s.send(push{"invalidate", nil})
		}
	}
}

// synchronize makes a server that was demoted hold what another holds.
func (n *node) synchronize(with *node) {
	n.keys, n.changed = cloneKeys(with.keys), nil
	n.invalidateAll()
}

// follow takes a change from the primary.
func (n *node) follow(c change) {
	delete(n.keys, c.key)
	if c.is != nil {
		n.keys[c.key] = c.is.clone()
	}
	n.invalidate(c.key)
}

func (n *node) trackersOf(key string) (out []*session) {
	for _, s := range n.sessions {
		if n.tracked[key][s] {
			out = append(out, s)
		}
	}
	return out
}

// publish pushes a message to who is subscribed here.
func (n *node) publish(channel, message string) (receivers int64) {
	for _, s := range n.sessions {
		if s.subscribed[channel] {
			s.send(push{"message", channel, message})
			receivers++
		}
	}
	return receivers
}

// refuses reports why a write is not taken now, nil if it is.
func (n *node) refuses(c *command) any {
	switch {
	case !c.write && !(c == n.commands["PING"] && n.of.refusal == "MISCONF"): // which Redis refuses with them
		return nil
	case n.readonly:
		return failure("READONLY You can't write against a read only replica.")
	case n.of.refusal == "OOM" && c.denyOOM:
		return failure("OOM command not allowed when used memory > 'maxmemory'.")
	case n.of.refusal == "MISCONF":
		return failure("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled, because this instance is configured to report errors during writes if RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.")
	case n.of.refusal == "NOREPLICAS":
		return failure("NOREPLICAS Not enough good replicas to write.")
	}
	return nil
}

// run runs one command: of a client's, or of a script's.
func (n *node) run(args []string) any {
	name := strings.ToUpper(args[0])
	c := n.commands[name]
	if c == nil {
		var rest strings.Builder
		for _, a := range args[1:] {
			rest.WriteString("'" + a + "' ")
		}
		return failure("ERR unknown command '" + args[0] + "', with args beginning with: " + rest.String())
	}
	if len(args) < c.min || c.max > 0 && len(args) > c.max {
		return failure("ERR wrong number of arguments for '" + strings.ToLower(name) + "' command")
	}
	if why := n.refuses(c); why != nil {
		return why
	}
	return c.do(n, args[1:])
}
