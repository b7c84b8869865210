package redis

import (
	"context"
	"encoding/json"
	"time"

	"github.com/redis/rueidis"
)

const (
	sweepInterval = time.Minute // between comparisons of all that is recorded with who is here
	lookRooms     = 256         // rooms that are looked at in one trip
)

// sweep is a comparison of what is recorded under this life with who is here, under way or done. A
// write may have been carried out that was taken for failed, and the other way round; or Redis has
// lost some.
type sweep struct {
	cursor uint64
	there  map[place]struct{} // what was found recorded; nil if none is under way
	ended  time.Time          // the last one; zero: one is due at once
}

// reconcile goes on with the sweep that is under way, if one is or is due, given how many places are
// recorded under this life: by a page, lest those who enter meanwhile wait, or at once if the numbers
// show that there is something to be found.
func (p *presence) reconcile(c rueidis.Client, size int) error {
	s := &p.sweep
	p.mu.Lock()
	// What is recorded and not marked as such is marked for writing.
	differ := size < p.recorded || size > p.recorded+len(p.marks)
	p.mu.Unlock()
	urgent := s.ended.IsZero() || differ && time.Since(s.ended) > p.b.cfg.Lease/3
	if s.there == nil {
		if !urgent && time.Since(s.ended) < sweepInterval {
			return nil
		}
		s.cursor, s.there = 0, map[place]struct{}{}
	}
	for {
		some, next, err := p.b.places(p.b.ctx, c, p.life, s.cursor)
		if err != nil {
			return err
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

// markLost marks those who were recorded and were not found. Among them may be some who entered
// during the sweep: to write them again does no harm.
func (p *presence) markLost(found map[place]struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for at, w := range p.want {
		if _, there := found[at]; w.recorded && !there {
			p.setRecorded(at, false)
			p.markAgain(at)
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
	p.compare(at.room, count)
}

// doubt takes a count of a room's users that may be a little old.
func (p *presence) doubt(room string, count int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.compare(room, count)
}

// compare has a room looked at if Redis counts fewer users in it than it has recorded of this relay
// alone: the key may have been evicted, or lost. p.mu is held.
func (p *presence) compare(room string, count int) {
	if count < len(p.inRoom[room]) {
		p.doubted[room] = struct{}{}
	}
}

// complete adds to a room's users, as they were just read, those of this relay that are missing
// though they were recorded, and marks them: Redis has lost the key, and others may have begun it
// anew.
func (p *presence) complete(room string, users []string, count int) ([]string, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	here := p.inRoom[room]
	if len(here) == 0 || p.ended {
		return users, count
	}
	found := make(map[string]struct{}, len(users))
	for _, text := range users {
		found[userID(text)] = struct{}{}
	}
	var missing []place
	for user := range here {
		if _, there := found[user]; !there {
			missing = append(missing, place{room, user})
		}
	}
	for _, at := range missing {
		users, count = append(users, p.want[at].text), count+1
		p.setRecorded(at, false)
		p.mark(at)
	}
	return users, count
}

// userID is the ID of a user, given its JSON.
func userID(text string) string {
	var u struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal([]byte(text), &u) // what no relay wrote is nobody
	return u.ID
}

// look is one room that Redis is asked of: for a user, or, in doubt, how many there are.
type look struct {
	room, user string
	doubted    bool
}

// looks returns rooms in doubt, and some others: all come round once in sweepInterval or so.
func (p *presence) looks() (looks []look) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for room := range p.doubted {
		if len(looks) == lookRooms {
			return looks
		}
		looks = append(looks, look{room: room, doubted: true})
	}
	if len(p.round) == 0 && time.Since(p.roundAt) > sweepInterval {
		p.roundAt = time.Now()
		for room := range p.inRoom {
			p.round = append(p.round, room)
		}
	}
	for len(p.round) > 0 && len(looks) < lookRooms {
		for user := range p.inRoom[p.round[0]] {
			looks = append(looks, look{room: p.round[0], user: user})
			break
		}
		p.round = p.round[1:]
	}
	return looks
}

// mend looks at rooms, and marks the users of those on this relay of which some are missing.
func (p *presence) mend(c rueidis.Client, looks []look) error {
	if len(looks) == 0 {
		return nil
	}
	cmds := make(rueidis.Commands, len(looks))
	for i, l := range looks {
		key := p.b.keys.members + l.room
		if cmds[i] = c.B().Hlen().Key(key).Build().Pin(); !l.doubted {
			cmds[i] = c.B().Hget().Key(key).Field(l.user).Build().Pin()
		}
	}
	ctx, cancel := context.WithTimeout(p.b.ctx, connTimeout)
	defer cancel()
	for i, r := range c.DoMulti(ctx, cmds...) {
		if err := r.Error(); err != nil && !rueidis.IsRedisNil(err) {
			return err
		}
		p.seen(looks[i], r)
	}
	return nil
}

// seen takes what Redis said of a room. Who is not recorded by now was not when it said so.
func (p *presence) seen(l look, r rueidis.RedisResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	here := p.inRoom[l.room]
	_, asked := here[l.user]
	lost := asked && rueidis.IsRedisNil(r.Error())
	if l.doubted {
		delete(p.doubted, l.room)
		count, _ := r.AsInt64()
		lost = int(count) < len(here)
	}
	if !lost {
		return
	}
	for user := range here {
		p.setRecorded(place{l.room, user}, false)
		p.mark(place{l.room, user})
	}
}
