package auth

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json" // encoding/json/v2, where Go has it, and a copy of it where not
)

// Bounds of what a token or a setting may say of rooms.
const (
	maxPatterns = 1000
	maxPattern  = 200 // bytes, as many as a room's name has
)

// Rooms says what somebody may do in which rooms. A pattern is a room's name, or how names begin
// and a star; a star alone is every room. Of the patterns that fit a room the most specific decides
// alone: its name, else the longest beginning. If none fits, nothing is allowed, as in the zero
// Rooms.
//
// Rooms don't change once they were made, and may be used by many goroutines.
type Rooms struct {
	exact, prefixes []rule // sorted by text
}

// rule is one pattern, without its star, and what it allows.
type rule struct {
	text   string
	rights Rights
}

// Of returns what is allowed in a room. It is called at every event, and allocates nothing.
func (r Rooms) Of(room string) Rights {
	if i, ok := find(r.exact, room); ok {
		return r.exact[i].rights
	}
	// The longest prefix of key is the last rule up to it, or is a prefix of that rule, too.
	for key := room; ; {
		i, ok := find(r.prefixes, key)
		if ok {
			return r.prefixes[i].rights
		}
		if i == 0 {
			return 0
		}
		last := r.prefixes[i-1]
		if strings.HasPrefix(key, last.text) {
			return last.rights
		}
		key = key[:common(key, last.text)]
	}
}

func find(sorted []rule, text string) (int, bool) {
	return slices.BinarySearchFunc(sorted, text, func(a rule, b string) int { return strings.Compare(a.text, b) })
}

// common returns how many bytes two texts begin with alike.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// IsZero reports whether r has no pattern, and so allows nothing.
func (r Rooms) IsZero() bool { return len(r.exact)+len(r.prefixes) == 0 }

// ParseRooms reads rules as settings and commands have them: "lobby:join,publish team-*:join".
// Rooms whose names have spaces are written as in a token: {"my room": ["join"]}.
func ParseRooms(text string) (Rooms, error) {
	if text = strings.TrimSpace(text); strings.HasPrefix(text, "{") {
		var r Rooms
		err := r.UnmarshalJSON([]byte(text))
		return r, err
	}
	rules := map[string]Rights{}
	for item := range strings.FieldsSeq(text) {
		i := strings.LastIndexByte(item, ':') // a room's name may have colons
		if i < 0 {
			return Rooms{}, fmt.Errorf("%s is without a colon: a rule is PATTERN:RIGHT,RIGHT", shorten(item))
		}
		pattern, names := item[:i], item[i+1:]
		if _, twice := rules[pattern]; twice {
			return Rooms{}, fmt.Errorf("the pattern %s comes twice", shorten(pattern))
		}
		var rights Rights
		if names != "" {
			var err error
			if rights, err = rightsOf(strings.Split(names, ",")); err != nil {
				return Rooms{}, err
			}
		}
		rules[pattern] = rights
	}
	return newRooms(rules)
}

// newRooms makes Rooms of patterns.
func newRooms(rules map[string]Rights) (r Rooms, err error) {
	if len(rules) > maxPatterns {
		return r, fmt.Errorf("there are %d patterns: at most %d are taken", len(rules), maxPatterns)
	}
	for _, pattern := range slices.Sorted(maps.Keys(rules)) {
		if err := checkPattern(pattern); err != nil {
			return Rooms{}, err
		}
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
			r.prefixes = append(r.prefixes, rule{prefix, rules[pattern]})
		} else {
			r.exact = append(r.exact, rule{pattern, rules[pattern]})
		}
	}
	// A star comes after characters that are less, so patterns are not sorted as prefixes are.
	slices.SortFunc(r.prefixes, func(a, b rule) int { return strings.Compare(a.text, b.text) })
	r.exact, r.prefixes = slices.Clip(r.exact), slices.Clip(r.prefixes)
	return r, nil
}

func checkPattern(pattern string) error {
	switch {
	case pattern == "" || len(pattern) > maxPattern:
		return fmt.Errorf("the pattern %s has %d bytes: it takes 1 to %d", shorten(pattern), len(pattern), maxPattern)
	case !utf8.ValidString(pattern) || strings.ContainsFunc(pattern, unicode.IsControl):
		return fmt.Errorf("the pattern %s must be UTF-8 without control characters", shorten(pattern))
	case strings.Contains(pattern[:len(pattern)-1], "*"):
		return fmt.Errorf("the pattern %s has a star that is not at its end", shorten(pattern))
	}
	return nil
}

// rules returns the patterns as they are written.
func (r Rooms) rules() map[string]Rights {
	out := make(map[string]Rights, len(r.exact)+len(r.prefixes))
	for _, e := range r.exact {
		out[e.text] = e.rights
	}
	for _, p := range r.prefixes {
		out[p.text+"*"] = p.rights
	}
	return out
}

// String returns what ParseRooms reads.
func (r Rooms) String() string {
	var out []string
	rules := r.rules()
	for _, pattern := range slices.Sorted(maps.Keys(rules)) {
		if out == nil && strings.HasPrefix(pattern, "{") || strings.ContainsFunc(pattern, unicode.IsSpace) {
			text, _ := r.MarshalJSON() // patterns are UTF-8
			return string(text)
		}
		out = append(out, pattern+":"+rules[pattern].String())
	}
	return strings.Join(out, " ")
}

// MarshalJSON returns an object that names the rights of each pattern.
func (r Rooms) MarshalJSON() ([]byte, error) {
	out := map[string][]string{}
	for pattern, rights := range r.rules() {
		out[pattern] = rights.names()
	}
	return json.Marshal(out, json.Deterministic(true))
}

// UnmarshalJSON reads what MarshalJSON writes. A pattern that comes twice is refused.
func (r *Rooms) UnmarshalJSON(raw []byte) error {
	var lists map[string][]string
	if err := json.Unmarshal(raw, &lists); err != nil || lists == nil {
		return errors.New(`they must be one JSON object like {"lobby": ["join"]}, with each pattern once`)
	}
	rules := make(map[string]Rights, len(lists))
	for pattern, names := range lists {
		if names == nil {
			return fmt.Errorf("the rights of %s must be a list", shorten(pattern))
		}
		rights, err := rightsOf(names)
		if err != nil {
			return err
		}
		rules[pattern] = rights
	}
	read, err := newRooms(rules)
	if err != nil {
		return err
	}
	*r = read
	return nil
}
