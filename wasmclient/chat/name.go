package chat

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName is how long a name may be; the relay takes no longer one.
const MaxName = 64

// CleanName makes of what was typed a name that the relay takes.
func CleanName(typed string) string {
	name := strings.Join(strings.FieldsFunc(typed, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
	for utf8.RuneCountInString(name) > MaxName {
		_, size := utf8.DecodeLastRuneInString(name)
		name = strings.TrimSpace(name[:len(name)-size])
	}
	return name
}

// Monogram is what stands for a person where there is no picture: the first
// letters of the first and the last word, or an emoji whole.
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
		return initials[0] // two pictures side by side don't fit
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

// Hues is how many colours monograms come in.
const Hues = 16

// Hue gives a person's colour, the same on every page.
func Hue(id string) int {
	h := uint32(2166136261) // FNV-1a
	for i := range len(id) {
		h = (h ^ uint32(id[i])) * 16777619
	}
	h ^= h >> 15
	return int(h % Hues)
}

// Listed is a run of a sentence that names people: names are set apart, so that
// one written from right to left does not turn the sentence around.
type Listed struct {
	Text   string
	IsName bool
}

// list writes "A", "A and B", "A, B and C", "A, B and 3 others".
func list(names []string) []Listed {
	name := func(i int) Listed { return Listed{Text: names[i], IsName: true} }
	switch len(names) {
	case 0:
		return nil
	case 1:
		return []Listed{name(0)}
	case 2:
		return []Listed{name(0), {Text: " and "}, name(1)}
	case 3:
		return []Listed{name(0), {Text: ", "}, name(1), {Text: " and "}, name(2)}
	}
	return []Listed{name(0), {Text: ", "}, name(1), {Text: " and " + strconv.Itoa(len(names)-2) + " others"}}
}
