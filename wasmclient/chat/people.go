package chat

import (
	"sort"
	"strings"
	"time"
)

// Grace is how long a change of presence waits before it is shown, so that a
// phone that loses its network for a moment does not make a room flicker.
const Grace = 5 * time.Second

// People is who is in a room. A large room tells its count alone.
type People struct {
	Count int

	here     map[string]User
	arriving map[string]change
	leaving  map[string]change
	known    bool // the relay has listed the members
}

type change struct {
	user User
	due  time.Time
}

// Set takes the whole list. The first is shown as it is; a later one, after a
// reconnect, goes through the grace like any change. A nil list means that the
// room is too large for one.
func (p *People) Set(members []User, count int, now time.Time) {
	p.Count = count
	if members == nil {
		p.known, p.here, p.arriving, p.leaving = false, nil, nil, nil
		return
	}
	if !p.known {
		p.known = true
		p.here = make(map[string]User, len(members))
		p.arriving, p.leaving = make(map[string]change), make(map[string]change)
		for _, u := range members {
			p.here[u.ID] = u
		}
		return
	}
	listed := make(map[string]bool, len(members))
	for _, u := range members {
		listed[u.ID] = true
		p.join(u, now)
	}
	for id, u := range p.here {
		if !listed[id] {
			p.leave(u, now)
		}
	}
	for id, c := range p.arriving {
		if !listed[id] {
			p.leave(c.user, now)
		}
	}
}

// Change takes what a presence event tells.
func (p *People) Change(joined, left []User, count int, now time.Time) {
	p.Count = count
	if !p.known {
		return
	}
	for _, u := range left {
		p.leave(u, now)
	}
	for _, u := range joined {
		p.join(u, now)
	}
}

// Renamed takes new names of people who are here, or about to be shown or gone. Nothing waits for that.
func (p *People) Renamed(list []User) {
	for _, u := range list {
		if _, here := p.here[u.ID]; here {
			p.here[u.ID] = u
		}
		if c, coming := p.arriving[u.ID]; coming {
			p.arriving[u.ID] = change{u, c.due}
		}
		if c, going := p.leaving[u.ID]; going {
			p.leaving[u.ID] = change{u, c.due}
		}
	}
}

func (p *People) join(u User, now time.Time) {
	delete(p.leaving, u.ID)
	if _, here := p.here[u.ID]; here {
		p.here[u.ID] = u // perhaps under a new name
		return
	}
	if _, coming := p.arriving[u.ID]; !coming {
		p.arriving[u.ID] = change{u, now.Add(Grace)}
	}
}

func (p *People) leave(u User, now time.Time) {
	delete(p.arriving, u.ID)
	if _, here := p.here[u.ID]; !here {
		return
	}
	if _, going := p.leaving[u.ID]; !going {
		p.leaving[u.ID] = change{u, now.Add(Grace)}
	}
}

// Heard shows somebody at once, by his present name: who speaks is plainly here.
// It reports whether that changed what is shown.
func (p *People) Heard(u User) bool {
	if !p.known {
		return false
	}
	delete(p.leaving, u.ID)
	if _, coming := p.arriving[u.ID]; !coming && p.here[u.ID] == u {
		return false
	}
	delete(p.arriving, u.ID)
	p.here[u.ID] = u
	return true
}

// Settle carries out the changes whose grace is over. It returns whether anything
// shown changed, and when to look again.
func (p *People) Settle(now time.Time) (changed bool, next time.Time) {
	later := func(due time.Time) {
		if next.IsZero() || due.Before(next) {
			next = due
		}
	}
	for id, c := range p.arriving {
		if c.due.After(now) {
			later(c.due)
			continue
		}
		delete(p.arriving, id)
		p.here[id] = c.user
		changed = true
	}
	for id, c := range p.leaving {
		if c.due.After(now) {
			later(c.due)
			continue
		}
		delete(p.leaving, id)
		delete(p.here, id)
		changed = true
	}
	return changed, next
}

// Known reports whether there is a list, and not only a count.
func (p *People) Known() bool { return p.known }

// Number is how many people to speak of.
func (p *People) Number() int {
	if p.known {
		return len(p.here)
	}
	return p.Count
}

// List is everyone who is here, oneself first, the others by name.
func (p *People) List(self string) []User {
	users := make([]User, 0, len(p.here))
	for _, u := range p.here {
		users = append(users, u)
	}
	sort.Slice(users, func(i, j int) bool {
		a, b := users[i], users[j]
		if (a.ID == self) != (b.ID == self) {
			return a.ID == self
		}
		if x, y := strings.ToLower(a.Name), strings.ToLower(b.Name); x != y {
			return x < y
		}
		return a.ID < b.ID
	})
	return users
}
