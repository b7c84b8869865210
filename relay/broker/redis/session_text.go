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

// who is what does not change of a session, in Redis' field of that name.
type who struct {
	ID    string      `json:"id"`
	User  broker.User `json:"user"`
	Keyed bool        `json:"keyed,omitempty"`
}

func (w *who) text() string {
	text, err := json.Marshal(w)
	if err != nil {
		panic(err) // of strings and bools: it can't
	}
	return string(text)
}

// text writes m as "<number> <1 with presence> <since>".
func (m member) text() string {
	dst := strconv.AppendUint(nil, m.n, 10)
	if m.Presence {
		dst = append(dst, " 1 "...)
	} else {
		dst = append(dst, " 0 "...)
	}
	return string(m.Since.Append(dst))
}

func parseMember(room, text string) (m member, err error) {
	f := strings.SplitN(text, " ", 3)
	if len(f) != 3 || f[1] != "0" && f[1] != "1" {
		return m, errors.New("not a membership")
	}
	m.Room, m.Presence = room, f[1] == "1"
	var err1, err2 error
	m.n, err1 = strconv.ParseUint(f[0], 10, 63)
	m.Since, err2 = broker.ParseOffset(f[2])
	return m, errors.Join(err1, err2)
}

// appendAll appends the fields of all that there is.
func (s *kept) appendAll(args []string) []string {
	args = append(args, "who", s.who.text(), "left", strings.Join(s.left, "\x00"))
	for _, m := range s.in {
		args = append(args, "r"+m.Room, m.text())
	}
	return args
}

// appendChanged appends the fields that have changed, an empty one where there is nothing any more.
func (s *kept) appendChanged(args []string) []string {
	for _, room := range s.changed {
		text := ""
		if i := s.at(room); i >= 0 {
			text = s.in[i].text()
		}
		args = append(args, "r"+room, text)
	}
	if s.gone {
		args = append(args, "left", strings.Join(s.left, "\x00"))
	}
	return args
}

// stored is what Redis holds of a session.
type stored struct {
	broker.Session
	memberships
	who     *who
	version uint64
}

// parseSession reads field, value, field, value, ...
func parseSession(fields []string) (have stored, err error) {
	for ; len(fields) >= 2; fields = fields[2:] {
		field, value := fields[0], fields[1]
		switch {
		case field == "who":
			have.who = &who{}
			if err := json.Unmarshal([]byte(value), have.who); err != nil {
				return have, err
			}
		case field == "v":
			if have.version, err = strconv.ParseUint(value, 10, 63); err != nil {
				return have, err
			}
		case field == "left" && value != "":
			have.left = strings.Split(value, "\x00")
		case strings.HasPrefix(field, "r"):
			m, err := parseMember(field[1:], value)
			if err != nil {
				return have, err
			}
			have.in = append(have.in, m)
			have.next = max(have.next, m.n)
		}
	}
	if have.who == nil || have.version == 0 {
		return have, errors.New("a session without an owner's name or a version")
	}
	w := have.who
	slices.SortFunc(have.in, func(a, b member) int { return cmp.Or(cmp.Compare(a.n, b.n), cmp.Compare(a.Room, b.Room)) })
	have.Session = broker.Session{ID: w.ID, User: w.User, Keyed: w.Keyed, Rooms: have.list()}
	return have, nil
}
