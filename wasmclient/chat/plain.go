package chat

import (
	"strings"
	"unicode"
)

// noName stands for a name that has nothing to see.
const noName = "(no name)"

// Shown returns a name, of a person or a room, as it is to be shown: without what turns the direction
// of the text around it, and never with nothing to see.
func Shown(name string) string {
	name = strings.Map(func(r rune) rune {
		if isBidiControl(r) || unicode.IsControl(r) {
			return -1
		}
		return r
	}, name)
	if isBlank(name) {
		return noName
	}
	return name
}

// isBlank reports whether nothing of a text is seen.
func isBlank(text string) bool { return !strings.ContainsFunc(text, isVisible) }

func isBidiControl(r rune) bool {
	return r == 0x061c || r == 0x200e || r == 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// isVisible reports whether something of r is seen.
func isVisible(r rune) bool {
	switch {
	case r == 0x115f || r == 0x1160 || r == 0x2800 || r == 0x3164 || r == 0xffa0 || r == 0x1d159: // without ink
		return false
	case r == 0x2065 || r >= 0xfff0 && r <= 0xfff8 || r >= 0xe0000 && r <= 0xe0fff: // set aside for more of Cf
		return false
	}
	return !unicode.IsSpace(r) && !unicode.IsControl(r) && !unicode.Is(unicode.Cf, r) && !unicode.IsMark(r)
}

// A message beyond maxFolded bytes is written into the document only up to foldedTo while it is
// folded.
const (
	maxFolded = 64_000
	foldedTo  = 16_000
)

// Folded returns what is written of a text while it is folded.
func Folded(text string) string {
	if len(text) <= maxFolded {
		return text
	}
	return text[:runeStart(text, foldedTo)]
}
