// Package fakeredis is a double of a managed Redis: a primary and an asynchronous replica behind one
// address, with the commands, scripts, pushes and failures that Setu meets. Clients speak RESP to it
// over connections in memory. All waiting is by package time, so that it can live in a bubble of
// testing/synctest, where hours pass in seconds.
//
// What it answers is held against a real server by the test of this package.
package fakeredis

import (
	"context"
	"errors"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// Service is a primary and its replica. Its methods may be called concurrently.
type Service struct {
	mu     sync.Mutex // guards what follows; held while a command runs
	seed   uint64
	chance *rand.Rand
	links  map[string]*link
	all    []*session // that are open
	nodes  []*node    // the primary first; then servers that were demoted in place

	replica   map[string]*item
	log       []change // that the replica has not applied
	lag       time.Duration
	standing  bool // replication stands still
	snapshot  map[string]*item
	refusal   string
	step      time.Duration // of the server's clock
	frozen    chan struct{} // closed when it thaws; nil: it is not frozen
	commands  uint64
	wg        sync.WaitGroup
	closed    bool
	numbering int64
}

// change is what a key held after a command.
type change struct {
	at  time.Time
	key string
	is  *item // nil: gone
}

// New starts an empty service. What is left to chance, the seed decides.
func New(seed uint64) *Service {
	s := &Service{seed: seed, chance: rand.New(rand.NewPCG(seed, 7)), links: map[string]*link{}, replica: map[string]*item{}}
	s.nodes = []*node{newNode(s, map[string]*item{})}
	return s
}

// named makes a number of a name.
func named(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return h.Sum64()
}

func (s *Service) link(name string) *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.links[name]
	if l == nil {
		l = &link{name: name, changed: make(chan struct{}), chance: named(name) ^ s.seed}
		s.links[name] = l
	}
	return l
}

// Dial returns what opens connections of one client machine, whose link's properties hold for all of
// them.
func (s *Service) Dial(name string) func(ctx context.Context, address string) (net.Conn, error) {
	l := s.link(name)
	return func(ctx context.Context, _ string) (net.Conn, error) {
		l.mu.Lock()
		is := l.is
		l.mu.Unlock()
		if is.NoDial {
			return nil, errors.New("fakeredis: connection refused")
		}
		if is.Lost || is.LostBack {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		select {
		case <-time.After(2 * is.Delay):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return s.open(l)
	}
}

func (s *Service) open(l *link) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, net.ErrClosed
	}
	near, far := net.Pipe()
	s.numbering++
	c := &session{of: s, on: s.nodes[0], link: l, number: s.numbering, far: far, ended: make(chan struct{}), subscribed: map[string]bool{}}
	up, down := l.chances()
	c.up, c.down = newWay(c, false, up), newWay(c, true, down)
	s.all = append(s.all, c)
	c.on.sessions = append(c.on.sessions, c)
	s.wg.Go(func() { // what the client writes goes up
		defer c.end()
		buf := make([]byte, 1<<16)
		for {
			n, err := far.Read(buf)
			if err != nil {
				return
			}
			c.up.put(slices.Clone(buf[:n]))
		}
	})
	s.wg.Go(func() { // what the server says goes down
		defer c.end()
		for {
			b, ok := c.down.next()
			if !ok {
				return
			}
			if _, err := far.Write(b); err != nil {
				return
			}
			s.mu.Lock()
			c.deliver -= int64(len(b))
			s.mu.Unlock()
		}
	})
	s.wg.Go(c.serve)
	s.wg.Go(func() {
		<-c.ended
		c.up.close()
		c.down.close()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.forget(c)
	})
	return near, nil
}

func (s *Service) forget(c *session) {
	s.all = slices.DeleteFunc(s.all, func(o *session) bool { return o == c })
	c.on.sessions = slices.DeleteFunc(c.on.sessions, func(o *session) bool { return o == c })
	for _, who := range c.on.tracked {
		delete(who, c)
	}
}

// publish pushes a message to all subscribers: those of servers that replicate, too. s.mu is held.
func (s *Service) publish(on *node, channel, message string) (receivers int64) {
	receivers = on.publish(channel, message)
	if on == s.nodes[0] {
		for _, n := range s.nodes[1:] {
			n.publish(channel, message)
		}
	}
	return receivers
}

// replicate hands a key on to the replica. s.mu is held.
func (s *Service) replicate(n *node, key string) {
	if n != s.nodes[0] {
		return
	}
	c := change{at: time.Now(), key: key}
	if it := n.keys[key]; it != nil {
		c.is = it.clone()
	}
	s.hand(c)
}

func (s *Service) replicateGone(n *node, key string) {
	if n == s.nodes[0] {
		s.hand(change{at: time.Now(), key: key})
	}
}

// hand hands a change on to the replica, which may take it later, and to servers that were demoted.
// s.mu is held.
func (s *Service) hand(c change) {
	s.log = append(s.log, c)
	s.apply()
	for _, n := range s.nodes[1:] {
		n.follow(c)
	}
}

// apply brings the replica to where it is by now. s.mu is held.
func (s *Service) apply() {
	if s.standing {
		return
	}
	until := time.Now().Add(-s.lag)
	for len(s.log) > 0 && !s.log[0].at.After(until) {
		if c := s.log[0]; c.is == nil {
			delete(s.replica, c.key)
		} else {
			s.replica[c.key] = c.is
		}
		s.log = s.log[1:]
	}
}

// thawed waits until the server is not frozen. It returns false if the connection ends.
func (s *Service) thawed(c *session) bool {
	for {
		s.mu.Lock()
		frozen := s.frozen
		s.mu.Unlock()
		if frozen == nil {
			return true
		}
		select {
		case <-frozen:
		case <-c.ended:
			return false
		}
	}
}

// Do runs a command at once, for an observer.
func (s *Service) Do(args ...string) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[0]
	n.now = n.clock()
	r := n.run(args)
	n.settle()
	if f, failed := r.(failure); failed {
		return nil, f
	}
	return plain(r), nil
}

// plain returns a reply in types that others know.
func plain(r any) any {
	list := func(items []any) any {
		out := make([]any, len(items))
		for i, item := range items {
			out[i] = plain(item)
		}
		return out
	}
	switch r := r.(type) {
	case status:
		return string(r)
	case double:
		return float64(r)
	case array:
		return list(r)
	case mapping:
		return list(r)
	case elements:
		return list(r)
	}
	return r
}

// Commands counts what clients have asked so far; a script counts once.
func (s *Service) Commands() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commands
}

// Close ends all connections, and waits for what was started.
func (s *Service) Close() {
	s.Thaw()
	s.mu.Lock()
	s.closed = true
	for _, c := range s.all {
		c.end()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

// evictable returns the keys whose names contain match, in one order.
func (s *Service) evictable(match string) (out []string) {
	for key := range s.nodes[0].keys {
		if strings.Contains(key, match) {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}
