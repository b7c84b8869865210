package public

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

const document = "text/html,application/xhtml+xml,*/*;q=0.8" // what browsers accept as one

// told is a message as a relay tells it.
func told(seq int, from, text string) string {
	quote := func(s string) []byte {
		b, _ := json.Marshal(s) // a string
		return b
	}
	return fmt.Sprintf(`{"room":"harbour","seq":%d,"id":"m%d","from":{"id":%s,"name":%s,"guest":true},"at":%d,"data":{"text":%s},"offset":"e.%d.%d.d"}`,
		seq, seq, quote("~"+from), quote(from), 1_700_000_000_000+int64(seq)*1000, quote(text), seq, seq)
}

// pageWith is a page of which the rooms have these messages.
func pageWith(t *testing.T, newest func(r *http.Request, room string) []byte) page {
	t.Helper()
	p := sample(t)
	body := []byte("<html>" + emptyList + "</html>")
	p.index.identity = func() ([]byte, error) { return body, nil }
	p.fresh = newFreshPages(p.index, newest)
	return p
}

func TestMarkupHasAPlaceForMessages(t *testing.T) {
	source, err := os.ReadFile("index.html")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), emptyList); n != 1 {
		t.Errorf("index.html has %d of %s", n, emptyList)
	}
}

// People see the newest messages of the room in the address, in every encoding; programs the page alone.
func TestPageHasMessages(t *testing.T) {
	asked := ""
	p := pageWith(t, func(_ *http.Request, room string) []byte {
		asked = room
		return []byte("[" + told(1, "Asha", "one") + "," + told(2, "Asha", "two https://example.com/x") + "," + told(3, "Ben", "🎉") + "]")
	})
	for _, encoding := range []string{"", "gzip", "br"} {
		r := ask(p, "GET", "/r/harbour", "Accept", document, "Accept-Encoding", encoding)
		got := unpacked(t, r)
		for _, want := range []string{
			`data-served="harbour"`, `<div class="message head" role="article" data-id="m1" data-author="~Asha"`, `<span class="text">one</span>`, `<div class="message tail"`,
			`two <a href="https://example.com/x" rel="noopener noreferrer nofollow" target="_blank">https://example.com/x</a>`,
			`<div class="message head tail large"`, `datetime="2023-11-14T22:13:21.000Z"`,
		} {
			if !strings.Contains(got, want) {
				t.Errorf("by %q: no %s in %s", encoding, want, got)
			}
		}
		if asked != "harbour" || r.Header.Get("Content-Encoding") != encoding || r.Header.Get("Cache-Control") != "private, no-cache" || r.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("by %q: of %q, %v", encoding, asked, r.Header)
		}
		tag := r.Header.Get("ETag")
		if again := ask(p, "GET", "/r/harbour", "Accept", document, "Accept-Encoding", encoding, "If-None-Match", tag); again.StatusCode != 304 {
			t.Errorf("by %q: %d of what is there already", encoding, again.StatusCode)
		}
	}
	for _, accept := range []string{"", "*/*", "application/json"} {
		if got := text(t, ask(p, "GET", "/r/harbour", "Accept", accept)); strings.Contains(got, "data-served") {
			t.Errorf("who accepts %q got %s", accept, got)
		}
	}
	for path, want := range map[string]string{"/": "lobby", "/?room=a%2Fb": "a/b", "/r/a%20b": "a b", "/r/%E2%9C%93": "✓"} {
		asked = ""
		got := text(t, ask(p, "GET", path, "Accept", document))
		if asked != want || strings.Contains(got, "data-assumed") != (path == "/") {
			t.Errorf("%s is of %q: %s", path, asked, got)
		}
	}
}

// A page goes without messages if there are none to show, for whatever reason.
func TestPageWithoutMessages(t *testing.T) {
	for _, none := range []string{"", "[]", "{", `[{"seq":"x"}]`} {
		p := pageWith(t, func(*http.Request, string) []byte { return []byte(none) })
		r := ask(p, "GET", "/r/harbour", "Accept", document)
		if got := text(t, r); got != "<html>"+emptyList+"</html>" || r.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("of %q: %s, %v", none, got, r.Header)
		}
	}
}

var tag = regexp.MustCompile(`<[^>]*>`)

// Nothing that others have written, or that an address says, is markup.
func TestMessagesAreText(t *testing.T) {
	hostile := []string{
		`<script>pwned(1)</script>`, `"><img src=x onerror=pwned(1)>`, `' onmouseover='pwned(1)`, `</div></body><script src=//evil.example>`, `javascript:pwned(1)`,
		`https://example.com/"onclick="pwned(1)`, `https://example.com/<svg onload=pwned(1)>`, "&lt;b&gt;", "{{.Room}}", "<!--", "\u202eabc", "a\x00b",
	}
	var all []string
	for i, h := range hostile {
		all = append(all, told(i+1, h, h))
	}
	p := pageWith(t, func(*http.Request, string) []byte { return []byte("[" + strings.Join(all, ",") + "]") })
	for _, path := range []string{"/r/x", "/r/%22%3E%3Cscript%3Epwned(1)%3C%2Fscript%3E", "/?room=%3Cimg%20src%3Dx%20onerror%3Dpwned(1)%3E"} {
		got := text(t, ask(p, "GET", path, "Accept", document))
		if n := strings.Count(got, `role="article"`); n != len(hostile) {
			t.Errorf("%s: %d messages", path, n)
		}
		for _, m := range tag.FindAllString(got, -1) {
			name := strings.Trim(strings.Fields(strings.Trim(m, "</>"))[0], "/")
			if !strings.Contains(" html div span bdi a time ", " "+name+" ") || strings.Contains(name, "script") {
				t.Errorf("%s: %s", path, m)
			}
		}
		if outside := tag.ReplaceAllString(got, ""); strings.ContainsAny(outside, "<>") {
			t.Errorf("%s: not escaped: %s", path, outside)
		}
		if regexp.MustCompile(`<[^>]* on[a-z]+=[^&]`).MatchString(regexp.MustCompile(`"[^"]*"`).ReplaceAllString(got, `""`)) {
			t.Errorf("%s: a handler in %s", path, got)
		}
		if strings.Contains(got, "\u202e") && strings.Contains(got, "<bdi>\u202e") {
			t.Error("a name turns the direction")
		}
	}
}

