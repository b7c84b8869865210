// Package chat is what the page knows and decides: rooms, the order of messages,
// who is here, what is unread, what a text means. It touches no document and no
// clock, so all of it is tested natively; the program around it draws.
package chat

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// User is somebody, as others see him.
type User struct {
	ID    string
	Name  string
	Guest bool
}

// Message is one that the relay has stored. At is in milliseconds since 1970.
type Message struct {
	Seq    int64
	ID     string
	From   User
	At     int64
	Data   []byte
	Binary int // bytes of what is attached to it, which the page does not show
	Offset string
}

// MaxText is how many characters a message may have. It is far more than people
// write, and far less than what a clipboard can hold by accident.
const MaxText = 16_000

// maxRaw bounds what is shown of a message that is not a text.
const maxRaw = 4000

// Body is what a message says.
type Body struct {
	Text string
	// Raw marks data that is not the page's own {"text": …}: it is shown as the
	// JSON that it is, or, where the matter is in its attachments, by their size.
	Raw bool
}

func bodyOf(m Message) Body {
	b := ParseBody(m.Data)
	if b.Raw && m.Binary > 0 {
		b.Text = "Binary message, " + Size(m.Binary)
	}
	return b
}

// Size writes how many bytes something takes.
func Size(n int) string {
	switch {
	case n < 1000:
		return strconv.Itoa(n) + " B"
	case n < 999_500:
		return strconv.Itoa((n+500)/1000) + " kB"
	}
	return Thousands((n+500_000)/1_000_000) + " MB"
}

// ParseBody reads a message's data. Whatever stands there, the outcome is text.
func ParseBody(data []byte) Body {
	var shape struct {
		Text *string `json:"text"`
	}
	if err := json.Unmarshal(data, &shape); err == nil && shape.Text != nil {
		return Body{Text: tidy(*shape.Text)}
	}
	var out bytes.Buffer
	if json.Indent(&out, bytes.TrimSpace(data), "", "  ") != nil {
		out.Reset()
		out.Write(data)
	}
	text := strings.ToValidUTF8(out.String(), "\uFFFD")
	if len(text) > maxRaw {
		text = text[:runeStart(text, maxRaw)] + "\n…"
	}
	return Body{Text: text, Raw: true}
}

// tidy drops what would draw nothing or draw over others: controls other than
// line breaks and tabs, and empty lines at either end.
func tidy(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\r' || r == '\u2028' || r == '\u2029':
			return '\n'
		case r == '\n' || r == '\t':
			return r
		case r < 0x20 || r == 0x7f:
			return -1
		}
		return r
	}, s)
	return strings.Trim(s, "\n")
}

// runeStart moves a byte index back to where a rune begins.
func runeStart(s string, i int) int {
	for i > 0 && !utf8.RuneStart(s[i]) {
		i--
	}
	return i
}

// Clean makes of what was typed what is sent: without blank space around it.
func Clean(typed string) string { return strings.TrimSpace(tidy(typed)) }

// Length counts a text the way the limit does.
func Length(s string) int { return utf8.RuneCountInString(s) }

// TooLong says that a text is beyond the limit. Nothing of it is cut.
func TooLong(length int) string {
	return "Too long to send: " + Thousands(length) + " of " + Thousands(MaxText) + " characters"
}

// Thousands writes a number so that its size is seen at a glance.
func Thousands(n int) string {
	digits := strconv.Itoa(n)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// IsLong tells texts that are folded until somebody asks for all of them.
func IsLong(s string) bool { return len(s) > 3000 || strings.Count(s, "\n") > 30 }
