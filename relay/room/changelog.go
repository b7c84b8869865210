package room

import (
	"slices"
	"strings"

	"setu/relay/broker"
)

// changeLog keeps the changes that are heard while somebody reads from the broker who is in the
// room: what is read may be from before them or from after them. It is part of a roster, and
// guarded as that is.
//
// It is emptied when no reader is left, and so has no bound while readers overlap. Readers hold
// marks and see the log through end alone, so that a bound can be put here.
type changeLog struct {
	readers int
	changes []broker.Change // empty while there are no readers
}

// mark is the place in a changeLog at which a reader began.
type mark int

// begin notes that somebody is about to read. The reader calls end with the mark.
func (l *changeLog) begin() mark {
	l.readers++
	return mark(len(l.changes))
}

func (l *changeLog) add(ch broker.Change) {
	if l.readers > 0 {
		l.changes = append(l.changes, ch)
	}
}

// end returns the changes that were heard since from.
func (l *changeLog) end(from mark) []broker.Change {
	heard := l.changes[from:]
	if l.readers--; l.readers == 0 {
		l.changes = nil
	}
	return heard
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