// What is served is bounded in messages and bytes, the newest first.
func TestServedIsBounded(t *testing.T) {
	var all []string
	for i := range 50 {
		all = append(all, told(i+1, "Asha", fmt.Sprint("text ", i+1)))
	}
	got := string(writeRows("harbour", false, []byte("["+strings.Join(all, ",")+"]")))
	if n := strings.Count(got, `role="article"`); n != servedMessages || !strings.Contains(got, ">text 50<") {
		t.Errorf("%d messages", n)
	}
	all = nil
	for i := range 4 {
		all = append(all, told(51+i, "Ben", strings.Repeat("x", servedText/2-100)))
	}
	got = string(writeRows("harbour", false, []byte("["+strings.Join(all, ",")+","+told(60, "Ben", "last")+"]")))
	if len(got) > servedText+10_000 || !strings.Contains(got, ">last<") {
		t.Errorf("%d bytes", len(got))
	}
}

// However many people ask, a room is read once in a while, and the pages that are kept are bounded.
func TestPagesAreKeptForAMoment(t *testing.T) {
	reads := map[string]int{}
	p := pageWith(t, func(_ *http.Request, room string) []byte {
		reads[room]++
		return []byte("[" + told(1, "Asha", "one") + "]")
	})
	now := time.Now()
	p.fresh.now = func() time.Time { return now }
	for range 10 {
		ask(p, "GET", "/r/harbour", "Accept", document)
	}
	if reads["harbour"] != 1 {
		t.Errorf("read %d times", reads["harbour"])
	}
	now = now.Add(freshFor)
	ask(p, "GET", "/r/harbour", "Accept", document)
	if reads["harbour"] != 2 {
		t.Errorf("read %d times, after a while", reads["harbour"])
	}
	for i := range 2 * maxFresh {
		ask(p, "GET", fmt.Sprint("/r/", i), "Accept", document)
	}
	if n := len(p.fresh.pages); n > maxFresh || len(reads) > maxFresh {
		t.Errorf("%d pages are kept, of %d reads", n, len(reads))
	}
	now = now.Add(freshFor)
	if got := text(t, ask(p, "GET", "/r/another", "Accept", document)); !strings.Contains(got, "data-served") {
		t.Error("old pages leave no room for new ones")
	}
}

func BenchmarkPageWithMessages(b *testing.B) {
	var all []string
	for i := range servedMessages {
		all = append(all, told(i+1, "Asha", strings.Repeat("some words of a message ", 5)))
	}
	list := []byte("[" + strings.Join(all, ",") + "]")
	index, err := os.ReadFile("index.html")
	if err != nil {
		b.Fatal(err)
	}
	f := newFreshPages(&asset{identity: func() ([]byte, error) { return index, nil }}, func(*http.Request, string) []byte { return list })
	for _, encoding := range []string{"", "gzip", "br"} {
		b.Run("encoding "+encoding, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				a := f.make(&http.Request{}, "harbour", false, encoding)
				n = len(a.encoded[encoding])
			}
			b.ReportMetric(float64(n), "bytes/page")
		})
	}
}

// What a message is, beside its words, stands in the page as the program writes it.
func TestPageHasKindsOfMessages(t *testing.T) {
	const picture = "iVBORw0KGgoAAAANSUhEUgAAAoAAAAHgCAYAAAA" // 640 by 480
	message := func(seq int, data string) string {
		return fmt.Sprintf(`{"seq":%d,"id":"m%d","from":{"id":"~b","name":"Ben","guest":true},"at":%d,"data":%s,"offset":"e.%d"}`, seq, seq, 1_700_000_000_000+seq, data, seq)
	}
	p := pageWith(t, func(*http.Request, string) []byte {
		return []byte("[" + strings.Join([]string{
			message(1, `{"text":"**<b>** *i* @Ben `+"`c`"+` **https://example.com/**\n`+"```go\\nx < y\\n```"+`","mentions":[{"id":"~b","name":"Ben"}]}`),
			message(2, `{"text":"yes","reply":{"offset":"e.1","seq":1,"from":"~b","name":"Mallory","excerpt":"<lies>"}}`),
			message(3, `{"image":{"data":{"$binary":"`+picture+`"},"alt":"<x>"}}`),
			message(4, `{"file":{"$binary":"`+strings.Repeat("AAAA", 20_000)+`"}}`),
		}, ",") + "]")
	})
	got := text(t, ask(p, "GET", "/r/harbour", "Accept", document))
	for _, want := range []string{
		`<strong>&lt;b&gt;</strong> <em>i</em> <span class="mention">@Ben</span> <code>c</code> <strong><a href="https://example.com/"`,
		`<pre class="code-block" data-language="go"><code>x &lt; y</code></pre>`,
		`<bdi class="quote-name">Ben</bdi><bdi class="quote-text">&lt;b&gt; i @Ben c https://example.com/ x &lt; y</bdi>`,
		`<svg width="360" height="270"></svg>`, `<span>File, 60 kB</span>`, `picture-only`, `file-only`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
}
