package redis

import (
	"cmp"
	"errors"
	"hash/crc32"
	"slices"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

// Waits between catch-ups that follow one another.
const (
	minCatchUpWait = 10 * time.Millisecond
	maxCatchUpWait = time.Second
	catchUpCalm    = 5 * time.Second // after so long without one, the next does not wait
	catchUpTold    = 10              // this many in a row are told
)

// catchUp is one reading of the streams for what the feed has missed.
//
// All is read on the feed's own connection, and Redis answers in its order: with the answer that
// shows position p, all that was pushed up to p has come. So what was read and what was held
// meanwhile are, together, all messages up to the highest position that was seen, and can be
// delivered in their order. What can be delivered earlier is: it need not be read again if the
// connection ends.
type catchUp struct {
	f    *feed
	c    rueidis.DedicatedClient
	away time.Duration // how long the feed may have missed something

	subscribe bool       // it is a connection's first
	revoked   chan error // how the reading of the revocations ended; nil once that is known

	queue   []chunk
	rooms   []*missing
	pending []event // read, and not yet delivered
	bytes   int     // of pending
	now     tail    // of the answer with the highest position
	least   uint64  // the lowest position that a room was read up to
	lost    bool    // Redis has lost what it had taken
	beyond  uint64  // the highest position that a stream holds and Redis does not know
	probing sync.WaitGroup
}

// missing is a room whose stream is read.
type missing struct {
	s        *subscription // as it is now; nil: a room that nobody is in, of which a message was acknowledged
	was      subscription  // as it was when the catch-up began: only room, tail and tailAt
	mix      uint32        // mixes rooms that are read together, so that the busy ones are not
	from     broker.Offset // of the last message that was read
	begun    bool          // the first page has been judged
	reason   string        // why the room can't go on from where it was; its newest messages are read then
	done     bool
	heard    bool   // subscribed to, as an answer has shown
	frontier uint64 // all up to this position has been read
}

// event is what a catch-up has for a room: a message, or a new beginning.
type event struct {
	pos uint64
	m   broker.Message
	gap *gap
	old bool // it was held before this catch-up began
}

// gap is a room that can't go on from where it was.
type gap struct {
	s      *subscription
	reason string
	now    state
}

// beginCatchUp notes all that is to be read. With subscribe, the rooms are subscribed to as well.
func (f *feed) beginCatchUp(c rueidis.DedicatedClient, subscribe bool) *catchUp {
	f.mu.Lock()
	defer f.mu.Unlock()
	u := &catchUp{f: f, c: c, subscribe: subscribe}
	if subscribe {
		f.phase, f.subscribedAt = catchingUp, time.Now()
		f.after = f.subscribedAt
		f.catchUps, f.leaving = 0, nil
	}
	f.held.age()
	if !f.missingSince.IsZero() {
		u.away = time.Since(f.missingSince)
	}
	for _, s := range f.rooms {
		if !s.loading {
			u.add(s, subscription{room: s.room, tail: s.tail, tailAt: s.tailAt})
		}
	}
	slices.SortFunc(u.rooms, func(a, b *missing) int { return cmp.Or(cmp.Compare(a.mix, b.mix), cmp.Compare(a.was.room, b.was.room)) })
	if w := f.witness; w.room != "" && w.offset.Epoch == f.epoch && f.isNews(w) {
		u.add(nil, subscription{room: w.room, tail: w.offset, tailAt: w.at})
	}
	budget := min(max(readAhead*readRooms/(len(u.rooms)+1), minAnswer), firstAnswer)
	for some := range slices.Chunk(u.rooms, readRooms) {
		u.queue = append(u.queue, chunk{rooms: some, subscribe: subscribe, budget: budget})
	}
	if len(u.queue) == 0 { // where the partition stands has to be read in any case
		u.queue = append(u.queue, chunk{subscribe: subscribe, budget: budget})
	}
	return u
}

func (u *catchUp) add(s *subscription, was subscription) {
	u.rooms = append(u.rooms, &missing{s: s, was: was, from: was.tail, frontier: max(was.tail.Pos, u.f.pos),
		mix: crc32.ChecksumIEEE([]byte(was.room))})
}

// isNews reports whether w is of a message that no subscription has brought yet. f.mu is held.
func (f *feed) isNews(w witness) bool {
	s := f.rooms[w.room]
	return s == nil || s.loading || s.tail.Epoch != w.offset.Epoch || s.tail.Pos < w.offset.Pos
}

// catchUp reads what the feed missed from the streams, until the feed is live. One that follows
// another waits, and the log says so if many do.
func (f *feed) catchUp(c rueidis.DedicatedClient, subscribe bool) error {
	for first := true; ; first = false {
		f.mu.Lock()
		behind := f.phase != live
		f.mu.Unlock()
		if !behind {
			return nil
		}
		if !subscribe || !first {
			if err := f.paceCatchUp(); err != nil {
				return err
			}
		}
		f.b.cfg.Metrics.CatchUps.Of(causeOf(subscribe && first)).Inc()
		u := f.beginCatchUp(c, subscribe && first)
		if subscribe && first {
			u.probing.Go(func() { f.sendProbeOver(c, f.channel) }) // whose answer comes with those of the streams
		}
		err := u.run()
		u.probing.Wait()
		f.mu.Lock()
		f.caughtUpAt = time.Now()
		f.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// paceCatchUp waits if one catch-up follows another.
func (f *feed) paceCatchUp() error {
	f.mu.Lock()
	if time.Since(f.caughtUpAt) > catchUpCalm {
		f.catchUps = 0
	}
	f.catchUps++
	n, barred := f.catchUps, f.barred != nil
	f.mu.Unlock()
	if n <= 1 {
		return nil
	}
	if n%catchUpTold == 0 && !barred { // of which the log tells
		f.b.log.Warn("still catching up with Redis: what it pushes does not follow what it holds", "times", n)
	}
	select {
	case <-f.b.ctx.Done():
		return f.b.ctx.Err()
	case <-time.After(min(minCatchUpWait<<min(n-2, 10), maxCatchUpWait)):
		return nil
	}
}

// run reads and delivers. It may leave the feed catching up, for another: the epoch moved, too much
// was held meanwhile, or something came that does not follow yet.
func (u *catchUp) run() error {
	if err := u.readAll(); err != nil {
		return err
	}
	if err := u.subscribeRest(); err != nil {
		return err
	}
	_, pos := u.f.known()
	pos = max(pos, u.beyond)
	if u.lost {
		if u.f.left != u.now.epoch {
			u.f.left = u.now.epoch
			u.f.b.log.Warn("Redis has lost messages that it had taken: the epoch moves on", "epoch", u.now.epoch, "position", u.now.pos, "known", pos)
		}
		return u.moveEpoch(pos, u.now.epoch)
	}
	if u.now.epoch == "" || u.now.format == "" { // nobody has begun yet, or all is gone
		return u.moveEpoch(pos, "")
	}
	u.finish()
	return nil
}

// take judges what was read of each room, and notes what has to be read next.
func (u *catchUp) take(a answer) error {
	u.f.answered()
	if err := u.f.b.checkFormat(cmp.Or(a.now.format, "0")); err != nil {
		return err
	}
	if u.now.epoch == "" || a.now.pos > u.now.pos || a.now.epoch != u.now.epoch {
		u.now = a.now
	}
	if top := topOf(a.found); top > a.now.pos {
		u.beyond = max(u.beyond, top)
		u.lost = a.now.epoch != ""
	}
	if u.lost = u.lost || a.now.epoch == a.epoch && a.now.pos < a.known || u.f.hasLeft(a.now.epoch); u.lost {
		return nil
	}
	if a.now.epoch == "" {
		u.queue = nil
		return nil
	}
	if u.least == 0 || a.now.pos < u.least {
		u.least = a.now.pos
	}
	if len(a.chunk.rooms) > 0 && len(a.found) == 0 {
		return errors.New("an answer without rooms")
	}
	var again, stale []*missing
	for i, m := range a.chunk.rooms[:len(a.found)] {
		switch {
		case a.chunk.newest:
			u.takeNewest(m, a.now, a.found[i])
		case !u.takeMissed(m, a.now, a.found[i]):
			if m.reason != "" {
				stale = append(stale, m)
			} else {
				again = append(again, m)
			}
		}
	}
	budget := a.chunk.budget
	if len(a.chunk.rooms) == 1 {
		budget = a.chunk.grown(a.took)
	}
	u.requeue(again, false, 1, budget) // the one at which the answer was full
	u.requeue(a.chunk.rooms[len(a.found):], a.chunk.newest, max(1, len(a.found)), a.chunk.budget)
	u.requeue(stale, true, readRooms, a.chunk.budget)
	u.deliverSome()
	return nil
}

// topOf returns the highest position of the messages that were read. If the partition is said not to have
// come so far, Redis has lost that alone, and a relay that did not know has begun an epoch: what is
// published could not follow what the streams hold.
func topOf(rooms []found) (pos uint64) {
	for _, fd := range rooms {
		for _, e := range fd.entries {
			pos = max(pos, e.Pos)
		}
	}
	return pos
}

// takeNewest notes how a room stands that can't go on.
func (u *catchUp) takeNewest(m *missing, now tail, fd found) {
	m.done, m.frontier = true, now.pos
	g := &gap{s: m.s, reason: m.reason, now: state{tail: now, page: fd.entries, more: fd.more, big: fd.big}}
	pos := now.pos
	if n := len(fd.entries); n > 0 {
		pos = fd.entries[n-1].Pos
	}
	u.pending = append(u.pending, event{pos: pos, gap: g})
}

// takeMissed notes what a room has missed. It returns false if there is more to read: from where it
// is now, or, with m.reason set, how it stands.
func (u *catchUp) takeMissed(m *missing, now tail, fd found) bool {
	entries := fd.entries
	if !m.begun {
		m.begun = true
		if m.was.tail.Epoch != now.epoch {
			m.reason = broker.ReasonEpoch
			return u.endWitness(m)
		}
		var reason string
		entries, reason = m.was.judge(fd, now, u.away, u.f.b.cfg.TTL)
		if reason == broker.ReasonEpoch {
			u.lost = true
			return true
		}
		if m.reason = reason; reason != "" {
			return u.endWitness(m)
		}
	} else if len(entries) > 0 && entries[0].Pos == m.from.Pos && entries[0].Digest == m.from.Digest {
		entries = entries[1:]
	}
	if m.s == nil {
		return u.endWitness(m)
	}
	for _, e := range entries {
		if e.Epoch = now.epoch; !e.Follows(m.from) { // it was trimmed while it was read
			m.reason = broker.ReasonTrimmed
			break
		}
		m.from = e.Offset()
		u.pending = append(u.pending, event{pos: e.Pos, m: e})
		u.bytes += sizeOf(e)
	}
	m.frontier = m.from.Pos
	if m.reason != "" || fd.more {
		return false
	}
	m.done, m.frontier = true, now.pos
	return true
}

// endWitness ends the reading of a room if nobody is in it.
func (u *catchUp) endWitness(m *missing) (done bool) {
	m.done = m.s == nil
	return m.done
}
