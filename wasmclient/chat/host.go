package chat

import (
	"strings"
	"unicode"
)

// Host returns what stands between the scheme and the path of a link: the host, and perhaps a port.
func Host(link string) string {
	_, rest, _ := strings.Cut(link, "://")
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	return rest
}

// LooksLikeAnother reports whether a host may pass for another one to the eye: a part of it mixes
// scripts, has only letters that look like Latin ones, or has what are no letters at all. Such a host
// is to be shown as browsers encode it (xn--…).
func LooksLikeAnother(host string) bool {
	for _, part := range strings.FieldsFunc(host, func(r rune) bool { return r == '.' }) {
		if partLooksLikeAnother(part) {
			return true
		}
	}
	return false
}

// Groups of scripts. Those of one group are written together, and Latin beside Chinese, Japanese and
// Korean.
const (
	groupLatin = iota
	groupGreek
	groupCyrillic
	groupArmenian
	groupHebrew
	groupArabic
	groupCJK
	groupOther
)

// lookalikes are letters that look like Latin ones.
const lookalikes = "асԁеһіјкӏмнортԛѕԝхуѵьгп" + "αγικνορτυχω" + "օսհոցզ"

func partLooksLikeAnother(part string) bool {
	seen := 0 // a bit for each group
	foreign, different := false, false
	for _, r := range part {
		if r < unicode.MaxASCII {
			if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
				seen |= 1 << groupLatin
			}
			continue
		}
		if !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) || r >= 0xff00 && r < 0xfff0 {
			return true
		}
		foreign = true
		different = different || !strings.ContainsRune(lookalikes, unicode.ToLower(r))
		if !unicode.IsMark(r) {
			seen |= 1 << groupOf(r)
		}
	}
	mixed := seen&(seen-1) != 0 && seen != 1<<groupLatin|1<<groupCJK
	return foreign && (mixed || !different)
}

// groupOf tells scripts apart by the blocks of Unicode: tables would take more room in the page.
func groupOf(r rune) int {
	switch {
	case r < 0x370 || r >= 0x1e00 && r < 0x1f00:
		return groupLatin
	case r < 0x400 || r >= 0x1f00 && r < 0x2000:
		return groupGreek
	case r < 0x530:
		return groupCyrillic
	case r < 0x590:
		return groupArmenian
	case r < 0x600:
		return groupHebrew
	case r < 0x780:
		return groupArabic
	case r >= 0x1100 && r < 0x1200 || r >= 0x2e80 && r < 0xd800 || r >= 0x20000:
		return groupCJK
	}
	return groupOther
}
