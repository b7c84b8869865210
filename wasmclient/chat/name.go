package chat

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName is the greatest length of a name that the relay accepts, in characters.
const MaxName = 64

// CleanName returns what was typed as a name that the relay accepts, or "".
func CleanName(typed string) string {
	name := strings.Join(strings.FieldsFunc(typed, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	for utf8.RuneCountInString(name) > MaxName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = strings.TrimSpace(name[:len(name)-size])
	}
	return visible(name)
}

// Monogram returns what is shown in place of a person's picture: the first letters of the first and
// the last word of their name, or a whole emoji.
func Monogram(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool {
		return unicode.IsSpace(r) || r == '-' || r == '_' || r == '.'
	})
	initials := make([]string, 0, 2)
	for i, word := range words {
		if i > 0 && i < len(words)-1 {
			continue
		}
		if letter := initial(word); letter != "" {
			initials = append(initials, letter)
		}
	}
	if len(initials) == 0 {
		return "?"
	}
	if len(initials) == 2 && (!isLetters(initials[0]) || !isLetters(initials[1])) {
		return initials[0] // two emoji side by side don't fit
	}
	return strings.Join(initials, "")
}

func initial(word string) string {
	runes := []rune(word)
	if n := emojiAt(runes); n > 0 {
		return string(runes[:n])
	}
	for _, r := range runes {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return string(unicode.ToUpper(r))
		}
	}
	return ""
}

func isLetters(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

// Hues is the number of colours of monograms.
const Hues = 16

// Hue returns the number of a person's colour, from 0 and below Hues. It is the same on every page.
func Hue(id string) int {
	h := uint32(2166136261) // FNV-1a
	for i := range len(id) {
		h = (h ^ uint32(id[i])) * 16777619
	}
	h ^= h >> 15
	return int(h % Hues)
}

// SentencePart is a part of a sentence that names people. Names are parts of their own, so that one
// written from right to left does not reverse the sentence.
type SentencePart struct {
	Text   string
	IsName bool
}

// sentenceParts returns "A", "A and B", "A, B and C" or "A, B and 3 others".
func sentenceParts(names []string) []SentencePart {
	name := func(i int) SentencePart { return SentencePart{Text: names[i], IsName: true} }
	switch len(names) {
	case 0:
		return nil
	case 1:
		return []SentencePart{name(0)}
	case 2:
		return []SentencePart{name(0), {Text: " and "}, name(1)}
	case 3:
		return []SentencePart{name(0), {Text: ", "}, name(1), {Text: " and "}, name(2)}
	}
	return []SentencePart{name(0), {Text: ", "}, name(1), {Text: " and " + strconv.Itoa(len(names)-2) + " others"}}
}
