// Package chat is the page's model: rooms, the order of messages, presence, unread counts, and how
// texts are read and shown. It uses neither the document nor a clock, so all of it is tested
// natively. The program around it draws.
package chat

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// User is a person as others see them.
type User struct {
	ID    string
	Name  string
	Guest bool

	At string // where the user is, or was when this was said: see At; empty: not known
}

// Message is a message that the relay has stored. At is in milliseconds since 1970.
type Message struct {
	Seq    int64
	ID     string
	From   User
	At     int64
	Data   []byte
	Offset string

	Annotations Annotations `json:",omitzero"` // as they stood when this was listed, and what has come since

	Attachments [][]byte `json:"-"` // too large to be stored
}

// MaxText is the greatest length of a message, in characters. It is far more than people write, and
// far less than what may be pasted by accident.
const MaxText = 16_000

// Size formats a number of bytes.
func Size(n int) string {
	switch {
	case n < 1000:
		return strconv.Itoa(n) + " B"
	case n < 999_500:
		return strconv.Itoa((n+500)/1000) + " kB"
	}
	return Thousands((n+500_000)/1_000_000) + " MB"
}

// normalize makes all line breaks \n, and removes the other control characters except tabs, and
// empty lines at either end.
func normalize(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\r' || r == '\u2028' || r == '\u2029':
			return '\n'
		case r == '\n' || r == '\t':
			return r
		case r < 0x20 || r >= 0x7f && r < 0xa0:
			return -1
		}
		return r
	}, s)
	return strings.Trim(s, "\n")
}

// visible returns s, or "" if nothing of it is seen.
func visible(s string) string {
	if isBlank(s) {
		return ""
	}
	return s
}

// runeStart moves a byte index back to the start of a rune.
func runeStart(s string, i int) int {
	for i > 0 && !utf8.RuneStart(s[i]) {
		i--
	}
	return i
}

// Clean returns what is sent for what was typed: normalized, and without white space around it. It is
// "" if nothing would be seen of it.
func Clean(typed string) string { return visible(strings.TrimSpace(normalize(typed))) }

// Length returns the length of a text in characters, as MaxText counts them.
func Length(s string) int { return utf8.RuneCountInString(s) }

// TooLongText returns the sentence for a text beyond MaxText. The text itself is not cut.
func TooLongText(length int) string {
	return "Too long to send: " + Thousands(length) + " of " + Thousands(MaxText) + " characters"
}

// Thousands formats a number with a comma between thousands.
func Thousands(n int) string {
	digits := strconv.Itoa(n)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
