package chat

import (
	"sort"
	"strings"
)

// sortedPeople is a list of people as it was sorted last. Sorting a thousand of them takes longer than a
// frame lasts, and messages come more often than people do.
type sortedPeople struct {
	users   []User
	self    string
	version int
}

// Version returns a number that changes whenever the people do who are shown.
func (p *People) Version() int { return p.version }

// List returns the people shown: the user whose id is self first, the others by name. The caller must not
// change the list.
func (p *People) List(self string) []User {
	if s := &p.sorted; s.users == nil || s.self != self || s.version != p.version {
		*s = sortedPeople{p.sort(self), self, p.version}
	}
	return p.sorted.users
}

func (p *People) sort(self string) []User {
	type named struct {
		User
		lower string
	}
	all := make([]named, 0, len(p.here))
	for _, u := range p.here {
		all = append(all, named{u, strings.ToLower(u.Name)})
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := &all[i], &all[j]
		if (a.ID == self) != (b.ID == self) {
			return a.ID == self
		}
		if a.lower != b.lower {
			return a.lower < b.lower
		}
		return a.ID < b.ID
	})
	users := make([]User, len(all))
	for i, u := range all {
		users[i] = u.User
	}
	return users
}
