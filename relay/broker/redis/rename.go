package redis

import (
	"encoding/json"
	"errors"

	"github.com/redis/rueidis"

	"setu/relay/broker"
)

// wanted is a user who is in a room on this relay, and is to be so in Redis.
type wanted struct {
	text     string // JSON of the user
	naming   naming
	recorded bool // by this life, as Redis said last
	noticed  bool // by any life of this relay: the user's leaving is to be noticed, whatever Redis has lost
}

// naming is what a write of a user means for what the user is called. Users may be in a room over
// several relays under several names, of which the one stated last holds. A write that merely
// repeats a name, such as after a lost lease, must not bring it back after another relay's.
type naming int

const (
	repeated naming = iota // Redis has had the name, and may have a newer one
	stated                 // no write of the name has been tried
	tried                  // a write failed, and may have been carried out for all that
)

// state notes that a user is in a room under a name. A name that this relay has there already is
// not stated once more: another relay's may be on its way here. p.mu is held.
func (p *presence) state(at place, text string) {
	if w := p.want[at]; w.text != text {
		w.text, w.naming = text, stated
		p.want[at] = w
	}
}

// takeName returns the user at a place for a write, and whether the write states a name. p.mu is
// held.
func (p *presence) takeName(at place) (text string, states bool) {
	w, here := p.want[at]
	if !here {
		return "", false
	}
	states = w.naming != repeated
	w.naming = repeated
	p.want[at] = w
	return w.text, states
}

// giveBackName notes that a write failed. It stated a name in vain unless a newer one has been
// heard or stated meanwhile. p.mu is held.
func (p *presence) giveBackName(s step) {
	if w := p.want[s.key]; s.states && w.text == s.text && w.naming == repeated {
		w.naming = tried
		p.want[s.key] = w
	}
}

// renamed takes over what a user of a room is called in Redis. A name that has only just been
// stated here stays: its write comes after the one that was heard.
func (p *presence) renamed(room, text string) {
	var u broker.User
	if json.Unmarshal([]byte(text), &u) != nil {
		return // no relay writes this
	}
	at := place{room, u.ID}
	p.mu.Lock()
	defer p.mu.Unlock()
	if w, here := p.want[at]; here && w.naming != stated {
		w.text, w.naming = text, repeated
		p.want[at] = w
	}
}

// tellRenamed tells this relay alone that a user goes by another name in Redis, of which it heard
// nothing.
func (f *feed) tellRenamed(room string, count int, text string) {
	f.b.presence.renamed(room, broker.CutPlaces(text))
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.rooms[room]; s != nil && !s.loading {
		s.sub.Presence(broker.Change{Renamed: true, Count: count, User: f.places.asHeard(text)})
	}
}

// entry is what the enter script says of one user; name is what the user goes by if that is not what was
// written.
type entry struct {
	count int
	name  string
}

// parseEntered reads the answer for one of the users. What holds for all is said once.
func parseEntered(answers []rueidis.RedisMessage, i int, err error) (e entry, _ error) {
	if err != nil {
		return e, err
	}
	if len(answers) == 1 {
		i = 0
	}
	if i >= len(answers) {
		return e, errors.New("an entry without an answer")
	}
	m := answers[i]
	if !m.IsArray() {
		n, err := m.AsInt64()
		return entry{count: int(n)}, err
	}
	fields, err := m.ToArray()
	if err != nil || len(fields) != 2 {
		return e, errors.Join(err, errors.New("unexpected answer to an entry"))
	}
	n, err1 := fields[0].AsInt64()
	name, err2 := fields[1].ToString()
	return entry{int(n), name}, errors.Join(err1, err2)
}

func flag(set bool) string {
	if set {
		return "1"
	}
	return "0"
}
