package chat

import (
	"sort"
	"strings"
	"unicode/utf8"
)

// sortedPeople is a list of people as it was sorted last. Sorting a thousand of them takes longer than a
// frame lasts, and messages come more often than people do.
type sortedPeople struct {
	users   []User
	self    string
	version int
	keys    map[string]string // of names that are not plain, by which they are sorted
}

// Version returns a number that changes whenever the people do who are shown.
func (p *People) Version() int { return p.version }

// List returns the people shown: the user whose id is self first, the others by name. The caller must not
// change the list.
func (p *People) List(self string) []User {
	if s := &p.sorted; s.users == nil || s.self != self || s.version != p.version {
		users, keys := p.sort(self)
		*s = sortedPeople{users, self, p.version, keys}
	}
	return p.sorted.users
}

// isASCII reports whether a name consists of ASCII alone.
func isASCII(name string) bool {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func (p *People) sort(self string) (users []User, keys map[string]string) {
	type named struct {
		User
		by string
	}
	all := make([]named, 0, len(p.here))
	keys = make(map[string]string)
	for _, u := range p.here {
		if isASCII(u.Name) {
			all = append(all, named{u, strings.ToLower(u.Name)})
			continue
		}
		by, known := p.sorted.keys[u.Name]
		switch {
		case known:
		case p.Plain != nil:
			by = strings.ToLower(p.Plain(u.Name))
		default:
			by = strings.ToLower(u.Name)
		}
		keys[u.Name] = by
		all = append(all, named{u, by})
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := &all[i], &all[j]
		if (a.ID == self) != (b.ID == self) {
			return a.ID == self
		}
		if a.by != b.by {
			return a.by < b.by
		}
		if a.Name != b.Name {
			return a.Name < b.Name
		}
		return a.ID < b.ID
	})
	users = make([]User, len(all))
	for i, u := range all {
		users[i] = u.User
	}
	return users, keys
}
