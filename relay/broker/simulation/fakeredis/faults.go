package fakeredis

import "time"

// SetLink changes how a client machine reaches the service, also for what is sent on connections that
// are open.
func (s *Service) SetLink(name string, is Link) {
	l := s.link(name)
	l.set(func() { l.is = is })
}

// PubSubLag has what comes over a machine's subscribed connections take longer: they keep their
// order, and fall behind the other connections.
func (s *Service) PubSubLag(name string, d time.Duration) {
	l := s.link(name)
	l.set(func() { l.lag = d })
}

// Cut ends a machine's connections.
func (s *Service) Cut(name string) { s.cut(func(c *session) bool { return c.link.name == name }) }

// CutSome ends a machine's subscribed connections, or the others.
func (s *Service) CutSome(name string, pubsub bool) {
	s.cut(func(c *session) bool { return c.link.name == name && len(c.subscribed) > 0 == pubsub })
}

func (s *Service) cut(which func(*session) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.all {
		if which(c) {
			c.end()
		}
	}
}

func (s *Service) cutAll() {
	for _, c := range s.all {
		c.end()
	}
}

// ReplicationLag sets how far behind the replica is; if negative, replication stands still.
func (s *Service) ReplicationLag(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.standing, s.lag = d < 0, max(d, 0)
	s.apply()
}

// promote makes the replica, as it is, the primary. s.mu is held.
func (s *Service) promote() {
	s.apply()
	n := newNode(s, s.replica)
	s.nodes = append([]*node{n}, s.nodes...)
	s.replica, s.log, s.standing, s.lag = cloneKeys(n.keys), nil, false, 0
}

// Failover promotes the replica. All connections end, and the former primary is gone.
func (s *Service) Failover() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.promote()
	s.nodes = s.nodes[:1]
	s.cutAll()
}

// Demote makes the primary a read-only replica of the one that was its replica until now: it holds what
// that holds, from now on. Its connections stay; new ones lead to the new primary.
func (s *Service) Demote() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nodes[0].readonly = true
	s.promote()
	for _, n := range s.nodes[1:] {
		n.synchronize(s.nodes[0])
	}
}

// Snapshot remembers what the primary holds.
func (s *Service) Snapshot() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snapshot = cloneKeys(s.nodes[0].keys)
}

// Restart ends all connections, and has the primary go on with what it held, or, if asked for, with
// what was remembered last.
func (s *Service) Restart(fromSnapshot bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := s.nodes[0].keys
	if fromSnapshot {
		keys = cloneKeys(s.snapshot)
	}
	s.nodes = []*node{newNode(s, keys)}
	s.replica, s.log = cloneKeys(keys), nil
	s.cutAll()
}

// Flush empties the service.
func (s *Service) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[0]
	n.now = n.clock()
	flush(n, nil)
}

// ForgetScripts forgets all scripts.
func (s *Service) ForgetScripts() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.nodes[0].scripts)
}

// Evict takes away one key whose name contains match. It returns false if there is none.
func (s *Service) Evict(match string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	keys := s.evictable(match)
	if len(keys) == 0 {
		return false
	}
	n := s.nodes[0]
	n.now = n.clock()
	n.drop(keys[s.chance.IntN(len(keys))])
	n.settle()
	return true
}

// Refuse has writes answered with an error of this code: OOM, MISCONF or NOREPLICAS. An empty one ends
// it.
func (s *Service) Refuse(code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal = code
}

// StepClock moves the servers' clock.
func (s *Service) StepClock(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.step += d
}

// Freeze has the servers answer nothing, with all connections open, until Thaw.
func (s *Service) Freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen == nil {
		s.frozen = make(chan struct{})
	}
}

// Thaw ends a Freeze.
func (s *Service) Thaw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen != nil {
		close(s.frozen)
		s.frozen = nil
	}
}
