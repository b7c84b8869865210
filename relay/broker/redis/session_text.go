package redis

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"setu/relay/broker"
)

// A session in Redis is a hash. Whoever reads it skips fields that it does not know, members of
// who, and letters of a membership's flags, so that later versions can add some:
//
//	owner  the one connection that may write it, "<relay>.<number>"
//	v      counts what that connection wrote
//	who    JSON of what seldom changes
//	rooms  a membership after another, each "<flags> <since> <room>" and a NUL; the flags are letters,
//	       or - for none
//	left   names of rooms that were left, joined by NULs
//
// A session without rooms (that field, not memberships) is of another version, and nobody's to
// resume.

// who is what seldom changes of a session. It is never changed once made.
type who struct {
	ID    string      `json:"id"`
	User  broker.User `json:"user"`
	Keyed bool        `json:"keyed,omitempty"`
	Data  string      `json:"data,omitempty"`
}

func (w *who) text() string {
	var enough [256]byte // for most, and on the stack
	dst := broker.AppendString(append(enough[:0], `{"id":`...), w.ID)
	dst = w.User.AppendText(append(dst, `,"user":`...))
	if w.Keyed {
		dst = append(dst, `,"keyed":true`...)
	}
	if w.Data != "" {
		dst = broker.AppendString(append(dst, `,"data":`...), w.Data)
	}
	return string(append(dst, '}'))
}

const (
	noFlags       = "-"
	flagPresence  = "p"
	flagInvisible = "i"
	flagGiven     = "g"
)

func roomsText(rooms []broker.Membership) string {
	size := 0
	for _, m := range rooms {
		size += len(m.Room) + broker.MaxOffset/2 // an estimate
	}
	dst := make([]byte, 0, size)
	for _, m := range rooms {
		dst = append(append(dst, flagsOf(m)...), ' ')
		dst = append(m.Since.Append(dst), ' ')
		dst = append(append(dst, m.Room...), 0)
	}
	return string(dst)
}

func flagsOf(m broker.Membership) (flags string) {
	if m.Presence {
		flags += flagPresence
	}
	if m.Invisible {
		flags += flagInvisible
	}
	if m.Given {
		flags += flagGiven
	}
	return cmp.Or(flags, noFlags)
}

func parseRooms(text string) (rooms []broker.Membership, err error) {
	for entry := range strings.SplitSeq(strings.TrimSuffix(text, "\x00"), "\x00") {
		if text == "" {
			break
		}
		f := strings.SplitN(entry, " ", 3)
		if len(f) != 3 {
			return nil, errors.New("not a membership")
		}
		m := broker.Membership{Room: f[2], Presence: strings.Contains(f[0], flagPresence), Invisible: strings.Contains(f[0], flagInvisible),
			Given: strings.Contains(f[0], flagGiven)}
		if m.Since, err = broker.ParseOffset(f[1]); err != nil {
			return nil, err
		}
		rooms = append(rooms, m)
	}
	return rooms, nil
}

// stored is what Redis holds of a session.
type stored struct {
	who     *who
	rooms   broker.Memberships
	version uint64
}

func (s stored) session() broker.Session {
	return broker.Session{ID: s.who.ID, User: s.who.User, Keyed: s.who.Keyed, Rooms: s.rooms.Joined, Data: s.who.Data}
}

// isOfAnother reports whether a room was joined in another epoch than that one.
func (s stored) isOfAnother(epoch string) bool {
	return slices.ContainsFunc(s.rooms.Joined, func(m broker.Membership) bool { return m.Since.Epoch != epoch })
}

// fields are those that save writes whole.
func (s stored) fields() []string {
	return []string{s.who.text(), roomsText(s.rooms.Joined), strings.Join(s.rooms.Left, "\x00")}
}

// parseSession reads field, value, field, value, ...
func parseSession(fields []string) (have stored, err error) {
	whole := false
	for ; len(fields) >= 2 && err == nil; fields = fields[2:] {
		switch field, value := fields[0], fields[1]; {
		case field == "who":
			have.who = &who{}
			err = json.Unmarshal([]byte(value), have.who)
		case field == "v":
			have.version, err = strconv.ParseUint(value, 10, 63)
		case field == "left" && value != "":
			have.rooms.Left = strings.Split(value, "\x00")
		case field == "rooms":
			whole = true
			have.rooms.Joined, err = parseRooms(value)
		}
	}
	if err == nil && (have.who == nil || have.version == 0 || !whole) {
		err = errors.New("a session without who, rooms or version")
	}
	return have, err
}
