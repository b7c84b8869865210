package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"setu/relay/broker"
)

// How many rooms are read in one trip. A room's state is bounded by pageBudget.
const (
	missedChunk = 128
	stateChunk  = 16
)

// gap is a room that can't go on from where it was.
type gap struct {
	s      *subscription
	reason string
	now    state
}

// catchUp reads what the feed missed from the streams, until the feed is live. Each call to Redis
// has its own time-out: with many rooms and a distant Redis, all together take as long as they
// take.
func (f *feed) catchUp() error {
	for {
		f.mu.Lock()
		behind := f.phase != live
		f.mu.Unlock()
		if !behind {
			return nil
		}
		if err := f.catchUpOnce(); err != nil {
			return err
		}
	}
}

// catchUpOnce may leave the feed catching up, for another round: the epoch moved, or too much was
// held meanwhile.
func (f *feed) catchUpOnce() error {
	f.mu.Lock()
	epoch, pos := f.epoch, f.pos
	f.mu.Unlock()
	now, err := f.b.readEpoch(pos, "")
	if err != nil {
		return err
	}
	lost := now.epoch == epoch && now.pos < pos
	var missed []broker.Message
	var gaps []gap
	if !lost {
		if missed, gaps, lost, err = f.missed(now); err != nil {
			return err
		}
	}
	if lost {
		f.b.log.Warn("Redis has lost messages that it had taken: the epoch moves on", "epoch", now.epoch, "position", now.pos, "delivered", pos)
		_, err = f.b.readEpoch(pos, now.epoch)
		return err
	}
	for some := range slices.Chunk(gaps, stateChunk) {
		if moved, err := f.readGaps(some, now.epoch); moved || err != nil {
			return err
		}
	}
	f.finishCatchUp(now, missed, gaps)
	return nil
}

// readGaps reads the present state of rooms that can't go on; moved reports whether the epoch did.
func (f *feed) readGaps(gaps []gap, epoch string) (moved bool, err error) {
	ctx, cancel := context.WithTimeout(f.b.ctx, callTimeout)
	defer cancel()
	rooms := make([]string, len(gaps))
	for i, g := range gaps {
		rooms[i] = g.s.room
	}
	now, err := f.b.states(ctx, rooms)
	if err != nil {
		return false, err
	}
	for i := range gaps {
		gaps[i].now = now[i]
		moved = moved || now[i].tail.epoch != epoch
	}
	return moved, nil
}

// missed reads what each room took since it was last delivered to.
func (f *feed) missed(now tail) (missed []broker.Message, gaps []gap, lost bool, err error) {
	f.mu.Lock()
	away := time.Duration(0)
	if !f.missingSince.IsZero() {
		away = time.Since(f.missingSince)
	}
	var rooms []*subscription
	var tails []subscription // as they are now; only room, tail and tailAt are read
	for _, s := range f.rooms {
		switch {
		case s.loading:
		case s.tail.Epoch != now.epoch:
			gaps = append(gaps, gap{s: s, reason: broker.ReasonEpoch})
		default:
			rooms, tails = append(rooms, s), append(tails, subscription{room: s.room, tail: s.tail, tailAt: s.tailAt})
		}
	}
	f.mu.Unlock()
	for some := range slices.Chunk(tails, missedChunk) {
		found, err := f.b.readMissed(some)
		if err != nil {
			return nil, nil, false, err
		}
		for i, fd := range found {
			got, reason := some[i].judge(fd, now, away, f.b.cfg.TTL)
			if reason == broker.ReasonEpoch {
				return nil, nil, true, nil
			}
			if reason != "" {
				gaps = append(gaps, gap{s: rooms[i], reason: reason})
			}
			for _, m := range got {
				if m.Pos <= now.pos { // newer ones come from Redis in their order, among those of other rooms
					missed = append(missed, m)
				}
			}
		}
		rooms = rooms[len(some):]
	}
	slices.SortFunc(missed, func(a, b broker.Message) int { return cmp.Compare(a.Pos, b.Pos) })
	return missed, gaps, false, nil
}

