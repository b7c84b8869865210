package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Segment is a part of a text. It is a link if Href is set.
type Segment struct {
	Text string
	Href string
}

// Segments splits a text into plain parts and links. Only http and https addresses become links,
// and a link's text is the address to which it leads.
func Segments(text string) []Segment {
	var segments []Segment
	plain := 0
	for at := 0; at < len(text); {
		length := linkAt(text, at)
		if length == 0 {
			_, size := utf8.DecodeRuneInString(text[at:])
			at += size
			continue
		}
		if at > plain {
			segments = append(segments, Segment{Text: text[plain:at]})
		}
		link := text[at : at+length]
		segments = append(segments, Segment{Text: link, Href: link})
		at += length
		plain = at
	}
	if plain < len(text) {
		segments = append(segments, Segment{Text: text[plain:]})
	}
	return segments
}

// linkAt returns the length in bytes of the link that begins at index at, or 0.
func linkAt(text string, at int) int {
	// The cheap test first: most characters begin no link.
	if text[at] != 'h' && text[at] != 'H' {
		return 0
	}
	rest := text[at:]
	scheme := 0
	for _, s := range []string{"https://", "http://"} {
		if len(rest) > len(s) && strings.EqualFold(rest[:len(s)], s) {
			scheme = len(s)
			break
		}
	}
	if scheme == 0 {
		return 0
	}
	if before, _ := utf8.DecodeLastRuneInString(text[:at]); at > 0 && (unicode.IsLetter(before) || unicode.IsDigit(before)) {
		return 0
	}
	end := len(rest)
	for i, r := range rest {
		if endsLink(r) {
			end = i
			break
		}
	}
	link := trimLink(rest[:end])
	host, _ := utf8.DecodeRuneInString(rest[scheme:])
	if len(link) <= scheme || !(unicode.IsLetter(host) || unicode.IsDigit(host) || host == '[') {
		return 0
	}
	return len(link)
}

// endsLink reports whether no address contains r: white space, quotes, angle brackets, and
// invisible marks that could make an address look like another.
func endsLink(r rune) bool {
	switch {
	case r <= ' ' || r == 0x7f || unicode.IsSpace(r):
		return true
	case strings.ContainsRune("<>\"`{}|\\^«»“”„", r):
		return true
	case r == 0x061c || r == 0x200b || r == 0x200e || r == 0x200f || r == 0xfeff || r == utf8.RuneError:
		return true
	}
	return r >= 0x202a && r <= 0x202e || r >= 0x2060 && r <= 0x2069
}

// trimLink removes the punctuation of the sentence around a link from its end, and a closing
// bracket without an opening one in the link.
func trimLink(link string) string {
	for link != "" {
		r, size := utf8.DecodeLastRuneInString(link)
		shorter := link[:len(link)-size]
		switch {
		case strings.ContainsRune(".,:;!?'*_~…。、，！？،؛؟", r):
			link = shorter
		case r == ')' && strings.Count(link, ")") > strings.Count(link, "("),
			r == ']' && strings.Count(link, "]") > strings.Count(link, "["):
			link = shorter
		default:
			return link
		}
	}
	return link
}
