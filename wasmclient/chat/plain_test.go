package chat

import (
	"strings"
	"testing"
	"time"
)

func TestShown(t *testing.T) {
	for name, want := range map[string]string{
		"Asha": "Asha", "": noName, "\u200b\u2060": noName, " \u3164\u2800": noName, "\u202eevil\u202c": "evil", "a\u2069b": "ab",
		"\u200d\u0301": noName, "\ufe0f": noName, "\U000e0067\U000e007f": noName, "\u2065\ufff0": noName, "\U0001d159": noName, "שלום": "שלום", "👩\u200d👧": "👩\u200d👧", "a\x1b[0m": "a[0m", "z\u0301\u0302": "z\u0301\u0302",
	} {
		if got := Shown(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

func TestBlankTextsAreNotSent(t *testing.T) {
	for typed, want := range map[string]string{
		"\u200b\u200d\u2060\ufeff": "", "\u2800\n\u2800": "", "\u0301\u0302": "", "\u00ad\u180e": "", "\u034f\u17b4": "",
		" \u200bx\u200b ": "\u200bx\u200b", "\u00a8": "\u00a8", "👩\u200d👧": "👩\u200d👧", "हि": "हि", ".": ".",
	} {
		if got := Clean(typed); got != want {
			t.Errorf("%q: got %q, want %q", typed, got, want)
		}
	}
}

func TestLooksLikeAnother(t *testing.T) {
	for host, want := range map[string]bool{
		"example.com": false, "example.com:8080": false, "xn--pple-43d.com": false, "münchen.example": false, "пример.рф": false,
		"例え.jp": false, "東京tokyo.jp": false, "서울.kr": false, "παράδειγμα.gr": false, "[::1]:80": false, "a_b.example": false, "שלום.il": false,
		"аpple.com": true, "аррӏе.com": true, "gооgle.com": true, "googlе.com": true, "ｇoogle.com": true, "google.com∕x.evil": true,
		"ο.gr": true, "goog\u200cle.com": true, "example。com": true, "ρaypal.com": true, "mіcrosoft.com": true, "ԁо.com": true,
	} {
		if LooksLikeAnother(host) != want {
			t.Errorf("%q: want %v", host, want)
		}
	}
}

// What somebody sends must not keep the page busy.
func TestLinksOfHostileTexts(t *testing.T) {
	for _, text := range []string{
		"https://a" + strings.Repeat(")", 200_000),
		"https://a/" + strings.Repeat("(.", 100_000),
		strings.Repeat("http://.", 50_000),
		strings.Repeat("https://a.example ", 20_000),
		strings.Repeat("h", 200_000),
	} {
		start := time.Now()
		segments := Segments(text)
		if took := time.Since(start); took > 2*time.Second || len(segments) > 2*maxLinks+1 {
			t.Errorf("%.20q…: %d segments in %v", text, len(segments), took)
		}
	}
	for _, text := range []string{"https://google.com@evil.example/", "https://a:b@evil.example"} {
		if segments := Segments(text); len(segments) != 1 || segments[0].Href != "" {
			t.Errorf("%q is a link", text)
		}
	}
}
