package chat

import (
	"sort"
	"strings"
	"time"
)

// Grace is how long a change of presence waits before it is shown, so that the list does not
// flicker when a phone loses its network for a moment.
const Grace = 5 * time.Second

// People is who is in a room. For a large room the relay sends the count alone.
type People struct {
	Count int

	here     map[string]User   // all by user id; shown
	arriving map[string]change // not shown yet
	leaving  map[string]change // still shown
	known    bool              // the relay has sent the list
}

// change is a change of presence that is to be shown when it is due.
type change struct {
	user User
	due  time.Time
}

// Set takes the whole list. The first one is shown at once; the changes in a later one, after a
// reconnect, wait for Grace like any other. A nil list means that the room is too large for one.
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

// Change applies a presence event.
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

// Rename applies new names of people in the room. They are shown at once.
func (p *People) Rename(list []User) {
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
		p.here[u.ID] = u // the name may be new
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

// SetPresent shows a person at once, under their present name, because they have just sent
// something. It reports whether that changed what is shown.
func (p *People) SetPresent(u User) bool {
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

// ApplyDue applies the changes that have waited for Grace. It reports whether what is shown has
// changed, and returns when to call it again; zero means that no change waits.
func (p *People) ApplyDue(now time.Time) (changed bool, next time.Time) {
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

// Known reports whether there is a list and not only a count.
func (p *People) Known() bool { return p.known }

// Number returns the number of people to show.
func (p *People) Number() int {
	if p.known {
		return len(p.here)
	}
	return p.Count
}

// List returns the people shown: the user whose id is self first, the others by name.
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
