package redis

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

const (
	sweepInterval = time.Minute // between comparisons of all that is recorded with who is here
	maxLooks      = 256         // looks at rooms in one trip, about
	lookUsers     = 1024        // users asked for in one look
)

// sweep is a comparison of what is recorded under this life with who is here, under way or done. A
// write may have been carried out that was taken for failed, and the other way round; or Redis has
// lost some.
type sweep struct {
	cursor uint64
	there  map[place]struct{} // what was found recorded, or has been recorded since it began; nil if none is under way
	ended  time.Time          // the last one; zero: one is due at once
}

// reconcile goes on with the sweep that is under way, if one is or is due, given how many places are
// recorded under this life: by a page, lest those who enter meanwhile wait, or at once if the numbers
// show that there is something to be found.
func (p *presence) reconcile(c rueidis.Client, size int) error {
	s := &p.sweep
	p.mu.Lock()
	// What is recorded and not marked as such is marked for writing, or was written meanwhile.
	differ := size < p.recorded-p.written || size > p.recorded+len(p.marks)+p.written
	p.mu.Unlock()
	urgent := s.ended.IsZero() || differ && time.Since(s.ended) > p.b.cfg.Lease/3
	if s.there == nil {
		if !urgent && time.Since(s.ended) < sweepInterval {
			return nil
		}
		s.cursor, s.there = 0, map[place]struct{}{}
	}
	for {
		var some []place
		var next uint64
		var err error
		life := p.life
		p.meanwhile(c, func() { some, next, err = p.b.places(p.b.ctx, c, life, s.cursor) })
		if err != nil {
			return err
		}
		if p.life != life {
			return nil // lose has ended the sweep
		}
		p.markGhosts(some)
		for _, at := range some {
			s.there[at] = struct{}{}
		}
		if s.cursor = next; next == 0 {
			p.markLost(s.there)
			*s = sweep{ended: time.Now()}
			return nil
		}
		if !urgent {
			return nil
		}
	}
}

// markGhosts marks those of the recorded who are not here.
func (p *presence) markGhosts(recorded []place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, at := range recorded {
		if _, here := p.want[at]; !here {
			p.markAgain(at)
		}
	}
}

// markLost marks those who were recorded and were not found. Redis may have lost more of their rooms, of
// which who left meanwhile did so without a word: these are to be told who is there.
func (p *presence) markLost(found map[place]struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for at, w := range p.want {
		if _, there := found[at]; w.recorded && !there {
			p.lost(at)
			p.vanished[at.room] = time.Now()
		}
	}
}

// record notes that Redis has recorded a user who entered, and how many it counts in the room.
func (p *presence) record(at place, count int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, marked := p.marks[at]; marked {
		return // the user has left meanwhile, and maybe come back
	}
	p.setRecorded(at, true)
	p.setNoticed(at)
	if p.sweep.there != nil { // it may have looked already
		p.sweep.there[at] = struct{}{}
	}
	p.compare(at.room, count)
}

// doubt takes a count of a room's users that may be a little old.
func (p *presence) doubt(room string, count int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.compare(room, count)
}

// hear takes a change that was pushed, and may be a little old: whoever has joined counts beside those
// who are recorded here.
func (p *presence) hear(room string, ch broker.Change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	others := ch.Count
	if here := p.inRoom[room]; ch.Joined && others == len(here) {
		if _, ours := here[broker.UserID(ch.User)]; !ours {
			others--
		}
	}
	p.compare(room, others)
}

// compare has a room looked at if Redis counts fewer users in it than it has recorded of this relay
// alone: the key may have been evicted, or lost. p.mu is held.
func (p *presence) compare(room string, count int) {
	if count < len(p.inRoom[room]) {
		p.doubted[room] = struct{}{}
	}
}