// finishCatchUp delivers what was missed in the order of positions, then what was held, and takes
// the feed to live.
func (f *feed) finishCatchUp(now tail, missed []broker.Message, gaps []gap) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range missed {
		m.Epoch = now.epoch
		if s := f.rooms[m.Room]; s != nil && !s.loading {
			f.advance(s, m) // what does not follow here is found by the next round
		}
	}
	for _, g := range gaps {
		if f.rooms[g.s.room] == g.s {
			g.s.load(g.now.tail, g.now.page, g.now.more, g.reason)
		}
	}
	held := f.held
	f.held = hold{}
	if held.over || !f.agree(now.epoch) {
		return
	}
	wasAway := !f.missingSince.IsZero()
	f.phase, f.missingSince = live, time.Time{}
	f.adoptEpoch(now)
	for _, s := range f.rooms {
		if wasAway && !s.loading {
			s.sub.Presence(broker.Change{Missed: true})
		}
	}
	for _, m := range held.messages {
		if s := f.rooms[m.Room]; s != nil {
			f.arrive(s, m)
		}
	}
	f.b.check()
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

// found is what missed.lua returns.
type found struct {
	oldest  broker.Offset // position and sequence of the oldest message; zero: the room is empty
	entries []broker.Message
}

func (b *Broker) readMissed(tails []subscription) ([]found, error) {
	ctx, cancel := context.WithTimeout(b.ctx, callTimeout)
	defer cancel()
	c, err := b.use()
	if err != nil {
		return nil, err
	}
	calls := make([]call, len(tails))
	for i, s := range tails {
		from := "0-0"
		if s.tail.Seq > 0 {
			from = entryID(s.tail)
		}
		calls[i] = call{keys: []string{b.keys.stream + s.room}, args: []string{from, strconv.Itoa(b.cfg.History + 1)}}
	}
	out := make([]found, len(tails))
	for i, r := range missedScript.run(ctx, c, calls...) {
		fields, err := r.ToArray()
		if err != nil || len(fields) == 0 {
			return nil, errors.Join(err, fmt.Errorf("cannot read what was missed in %q", tails[i].room))
		}
		oldest, err := fields[0].ToString()
		if err != nil {
			return nil, err
		}
		if oldest != "" {
			if out[i].oldest.Pos, out[i].oldest.Seq, err = parseEntryID(oldest); err != nil {
				return nil, err
			}
		}
		if out[i].entries, err = parseEntries(tails[i].room, fields[1:]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// judge compares what a stream holds with what was delivered of it: the messages to deliver now, or
// why that can't be. ReasonEpoch means that the stream is not the one that was delivered.
func (s *subscription) judge(have found, now tail, away, ttl time.Duration) ([]broker.Message, string) {
	e, followed := have.entries, s.tail.Seq > 0
	if followed && len(e) > 0 && e[0].Pos == s.tail.Pos && e[0].Seq == s.tail.Seq {
		if e[0].Digest != s.tail.Digest {
			return nil, broker.ReasonEpoch
		}
		return e[1:], ""
	}
	unseen := away >= ttl                  // something may have come and gone while nobody looked
	lives := s.tailAt + ttl.Milliseconds() // until then, by Redis' clock, the tail's message can't have expired
	switch {
	case have.oldest.Seq == 0 && followed && now.now < lives:
		return nil, broker.ReasonEpoch
	case have.oldest.Seq == 0 && unseen:
		return nil, broker.ReasonExpired
	case have.oldest.Seq == 0:
		return nil, ""
	case have.oldest.Pos <= s.tail.Pos:
		return nil, broker.ReasonEpoch // messages stand where there were none, or older ones are there and ours is not
	case followed && len(e) > 0 && e[0].Prev == s.tail.Digest && e[0].Seq == s.tail.Seq+1:
		return e, "" // ours is the last that was let go of
	case have.oldest.Seq == 1 && len(e) > 0 && followed && e[0].At < lives:
		return nil, broker.ReasonEpoch // begun anew too early
	case have.oldest.Seq == 1 && unseen:
		return nil, broker.ReasonExpired
	case have.oldest.Seq == 1 && len(e) > 0:
		return e, "" // the room began, or expired whole and begun anew
	}
	return nil, broker.ReasonTrimmed
}
