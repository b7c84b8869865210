package room

import (
	"slices"
	"strings"

	"setu/relay/broker"
)

// changeLog keeps the changes that are heard while somebody reads from the broker who is in the
// room: what is read may be from before them or from after them. It is part of a roster, and
// guarded as that is. It begins where the earliest reader did, and has at most maxLogged changes.
type changeLog struct {
	open    []mark // where readers began, the earliest first
	first   mark   // of changes
	changes []broker.Change
}

// mark is the place in a changeLog at which a reader began: it counts all changes that were kept.
type mark int

// maxLogged bounds a changeLog. A reader in whose time more are heard can't make up for them.
const maxLogged = 4096

// begin notes that somebody is about to read. The reader calls end with the mark.
func (l *changeLog) begin() mark {
	m := l.first + mark(len(l.changes))
	l.open = append(l.open, m)
	return m
}

func (l *changeLog) add(ch broker.Change) {
	if len(l.open) == 0 {
		return
	}
	l.changes = append(l.changes, ch)
	if over := len(l.changes) - maxLogged; over > 0 {
		l.changes, l.first = l.changes[over:], l.first+mark(over)
	}
}

// end returns the changes that were heard since from. It reports whether those are all.
func (l *changeLog) end(from mark) (heard []broker.Change, whole bool) {
	heard = l.changes[max(0, from-l.first):]
	whole = from >= l.first
	if i := slices.Index(l.open, from); i >= 0 {
		l.open = slices.Delete(l.open, i, i+1)
	}
	switch {
	case len(l.open) == 0:
		l.first += mark(len(l.changes))
		l.changes = nil
	case l.open[0] > l.first:
		n := int(l.open[0] - l.first)
		l.changes, l.first = slices.Clone(l.changes[n:]), l.open[0] // lest the former ones stay
	}
	return heard, whole
}

// applyChanges brings a list of users up to date with the changes heard since somebody began to
// read it. The list may have some of them already. That does no lasting harm: a later change of
// the same user is either among heard or still to come, and sets it right.
func applyChanges(users []string, heard []broker.Change) []string {
	if users == nil || len(heard) == 0 {
		return users
	}
	users = slices.Clone(users) // the broker may have given it to others, too
	for _, ch := range heard {
		u, err := parseUser(ch.User)
		if err != nil {
			continue
		}
		if ch.Renamed { // one who is not listed has left since: the list is newer than the change
			if at := slices.IndexFunc(users, hasID(u.ID)); at >= 0 {
				users[at] = ch.User
			}
			continue
		}
		users = slices.DeleteFunc(users, hasID(u.ID))
		if ch.Joined {
			users = append(users, ch.User)
		}
	}
	return users
}

// withUser adds a user to a list that may have been read just before the user entered.
func withUser(users []string, id, text string) []string {
	if slices.ContainsFunc(users, hasID(id)) {
		return users
	}
	return append(users[:len(users):len(users)], text)
}

// hasID returns a function that reports whether a user's JSON, in which the id comes first, is
// that of the user with this id.
func hasID(id string) func(string) bool {
	head := `{"id":` + quote(id) + `,`
	return func(text string) bool { return strings.HasPrefix(text, head) }
}