// complete adds to a room's users, as they were just read, those of this relay that are missing
// though they were recorded, and has the room looked at: Redis has lost the key, and others may have
// begun it anew, or the list is a little older than what was recorded.
func (p *presence) complete(room string, users []string, count int) ([]string, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	here := p.inRoom[room]
	if len(here) == 0 || p.ended {
		return users, count
	}
	found := make(map[string]struct{}, len(users))
	for _, text := range users {
		found[broker.UserID(text)] = struct{}{}
	}
	var missing []place
	for user := range here {
		if _, there := found[user]; !there {
			missing = append(missing, place{room, user})
		}
	}
	for _, at := range missing {
		users, count = append(users, placed(p.want[at].text, p.life)), count+1
		p.doubted[room] = struct{}{}
	}
	return users, count
}

// look is some users of a room that Redis is asked for.
type look struct {
	room  string
	users []string
}

// looks returns all users of rooms in doubt, and one of some other rooms each: all rooms come round
// once in sweepInterval or so.
func (p *presence) looks() (looks []look) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for room := range p.doubted {
		if len(looks) >= maxLooks {
			return looks
		}
		delete(p.doubted, room)
		for users := range slices.Chunk(slices.Collect(maps.Keys(p.inRoom[room])), lookUsers) {
			looks = append(looks, look{room, users})
		}
	}
	if len(p.round) == 0 && time.Since(p.roundAt) > sweepInterval {
		p.round, p.roundAt = slices.Collect(maps.Keys(p.inRoom)), time.Now()
	}
	for len(p.round) > 0 && len(looks) < maxLooks {
		for user := range p.inRoom[p.round[0]] {
			looks = append(looks, look{p.round[0], []string{user}})
			break
		}
		p.round = p.round[1:]
	}
	return looks
}

// mend looks at rooms, and marks the users of those on this relay who are missing.
func (p *presence) mend(c rueidis.Client, looks []look) (failed error) {
	if len(looks) == 0 {
		return nil
	}
	cmds := make(rueidis.Commands, len(looks))
	for i, l := range looks {
		cmds[i] = c.B().Hmget().Key(p.b.keys.membersOf(l.room)).Field(l.users...).Build().Pin()
	}
	ctx, cancel := context.WithTimeout(p.b.ctx, connTimeout)
	defer cancel()
	var results []rueidis.RedisResult
	p.meanwhile(c, func() { results = c.DoMulti(ctx, cmds...) })
	for i, r := range results {
		entries, err := r.ToArray()
		if err != nil {
			failed = err
		}
		p.seen(looks[i], entries, err)
	}
	return failed
}

// seen takes what Redis has of users who were recorded. Where one is missing there may be others, and
// who left meanwhile did so without a word: the room is to be told who is there.
func (p *presence) seen(l look, entries []rueidis.RedisMessage, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.inRoom[l.room]) == 0 {
		return
	}
	if err != nil {
		p.doubted[l.room] = struct{}{}
	}
	for i, entry := range entries[:min(len(entries), len(l.users))] {
		if text, err := entry.ToString(); err == nil && strings.Contains(text, ","+p.life+",") {
			continue
		}
		p.lost(place{l.room, l.users[i]})
		p.vanished[l.room] = time.Now()
		if len(l.users) == 1 && len(p.inRoom[l.room]) > 0 {
			p.doubted[l.room] = struct{}{}
		}
	}
}

// lost marks a user who is here and whom Redis does not have. p.mu is held.
func (p *presence) lost(at place) {
	if p.want[at].recorded { // else it has been marked, or is gone
		p.setRecorded(at, false)
		p.mark(at)
	}
}

// takeVanished returns rooms that Redis had lost people of, who are recorded anew by now: by others, too,
// who have heard of the first.
func (p *presence) takeVanished() (rooms []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for room, at := range p.vanished {
		if time.Since(at) > formerGrace && len(rooms) < maxLooks {
			delete(p.vanished, room)
			rooms = append(rooms, room)
		}
	}
	return rooms
}
