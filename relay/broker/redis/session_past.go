package redis

import (
	"slices"
	"time"
)

// Bounds of the sessions that are released or ended here, of which Redis, if it is away, is still to
// be told.
const (
	maxPastBytes    = 8 << 20 // beyond it, the oldest can't be resumed any more
	pastBytes       = 512     // of a session without rooms
	membershipBytes = 256     // without the room's name, with room to grow
)

// addPast notes that a session is released or ended. k.mu is held.
func (k *sessions) addPast(s *handle, has ownership) {
	s.since = time.Now()
	k.setPast(s, has)
	for k.pastBytes > maxPastBytes {
		from := &k.released
		if len(*from) == 0 {
			from = &k.gone
		}
		if oldest := pop(from); k.isPast(oldest) {
			k.drop(oldest)
		}
	}
}

// forgetPast takes those that are past no more out of the lists, once they are most of them. k.mu is held.
func (k *sessions) forgetPast() {
	for _, list := range []*[]*handle{&k.released, &k.gone} {
		if len(*list) > 2*k.past+writeBatch {
			*list = slices.Clone(slices.DeleteFunc(*list, func(s *handle) bool { return !k.isPast(s) }))
		}
	}
}

// setPast counts a session among the past. k.mu is held.
func (k *sessions) setPast(s *handle, has ownership) {
	s.ownership = has
	if has == ended {
		s.stored = stored{version: s.version} // nothing else of it is written
		k.gone = append(k.gone, s)
	} else {
		k.released = append(k.released, s)
		k.leaving[s.key] = s
	}
	s.cost = s.size()
	k.past++
	k.pastBytes += s.cost
}

// isPast reports whether s counts among k.past. k.mu is held.
func (k *sessions) isPast(s *handle) bool { return s.isPast() && k.owned[s.owner] == s }

// drop makes room. Redis may hold a released session as it was before: it is still to be told that
// this is over, for which little has to be kept. k.mu is held.
func (k *sessions) drop(s *handle) {
	was := s.ownership
	k.letGo(s, ended)
	if was == released && s.sent {
		k.owned[s.owner] = s
		k.setPast(s, ended)
		k.mark(s)
	}
}

// size is about how many bytes s takes.
func (s *handle) size() int {
	n := pastBytes + len(s.key)
	if s.who != nil {
		n += len(s.who.Data)
	}
	for _, m := range s.rooms.Joined {
		n += membershipBytes + len(m.Room)
	}
	for _, room := range s.rooms.Left {
		n += len(room)
	}
	return n
}
