package chat

// maxLargeEmoji is the most emoji that are shown larger if a text has nothing else.
const maxLargeEmoji = 6

const (
	zeroWidthJoiner = 0x200d
	emojiVariation  = 0xfe0f
	keycap          = 0x20e3
)

// EmojiOnly reports whether a text consists of a few emoji and nothing else but spaces and line
// breaks.
func EmojiOnly(text string) bool {
	if len(text) > 4*12*maxLargeEmoji {
		return false
	}
	count, runes := 0, []rune(text)
	for i := 0; i < len(runes); {
		if runes[i] == ' ' || runes[i] == '\n' {
			i++
			continue
		}
		length := emojiAt(runes[i:])
		if length == 0 {
			return false
		}
		count++
		i += length
	}
	return count > 0 && count <= maxLargeEmoji
}

// emojiAt returns the number of runes of the emoji at the start of runes, including those joined to
// it; 0 if there is none.
func emojiAt(runes []rune) int {
	n := simpleEmoji(runes)
	if n == 0 {
		return 0
	}
	for n < len(runes) && runes[n] == zeroWidthJoiner {
		next := simpleEmoji(runes[n+1:])
		if next == 0 {
			break
		}
		n += 1 + next
	}
	return n
}

// simpleEmoji is emojiAt for one emoji without joiners: a base with its variation, skin tone or
// tags, a flag, or a keycap.
func simpleEmoji(runes []rune) int {
	switch {
	case len(runes) == 0:
		return 0
	case isRegional(runes[0]):
		if len(runes) > 1 && isRegional(runes[1]) {
			return 2
		}
		return 0
	case isKeycapBase(runes[0]):
		if len(runes) > 2 && runes[1] == emojiVariation && runes[2] == keycap {
			return 3
		}
		return 0
	case !isEmojiBase(runes[0]):
		return 0
	}
	n := 1
	for n < len(runes) && (runes[n] == emojiVariation || isSkinTone(runes[n]) || isTag(runes[n])) {
		n++
	}
	// Old symbols are text unless a variation selector asks for the picture.
	if runes[0] < 0x1f000 && isTextByDefault(runes[0]) && (n < 2 || runes[1] != emojiVariation) {
		return 0
	}
	return n
}

func isRegional(r rune) bool   { return r >= 0x1f1e6 && r <= 0x1f1ff }
func isSkinTone(r rune) bool   { return r >= 0x1f3fb && r <= 0x1f3ff }
func isTag(r rune) bool        { return r >= 0xe0020 && r <= 0xe007f }
func isKeycapBase(r rune) bool { return r >= '0' && r <= '9' || r == '#' || r == '*' }

func isEmojiBase(r rune) bool {
	return r >= 0x1f300 && r <= 0x1faff || r == 0x1f004 || r == 0x1f0cf || r >= 0x1f170 && r <= 0x1f251 ||
		r >= 0x2600 && r <= 0x27bf || r >= 0x2b05 && r <= 0x2b55 || r >= 0x2190 && r <= 0x21ff ||
		r >= 0x231a && r <= 0x23ff || r >= 0x25aa && r <= 0x25fe || r >= 0x2934 && r <= 0x2935 ||
		r == 0x203c || r == 0x2049 || r == 0x2122 || r == 0x2139 || r == 0x3030 || r == 0x303d || r == 0x3297 || r == 0x3299
}

// isTextByDefault reports whether an old symbol is shown as text without a variation selector.
func isTextByDefault(r rune) bool {
	switch r {
	case 0x231a, 0x231b, 0x23e9, 0x23ea, 0x23eb, 0x23ec, 0x23f0, 0x23f3, 0x25fd, 0x25fe, 0x2614, 0x2615,
		0x267f, 0x2693, 0x26a1, 0x26aa, 0x26ab, 0x26bd, 0x26be, 0x26c4, 0x26c5, 0x26ce, 0x26d4, 0x26ea,
		0x26f2, 0x26f3, 0x26f5, 0x26fa, 0x26fd, 0x2705, 0x270a, 0x270b, 0x2728, 0x274c, 0x274e, 0x2753,
		0x2754, 0x2755, 0x2757, 0x2795, 0x2796, 0x2797, 0x27b0, 0x27bf, 0x2b1b, 0x2b1c, 0x2b50, 0x2b55:
		return false
	}
	return r < 0x2648 || r > 0x2653 // the zodiac
}
