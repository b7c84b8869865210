package redis

import "time"

// A session that is released is one that Redis holds already: what it is to be told is only for how long
// it is to be kept from now on, and less than for that it never is. So that waits for a moment, in which
// the client mostly comes back.

// partedDelay is how long Redis is not told that a session was released, and partedLook how often those are
// looked for of whom it is to be told: there may be very many.
const (
	partedDelay = 5 * time.Second
	partedLook  = partedDelay / 20
)

// ripen has Redis told of those that have waited long enough.
func (k *sessions) ripen() {
	if time.Since(k.ripened) >= partedLook {
		k.ripened = time.Now()
		k.ripenParted(partedDelay)
	}
}

// part has s wait, and reports whether it does: what Redis lacks of it is not to wait, nor more sessions
// than take maxPastBytes. k.mu is held.
func (k *sessions) part(s *handle) bool {
	_, fresh := k.fresh[s]
	cost := s.size()
	if fresh || s.busy || !s.sent || k.isMarked(s) || k.parted[s.key] != nil || k.partedBytes+cost > maxPastBytes {
		return false
	}
	s.ownership, s.since, s.cost = parted, time.Now(), cost
	k.parted[s.key] = s
	k.partedBytes += cost
	return true
}

// unpart has s wait no more. k.mu is held.
func (k *sessions) unpart(s *handle) {
	delete(k.parted, s.key)
	k.partedBytes -= s.cost
}

// ripenParted has Redis told of those that have waited for so long. It reports whether there are more,
// which would be too many at once.
func (k *sessions) ripenParted(delay time.Duration) (more bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.parted {
		switch {
		case time.Since(s.since) < delay:
		case k.pastBytes+s.cost > maxPastBytes:
			return true
		default:
			k.unpart(s)
			k.addPast(s, released)
			k.mark(s)
		}
	}
	return false
}

// formerly returns who has owned a session here, and need not be told by Redis if it is taken over; empty if nobody
// has. If something of it is still to be written, which a Redis that is full refuses, unsaved is its handle.
func (k *sessions) formerly(key string) (owner string, unsaved *handle) {
	refused := k.b.feed.ready() != nil
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.parted[key]; s != nil {
		return s.owner, nil
	}
	if s := k.leaving[key]; s != nil {
		return s.owner, s
	}
	if refused {
		for _, s := range k.owned {
			if s.key == key && s.ownership == owned && (s.busy || k.isMarked(s)) {
				return s.owner, s
			}
		}
	}
	return "", nil
}

// takeUnsaved has a session that Redis has given from was to somebody else go on from what is so here, and tells the
// owner before, unless a write of its own has found that out already. It reports false if nothing is kept of it.
func (k *sessions) takeUnsaved(was *handle, have *stored) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if was.who == nil {
		return false
	}
	have.who, have.rooms = was.who, was.rooms
	if k.owned[was.owner] == was {
		current := was.isCurrent()
		if k.letGo(was, fenced); current {
			k.report(was)
		}
	}
	return true
}

// takeParted forgets the handle of that owner: Redis has given the session to somebody else.
func (k *sessions) takeParted(owner string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.owned[owner]; s != nil && s.ownership == parted {
		k.letGo(s, fenced)
	}
}
