package chat

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Style is how a part of a text is shown.
type Style uint8

const (
	Bold Style = 1 << iota
	Italic
	Code      // within a line
	CodeBlock // lines of their own
	Mention   // an @ and somebody's name
	Mark      // not shown: it makes others what they are
)

// maxSegments bounds the parts of one text. Beyond it the text is shown as it was written, but for links.
const maxSegments = 600

// maxTicks is the longest run of backquotes that begins code within a line.
const maxTicks = 3

// Format splits a text into parts by how they are shown: **bold**, *italic* and _italic_, `code`, lines of
// code between two of ```, links, and mentions of these names. The parts that make the others so are marks,
// which are not shown; with them the parts are the whole text. It takes time in proportion to the text, as
// nothing goes over the end of a line but a block of code, and nothing is looked for again that was not
// found.
func Format(text string, names []string) []Segment {
	f := formatter{text: text, links: maxLinks, names: names, mayFence: true}
	for rest := text; rest != ""; {
		n := f.codeBlock(rest)
		if n == 0 {
			if n = strings.IndexByte(rest, '\n') + 1; n == 0 {
				n = len(rest)
			}
			f.line(rest[:n])
		}
		rest = rest[n:]
		if len(f.out) > maxSegments {
			return Segments(text)
		}
	}
	if isBlank(ShownText(f.out)) {
		return Segments(text) // or there would be nothing to see
	}
	return f.out
}

// ShownText returns what is seen of a text's parts.
func ShownText(segments []Segment) string {
	var out strings.Builder
	for _, s := range segments {
		if s.Style&Mark == 0 {
			out.WriteString(s.Text)
		}
	}
	return out.String()
}

type formatter struct {
	text     string
	done     int // how much of it is in out
	out      []Segment
	links    int // that may still be made
	names    []string
	mayFence bool // there may be the end of a block further on
}

// add adds a part. Those that look the same are one.
func (f *formatter) add(s Segment) {
	if s.Text == "" {
		return
	}
	begin := f.done
	f.done += len(s.Text)
	if n := len(f.out); n > 0 {
		last := &f.out[n-1]
		if last.Style == s.Style && s.Style&(CodeBlock|Mention|Mark) == 0 && last.Href == "" && s.Href == "" {
			last.Text = f.text[begin-len(last.Text) : f.done] // to put them together takes time for all there is
			return
		}
	}
	f.out = append(f.out, s)
}

// codeBlock adds the block of code with which text begins, and returns its length with its marks, or 0 if
// there is none.
func (f *formatter) codeBlock(text string) int {
	if !f.mayFence || !strings.HasPrefix(text, fence) {
		return 0
	}
	begin := strings.IndexByte(text, '\n')
	if begin < 0 || !isLanguage(text[len(fence):begin]) {
		return 0
	}
	for at := begin; ; {
		found := strings.Index(text[at:], "\n"+fence)
		if found < 0 {
			f.mayFence = false
			return 0
		}
		end := at + found
		line := text[end+1+len(fence):]
		if next := strings.IndexByte(line, '\n'); next >= 0 {
			line = line[:next+1]
		}
		if strings.TrimSpace(line) != "" {
			at = end + 1
			continue
		}
		if end <= begin || isBlank(text[begin+1:end]) {
			return 0
		}
		after := end + 1 + len(fence) + len(line)
		f.add(Segment{Text: text[:begin+1], Style: Mark})
		f.add(Segment{Text: text[begin+1 : end], Style: CodeBlock, Language: strings.TrimSpace(text[len(fence):begin])})
		f.add(Segment{Text: text[end:after], Style: Mark})
		return after
	}
}

const fence = "```"

// isLanguage reports whether s may stand behind the mark that begins a block of code. It is shown above the
// block.
func isLanguage(s string) bool {
	s = strings.TrimRight(s, " ")
	return len(s) <= 20 && !strings.ContainsFunc(s, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("+#-.", r)
	})
}

// line adds the parts of a line. Code comes first, in which all else is as it is written, then links and
// mentions, and then what is bold and italic.
func (f *formatter) line(line string) {
	var parts []Segment
	var missing [maxTicks + 1]bool // there is no other such run of backquotes
	plain := 0
	for at := 0; at < len(line); {
		n := runOf(line[at:], '`')
		if n == 0 {
			at++
			continue
		}
		begin := at + n
		at = begin
		if n > maxTicks || missing[n] {
			continue
		}
		length := untilRun(line[begin:], n)
		if length < 0 {
			missing[n] = true
		}
		if length < 0 || isBlank(line[begin:begin+length]) {
			continue
		}
		parts = f.words(parts, line[plain:begin-n])
		parts = append(parts, Segment{Text: line[begin-n : begin], Style: Mark},
			Segment{Text: line[begin : begin+length], Style: Code},
			Segment{Text: line[begin+length : begin+length+n], Style: Mark})
		at = begin + length + n
		plain = at
	}
	f.emphasize(line, f.words(parts, line[plain:]))
}

// runOf returns how many times c stands at the start of s.
func runOf(s string, c byte) int {
	n := 0
	for n < len(s) && s[n] == c {
		n++
	}
	return n
}

// untilRun returns how long it is to a run of n backquotes, neither more nor fewer, or -1.
func untilRun(s string, n int) int {
	for at := 0; at < len(s); {
		found := strings.IndexByte(s[at:], '`')
		if found < 0 {
			return -1
		}
		at += found
		run := runOf(s[at:], '`')
		if run == n {
			return at
		}
		at += run
	}
	return -1
}

// words adds a text's links and mentions, and what is between them.
func (f *formatter) words(parts []Segment, text string) []Segment {
	for _, s := range segments(text, f.links) {
		if s.Href != "" {
			f.links--
			parts = append(parts, s)
			continue
		}
		parts = f.mentions(parts, s.Text)
	}
	return parts
}

// mentions adds the names that a text mentions, and what is between them.
func (f *formatter) mentions(parts []Segment, text string) []Segment {
	plain := 0
	for at := 0; len(f.names) > 0 && at < len(text); {
		found := strings.IndexByte(text[at:], '@')
		if found < 0 {
			break
		}
		at += found
		n := f.mentionAt(text, at)
		if n == 0 {
			at++
			continue
		}
		if at > plain {
			parts = append(parts, Segment{Text: text[plain:at]})
		}
		parts = append(parts, Segment{Text: text[at : at+n], Style: Mention})
		at += n
		plain = at
	}
	if plain < len(text) {
		parts = append(parts, Segment{Text: text[plain:]})
	}
	return parts
}

// mentionAt returns the length of the longest mention at an @, or 0.
func (f *formatter) mentionAt(text string, at int) int {
	if before, _ := utf8.DecodeLastRuneInString(text[:at]); at > 0 && isWord(before) {
		return 0
	}
	longest := 0
	for _, name := range f.names {
		if rest, ok := strings.CutPrefix(text[at+1:], name); ok && name != "" && len(name) >= longest {
			if after, _ := utf8.DecodeRuneInString(rest); rest == "" || !isWord(after) {
				longest = len(name) + 1
			}
		}
	}
	return longest
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }
