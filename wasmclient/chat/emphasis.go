package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The marks of emphasis. A run of these characters of another length is none.
const (
	markBold       = iota // **
	markItalic            // *
	markUnderscore        // _
	marks                 // how many there are
)

// mark is a mark of emphasis that may begin something, or end it.
type mark struct {
	kind       int
	part       int // index of the part in which it stands
	at, length int // within the part
	begins     bool
	ends       bool
	paired     bool
}

// emphasize adds a line's parts, with what is bold and italic in them.
func (f *formatter) emphasize(line string, parts []Segment) {
	found := findMarks(line, parts)
	pairMarks(found)
	bold, italic := 0, 0
	style := func() (s Style) {
		if bold > 0 {
			s |= Bold
		}
		if italic > 0 {
			s |= Italic
		}
		return s
	}
	for i, p := range parts {
		if p.Style&Mark != 0 {
			f.add(p)
			continue
		}
		done := 0
		for len(found) > 0 && found[0].part == i {
			m := found[0]
			found = found[1:]
			if !m.paired {
				continue
			}
			f.add(Segment{Text: p.Text[done:m.at], Style: style()})
			f.add(Segment{Text: p.Text[m.at : m.at+m.length], Style: Mark})
			done = m.at + m.length
			count := &italic
			if m.kind == markBold {
				count = &bold
			}
			if m.begins {
				*count++
			} else {
				*count--
			}
		}
		p.Text, p.Style = p.Text[done:], p.Style|style()
		f.add(p)
	}
}

// findMarks returns the marks of emphasis in the parts that are plain text.
func findMarks(line string, parts []Segment) (found []mark) {
	start := 0 // of the part, in the line
	for i, p := range parts {
		plain := p.Href == "" && p.Style == 0
		for at := 0; plain && at < len(p.Text); {
			next := strings.IndexAny(p.Text[at:], "*_")
			if next < 0 {
				break
			}
			at += next
			n := runOf(p.Text[at:], p.Text[at])
			if kind := markKind(p.Text[at], n); kind >= 0 {
				m := mark{kind: kind, part: i, at: at, length: n}
				m.begins, m.ends = markSides(line[:start+at], line[start+at+n:])
				found = append(found, m)
			}
			at += n
		}
		start += len(p.Text)
	}
	return found
}

func markKind(c byte, n int) int {
	switch {
	case c == '*' && n == 2:
		return markBold
	case c == '*' && n == 1:
		return markItalic
	case c == '_' && n == 1:
		return markUnderscore
	}
	return -1
}

// markSides reports whether a mark between these two may begin something, and whether it may end it: it
// touches what it emphasizes, and stands in no word of Latin letters, nor between numbers.
func markSides(before, after string) (begins, ends bool) {
	last, _ := utf8.DecodeLastRuneInString(before)
	first, _ := utf8.DecodeRuneInString(after)
	begins = after != "" && !unicode.IsSpace(first) && (before == "" || !isLatinWord(last))
	ends = before != "" && !unicode.IsSpace(last) && (after == "" || !isLatinWord(first))
	return begins, ends
}

func isLatinWord(r rune) bool { return r < 0x370 && isWord(r) }

// pairMarks finds out which marks belong together. What one pair holds is whole: a mark in it whose other is
// outside remains as it is written.
func pairMarks(found []mark) {
	open := [marks]int{-1, -1, -1}
	for i := range found {
		m := &found[i]
		other := open[m.kind]
		switch {
		case m.ends && other >= 0:
			m.paired, found[other].paired = true, true
			m.begins = false
			for kind, at := range open {
				if at >= other {
					open[kind] = -1
				}
			}
		case m.begins:
			open[m.kind] = i
		}
	}
}
