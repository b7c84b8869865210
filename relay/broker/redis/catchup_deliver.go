package redis

import (
	"cmp"
	"math"
	"slices"
	"time"

	"setu/relay/broker"
)

// deliverSome delivers what is whole up to some position, of what was read and held so far.
func (u *catchUp) deliverSome() {
	to := uint64(math.MaxUint64)
	for _, m := range u.rooms {
		if !m.done && m.s != nil {
			to = min(to, m.frontier)
		}
	}
	if to == math.MaxUint64 || len(u.pending) == 0 {
		return // finish does it
	}
	u.f.mu.Lock()
	defer u.f.mu.Unlock()
	if u.f.held.over { // what came after the first answer is not whole
		to = min(to, u.least)
	}
	u.deliver(to)
}

// deliver delivers what was read and held up to a position, in the order of positions; it returns
// what was held and does not follow. f.mu is held.
func (u *catchUp) deliver(to uint64) (odd []heldMessage) {
	events := u.takePending(to)
	for _, h := range u.f.held.take(to) {
		events = append(events, event{pos: h.m.Pos, m: h.m, old: h.old})
	}
	slices.SortStableFunc(events, event.compare)
	for _, e := range events {
		if e.gap != nil {
			if s := e.gap.s; u.f.rooms[s.room] == s && !s.isPast(e.pos, e.gap.now.tail.epoch) {
				u.f.parted = u.f.parted || e.gap.now.tail.epoch != u.f.epoch
				s.load(e.gap.now, e.gap.reason)
			}
			continue
		}
		s := u.f.rooms[e.m.Room]
		switch {
		case s == nil:
		case s.loading:
			s.held.add(e.m)
		case !u.f.advance(s, e.m):
			odd = append(odd, heldMessage{e.m, e.old})
		}
	}
	return odd
}

// compare orders events by position; what a snapshot ends with goes before the snapshot, which may be
// needless then.
func (e event) compare(other event) int {
	if c := cmp.Compare(e.pos, other.pos); c != 0 || (e.gap == nil) == (other.gap == nil) {
		return c
	}
	if e.gap == nil {
		return -1
	}
	return 1
}

// isPast reports whether all up to a position has been delivered. A stream may have let go of what was
// pushed here before it was read.
func (s *subscription) isPast(pos uint64, epoch string) bool {
	return s.tail.Epoch == epoch && s.tail.Pos >= pos
}

func (u *catchUp) takePending(to uint64) (events []event) {
	u.pending = slices.DeleteFunc(u.pending, func(e event) bool {
		if e.pos > to {
			return false
		}
		events = append(events, e)
		u.bytes -= sizeOf(e.m)
		return true
	})
	return events
}

// finish delivers the rest, and takes the feed to live. What was held before this catch-up began, so
// that Redis was asked for it, and still does not follow is of a past that is no more, or was never
// stored: it is dropped. What came later and does not follow is a reason to look again.
func (u *catchUp) finish() {
	f := u.f
	f.mu.Lock()
	defer f.mu.Unlock()
	to := uint64(math.MaxUint64)
	over := f.held.over
	if over {
		to = u.least
	}
	odd := u.deliver(to)
	if over {
		f.held = hold{}
		return
	}
	again := false
	for _, h := range odd {
		if s := f.rooms[h.m.Room]; s == nil || f.advance(s, h.m) {
			continue // what was loaded since has it
		}
		if h.old || f.isFormer(h.m.Epoch) {
			f.drop()
			continue
		}
		f.held.add(h.m)
		again = true
	}
	if again || !f.agree(u.now.epoch) {
		return
	}
	f.goLive(u.now)
}

// goLive ends a catch-up. Presence changes may have been missed, too; presence has the rooms told when
// it knows what Redis holds. f.mu is held.
func (f *feed) goLive(now tail) {
	wasAway := !f.missingSince.IsZero()
	f.phase, f.missingSince = live, time.Time{}
	f.adoptEpoch(now)
	if wasAway {
		f.b.presence.shake()
	}
	f.b.check()
}

// isAway reports whether pushes may have been missed that are yet to be made good.
func (f *feed) isAway() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.missingSince.IsZero()
}

// tellMissed tells all rooms that presence changes may have gone by unheard.
func (f *feed) tellMissed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.rooms {
		s.tellMissed()
	}
}

// tellMissedIn tells some rooms that.
func (f *feed) tellMissedIn(rooms []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, room := range rooms {
		if s := f.rooms[room]; s != nil {
			s.tellMissed()
		}
	}
}

// tellMissed has s read who is there, unless it is about to. f.mu is held.
func (s *subscription) tellMissed() {
	if !s.loading {
		s.sub.Presence(broker.Change{Missed: true})
	}
}

// agree reports whether all rooms are of one epoch: one may have been loaded from another while the
// streams were read. f.mu is held.
func (f *feed) agree(epoch string) bool {
	for _, s := range f.rooms {
		if !s.loading && s.tail.Epoch != epoch {
			return false
		}
	}
	return true
}
