package chat

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// partsOf returns a text's parts, each as how it is shown and what is seen of it.
func partsOf(segments []Segment) (out []string) {
	for _, s := range segments {
		if s.Style&Mark != 0 {
			continue
		}
		kind := ""
		for i, name := range []string{"b", "i", "c", "C"} {
			if s.Style&(1<<i) != 0 {
				kind += name
			}
		}
		if s.Href != "" {
			kind += "a"
		}
		if s.Style&Mention != 0 {
			kind += "@"
		}
		if s.Language != "" {
			kind += "(" + s.Language + ")"
		}
		if kind != "" {
			kind += ":"
		}
		out = append(out, kind+s.Text)
	}
	return out
}

func wholeOf(segments []Segment) (whole string) {
	for _, s := range segments {
		whole += s.Text
	}
	return whole
}

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"plain", []string{"plain"}},
		{"a **b** c", []string{"a ", "b:b", " c"}},
		{"*a* and _b_", []string{"i:a", " and ", "i:b"}},
		{"**a *b* c**", []string{"b:a ", "bi:b", "b: c"}},
		{"**a *b** c*", []string{"b:a *b", " c*"}},
		{"*a *b*", []string{"*a ", "i:b"}},
		{"(**a**), _b_.", []string{"(", "b:a", "), ", "i:b", "."}},
		{"这是**重要**的", []string{"这是", "b:重要", "的"}},
		{"2*3*4 a_b_c 2**3**4 f(*a, *b)", []string{"2*3*4 a_b_c 2**3**4 f(*a, *b)"}},
		{"* one\n* two *\n- a\n1. b", []string{"* one\n* two *\n- a\n1. b"}},
		{"*a\nb*", []string{"*a\nb*"}},
		{"** a** ****** ***a*** __init__ *", []string{"** a** ****** ***a*** __init__ *"}},
		{"run `go **x** https://a.example` now", []string{"run ", "c:go **x** https://a.example", " now"}},
		{"**bold `code` bold**", []string{"b:bold ", "bc:code", "b: bold"}},
		{"``a`b`` and `c", []string{"c:a`b", " and `c"}},
		{"` ` and ```` x ````", []string{"` ` and ```` x ````"}},
		{"see **https://a.example/*x*/_y_**", []string{"see ", "ba:https://a.example/*x*/_y", "b:_"}},
		{"see **https://a.example/x **", []string{"see **", "a:https://a.example/x", " **"}},
		{"a **https://a.example** b", []string{"a ", "ba:https://a.example", " b"}},
		{"x\n```go\nfunc main() {\n\t*p = **q\n}\n```\ny", []string{"x\n", "C(go):func main() {\n\t*p = **q\n}", "y"}},
		{"```\na\n```", []string{"C:a"}},
		{"```\na\n```b\n```  \nc", []string{"C:a\n```b", "c"}},
		{"```\nnever ends\n", []string{"```\nnever ends\n"}},
		{"```two words\na\n```", []string{"```two words\na\n```"}},
		{"```\n \n```", []string{"```\n \n```"}},
		{"```x```", []string{"c:x"}},
		{"hi @Ben Ōkawa, @Ben and a@Ben.example @Benjamin", []string{"hi ", "@:@Ben Ōkawa", ", ", "@:@Ben", " and a@Ben.example @Benjamin"}},
		{"**@Ben** `@Ben`", []string{"b@:@Ben", " ", "c:@Ben"}},
		{"**\u200b**", []string{"**\u200b**"}},
		{"`\u2800`", []string{"`\u2800`"}},
	} {
		got := Format(c.text, []string{"Ben", "Ben Ōkawa", ""})
		if shown := partsOf(got); !slices.Equal(shown, c.want) {
			t.Errorf("%q: got %q, want %q", c.text, shown, c.want)
		}
		if whole := wholeOf(got); whole != c.text {
			t.Errorf("%q became %q", c.text, whole)
		}
	}
}

func TestFormatIsBounded(t *testing.T) {
	for _, text := range []string{strings.Repeat("*a* ", 5000), strings.Repeat("**a *b ", 5000), strings.Repeat("https://a.example `x` ", 400)} {
		got := Format(text, nil)
		if len(got) > maxSegments+100 || wholeOf(got) != text {
			t.Errorf("%.20q: %d parts", text, len(got))
		}
		links := 0
		for _, s := range got {
			if s.Href != "" {
				links++
			}
		}
		if links > maxLinks {
			t.Errorf("%.20q: %d links", text, links)
		}
	}
}

func FuzzFormat(f *testing.F) {
	for _, seed := range []string{"**a *b* `c` @Ben** https://a.example/*x*", "```go\n*x*\n```\n_y_", "`` ` ``", "***a** b*", "@Ben@Ben"} {
		f.Add(seed, "Ben")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		got := Format(text, []string{name})
		if whole := wholeOf(got); whole != text {
			t.Errorf("%q became %q", text, whole)
		}
		if isBlank(ShownText(got)) && !isBlank(text) {
			t.Errorf("nothing is seen of %q", text)
		}
		for _, s := range got {
			if lower := strings.ToLower(s.Href); s.Href != "" && (s.Href != s.Text || !strings.HasPrefix(lower, "http://") && !strings.HasPrefix(lower, "https://")) {
				t.Errorf("%q became a link", s.Href)
			}
			// A mark is nothing that somebody has to say, but for a language, which is shown.
			if rest := strings.Trim(s.Text, "*_` \n"); s.Style&Mark != 0 && rest != "" && !isLanguage(rest) {
				t.Errorf("%q is not shown", s.Text)
			}
		}
	})
}

// The worst texts take time in proportion to their length.
func BenchmarkFormat(b *testing.B) {
	for name, unit := range map[string]string{"stars": "*a **b ", "ticks": "`a``b```c", "fences": "```\n", "opened": "```go\nx\n", "links": "https://a.example/(", "mentions": "@Be"} {
		for _, size := range []int{10_000, 100_000} {
			text := strings.Repeat(unit, size/len(unit))
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				for b.Loop() {
					Format(text, []string{"Ben", "Bea"})
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(text)), "ns/byte")
			})
		}
	}
}
