package chat

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxRoom is the greatest length of a room's name, in bytes.
const MaxRoom = 200

// CleanRoom returns the room's name in what was typed, or "" if nothing is left of it. A "#" in
// front is dropped: people write it, but it is not part of the name.
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

// RoomAddress returns the path of a room's page. A name that a browser would take for path segments
// goes into the query.
func RoomAddress(room string) string {
	if room == "." || room == ".." || strings.ContainsAny(room, `/\`) {
		return "/?room=" + escape(room)
	}
	return "/r/" + escape(room)
}

// RoomAt returns the room's name in an address's path and query, or "".
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

// escape percent-encodes a name for an address. The browser shows letters of all scripts decoded.
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

// unescape decodes percent-encoding. What is not a valid escape is left as it is.
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
