package chat

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxRoom is how many bytes a room's name may have.
const MaxRoom = 200

// CleanRoom makes of what was typed a room's name, or "" where none is left. A
// "#" in front is how people write rooms, not part of the name.
func CleanRoom(typed string) string {
	name := strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == utf8.RuneError {
			return -1
		}
		return r
	}, typed))
	name = strings.TrimSpace(strings.TrimLeft(name, "#"))
	if len(name) > MaxRoom {
		name = strings.TrimSpace(name[:runeStart(name, MaxRoom)])
	}
	return name
}

// RoomAddress is where a room's page is. Names that a browser would take for
// steps in a path travel in the query.
func RoomAddress(room string) string {
	if room == "." || room == ".." || strings.ContainsAny(room, `/\`) {
		return "/?room=" + escape(room)
	}
	return "/r/" + escape(room)
}

// RoomAt reads the room's name from an address' path and query, or gives "".
func RoomAt(path, query string) string {
	if escaped, ok := strings.CutPrefix(path, "/r/"); ok {
		return CleanRoom(unescape(escaped))
	}
	for pair := range strings.SplitSeq(strings.TrimPrefix(query, "?"), "&") {
		if value, ok := strings.CutPrefix(pair, "room="); ok {
			return CleanRoom(unescape(strings.ReplaceAll(value, "+", " ")))
		}
	}
	return ""
}

// escape writes a name for an address; letters of all scripts are left to the
// browser, which shows them readably.
func escape(s string) string {
	const hex = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0:
			out.WriteByte(c)
		default:
			out.WriteByte('%')
			out.WriteByte(hex[c>>4])
			out.WriteByte(hex[c&15])
		}
	}
	return out.String()
}

// unescape reads an address back; what is not an escape stands for itself.
func unescape(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if b, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				out.WriteByte(byte(b))
				i += 2
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}
