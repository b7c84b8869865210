package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Segment is a part of a text. It is a link if Href is set.
type Segment struct {
	Text     string
	Href     string
	Language string // of a CodeBlock, or ""
	Style    Style
}

// Bounds of links: beyond them a text is shown as it is.
const (
	maxLink  = 2048 // bytes
	maxLinks = 100  // of one text
)

// Segments splits a text into plain parts and links. Only http and https addresses become links,
// and a link's text is the address to which it leads.
func Segments(text string) []Segment { return segments(text, maxLinks) }

// segments is Segments with at most so many links.
func segments(text string, most int) []Segment {
	var segments []Segment
	plain, links := 0, 0
	for at := 0; at < len(text) && links < most; {
		length, skip := linkAt(text, at)
		if length == 0 {
			at += skip
			continue
		}
		if at > plain {
			segments = append(segments, Segment{Text: text[plain:at]})
		}
		link := text[at : at+length]
		segments = append(segments, Segment{Text: link, Href: link})
		at += length
		plain = at
		links++
	}
	if plain < len(text) {
		segments = append(segments, Segment{Text: text[plain:]})
	}
	return segments
}

// linkAt returns the length in bytes of the link that begins at index at, or 0 and how many bytes
// begin none.
func linkAt(text string, at int) (length, skip int) {
	// The cheap test first: most characters begin no link.
	if text[at] != 'h' && text[at] != 'H' {
		_, size := utf8.DecodeRuneInString(text[at:])
		return 0, size
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
		return 0, 1
	}
	if before, _ := utf8.DecodeLastRuneInString(text[:at]); at > 0 && (unicode.IsLetter(before) || unicode.IsDigit(before)) {
		return 0, 1
	}
	if host, _ := utf8.DecodeRuneInString(rest[scheme:]); !(unicode.IsLetter(host) || unicode.IsDigit(host) || host == '[') {
		return 0, 1
	}
	end := len(rest)
	for i, r := range rest {
		if endsLink(r) {
			end = i
			break
		}
		if i > maxLink {
			return 0, i // or a text of nothing else would be read from each of its characters on
		}
	}
	link := trimLink(rest[:end])
	// What stands before an @ looks like the host, and is not.
	if len(link) <= scheme || strings.Contains(Host(link), "@") {
		return 0, 1
	}
	return len(link), 0
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
