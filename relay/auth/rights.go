package auth

import (
	"fmt"
	"strings"
)

// Rights is a set of things that somebody may do in a room.
type Rights uint8

// The rights, by the names that tokens and settings give them: "join", "publish", "signal",
// "history", "members" and "invisible".
const (
	Join      Rights = 1 << iota // enter the room and hear what is said
	Publish                      // say what is stored
	Signal                       // say what is not stored
	History                      // read what was said before
	Members                      // see who is there
	Invisible                    // be there without being seen

	All = Join | Publish | Signal | History | Members | Invisible
)

// Has reports whether all of the rights in want are in r.
func (r Rights) Has(want Rights) bool { return r&want == want }

// String returns the names, separated by commas.
func (r Rights) String() string { return strings.Join(r.names(), ",") }

func (r Rights) names() []string {
	out := []string{} // not nil: in JSON it is a list
	for one := Join; one <= Invisible; one <<= 1 {
		if r.Has(one) {
			out = append(out, one.name())
		}
	}
	return out
}

func (r Rights) name() string {
	switch r {
	case Join:
		return "join"
	case Publish:
		return "publish"
	case Signal:
		return "signal"
	case History:
		return "history"
	case Members:
		return "members"
	case Invisible:
		return "invisible"
	}
	return ""
}

// rightsOf returns the set of the rights with these names.
func rightsOf(names []string) (out Rights, err error) {
next:
	for _, name := range names {
		for one := Join; one <= Invisible; one <<= 1 {
			if one.name() == name {
				out |= one
				continue next
			}
		}
		return 0, fmt.Errorf("there is no right %s: rights are %s", shorten(name), strings.ReplaceAll(All.String(), ",", ", "))
	}
	return out, nil
}

// shorten quotes what somebody wrote, so that a message about it stays short.
func shorten(text string) string {
	const most = 40
	if len(text) > most {
		return fmt.Sprintf("%q…", text[:most])
	}
	return fmt.Sprintf("%q", text)
}
