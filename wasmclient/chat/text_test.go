package chat

import (
	"encoding/base64"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestBody(t *testing.T) {
	for _, c := range []struct {
		name, data string
		want       Body
	}{
		{"the page's own", `{"text":"hello"}`, Body{Text: "hello"}},
		{"with more beside it", `{"text":"a\r\nb","html":"<b>"}`, Body{Text: "a\nb"}},
		{"controls go", `{"text":"a\u0000\u001b[31mb\n\n"}`, Body{Text: "a[31mb"}},
		{"nothing at all", `{"text":""}`, Body{}},
		{"nothing to see", `{"text":"\u200b\n\u2800\u0301 \ufe0f\u3164"}`, Body{}},
		{"another shape", `{"a":1}`, Body{Text: "{\n  \"a\": 1\n}", Kind: BodyUnknown}},
		{"text of another type", `{"text":1}`, Body{Text: "{\n  \"text\": 1\n}", Kind: BodyUnknown}},
		{"a string", `"x"`, Body{Text: `"x"`, Kind: BodyUnknown}},
		{"null", `null`, Body{Text: `null`, Kind: BodyUnknown}},
		{"not JSON", `{`, Body{Text: `{`, Kind: BodyUnknown}},
		{"not UTF-8", "\"\xff\"", Body{Text: "\"\uFFFD\"", Kind: BodyUnknown}},
	} {
		if got := bodyOf(&Message{Data: []byte(c.data)}); !got.Same(&c.want) {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
	if got := bodyOf(&Message{Data: []byte(`["` + strings.Repeat("é", maxRawText) + `"]`)}); got.Kind != BodyUnknown || len(got.Text) > maxRawText+8 {
		t.Errorf("long data is not cut: %d bytes", len(got.Text))
	}
}

func TestSegments(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string // links are in brackets
	}{
		{"", nil},
		{"plain", []string{"plain"}},
		{"see https://a.example.", []string{"see ", "[https://a.example]", "."}},
		{"(https://a.example/x_(y))", []string{"(", "[https://a.example/x_(y)]", ")"}},
		{"HTTP://A.example/?q=1&r=2#f, yes", []string{"[HTTP://A.example/?q=1&r=2#f]", ", yes"}},
		{`https://a.example/"onmouseover="x`, []string{"[https://a.example/]", `"onmouseover="x`}},
		{"javascript:alert(1) data:text/html,x ftp://a", []string{"javascript:alert(1) data:text/html,x ftp://a"}},
		{"https:// http://. https://", []string{"https:// http://. https://"}},
		{"xhttps://a.example", []string{"xhttps://a.example"}},
		{"https://a.example/\u202egpj.exe", []string{"[https://a.example/]", "\u202egpj.exe"}},
		{"https://a.example\nhttps://b.example", []string{"[https://a.example]", "\n", "[https://b.example]"}},
		{"http://[::1]:80/x", []string{"[http://[::1]:80/x]"}},
		{"<https://a.example>", []string{"<", "[https://a.example]", ">"}},
		{"نعم https://a.example، لا", []string{"نعم ", "[https://a.example]", "، لا"}},
	} {
		var got []string
		whole := ""
		for _, s := range Segments(c.text) {
			whole += s.Text
			if s.Href != "" {
				if s.Href != s.Text {
					t.Errorf("%q: a link leads to %q", s.Text, s.Href)
				}
				s.Text = "[" + s.Text + "]"
			}
			got = append(got, s.Text)
		}
		if whole != c.text {
			t.Errorf("%q lost something: %q", c.text, whole)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

func FuzzSegments(f *testing.F) {
	f.Add("see https://a.example/(x). http://")
	f.Fuzz(func(t *testing.T, text string) {
		whole := ""
		for _, s := range Segments(text) {
			whole += s.Text
			if lower := strings.ToLower(s.Href); s.Href != "" && !strings.HasPrefix(lower, "http://") && !strings.HasPrefix(lower, "https://") {
				t.Errorf("%q became a link", s.Href)
			}
		}
		if whole != text {
			t.Errorf("%q became %q", text, whole)
		}
	})
}

func TestEmojiOnly(t *testing.T) {
	for text, want := range map[string]bool{
		"🎉": true, "🎉🌉": true, "👩‍👩‍👧‍👦": true, "🇩🇪 🇮🇳": true, "👍🏽": true, "1️⃣": true, "❤️": true, "⭐": true, "🏴󠁧󠁢󠁳󠁣󠁴󠁿": true,
		"": false, " ": false, "a": false, "🎉!": false, "12": false, "❤": false, "🇩": false, "🎉🎉🎉🎉🎉🎉🎉": false, "→": false,
	} {
		if EmojiOnly(text) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"Asha": "A", "asha rao": "AR", "Ana María de la Cruz": "AC", "guest-ab12": "GA", "🦊 Fox": "🦊",
		"Żółć 🦊": "Ż", "مريم": "م", "": "?", "...": "?", "👩‍🚀": "👩‍🚀", "ß": "ß",
	} {
		if got := Monogram(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	if got := CleanName("  A\tsha\n\x00Rao "); got != "A sha Rao" {
		t.Errorf("got %q", got)
	}
	if got := CleanName("\u200b \u2800"); got != "" {
		t.Errorf("a name with nothing to see: %q", got)
	}
	if got := Length(CleanName(strings.Repeat("é", 100))); got != MaxName {
		t.Errorf("a long name has %d characters", got)
	}
	used := map[int]bool{}
	for _, id := range strings.Split("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "") {
		h := Hue(id)
		if h < 0 || h >= Hues || h != Hue(id) {
			t.Fatalf("hue %d", h)
		}
		used[h] = true
	}
	if len(used) < Hues*3/4 {
		t.Errorf("52 ids share %d hues", len(used))
	}
}

func TestAddress(t *testing.T) {
	for room, want := range map[string]string{
		"lobby": "/r/lobby", "a b#c?d": "/r/a%20b%23c%3Fd", "é": "/r/%C3%A9",
		"..": "/?room=..", "a/b": "/?room=a%2Fb", `a\b`: "/?room=a%5Cb", "100%": "/r/100%25", "a+b": "/r/a%2Bb",
	} {
		got := RoomAddress(room)
		if got != want {
			t.Errorf("%q: got %q, want %q", room, got, want)
		}
		path, query, _ := strings.Cut(got, "?")
		if back := RoomAt(path, query); back != room {
			t.Errorf("%q came back as %q", room, back)
		}
	}
	for typed, want := range map[string]string{
		" #lobby ": "lobby", "a\nb": "ab", "": "", "#": "", strings.Repeat("é", 150): strings.Repeat("é", 100),
	} {
		if got := CleanRoom(typed); got != want {
			t.Errorf("%q: got %q, want %q", typed, got, want)
		}
	}
	if got := RoomAt("/", "?x=1&room=a+b"); got != "a b" {
		t.Errorf("got %q", got)
	}
	if got := RoomAt("/r/%zz%", ""); got != "%zz%" {
		t.Errorf("got %q", got)
	}
}

func TestOwner(t *testing.T) {
	token := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
	}
	for given, want := range map[string]string{
		"": "", token(`{"sub":"asha","exp":1}`): "user/asha", token(`{"sub":"Ásha","Sub":"ben","name":"x"}`): "user/Ásha",
		token(`{"Sub":"ben"}`): "user/", token(`{"sub":7}`): "user/", token(`[`): "user/", "nonsense": "user/", "a.%.c": "user/",
	} {
		if got := Owner(given); got != want {
			t.Errorf("%s: got %q, want %q", given, got, want)
		}
	}
}

func TestSaved(t *testing.T) {
	s := Saved{Room: "r", ID: "1", Text: "x \"y\"", At: 5, Reason: "why", Owner: "user/asha"}
	if got, ok := DecodeSaved(s.Encode()); !ok || !reflect.DeepEqual(got, s) {
		t.Errorf("got %+v", got)
	}
	for _, bad := range []string{"", "{", "null", `{"room":"","id":"1","text":"x"}`, `{"room":"a\nb","id":"1","text":"x"}`} {
		if _, ok := DecodeSaved(bad); ok {
			t.Errorf("%q was taken", bad)
		}
	}
	if got := DecodeRooms(`["a","a","","b\n","c"]`); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("got %q", got)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 100000: "100,000", 1234567: "1,234,567"} {
		if got := Thousands(n); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWithRoom(t *testing.T) {
	for _, c := range []struct {
		stored, room string
		in           bool
		want         string
	}{
		{``, "a", true, `["a"]`},
		{`["a","b"]`, "c", true, `["a","b","c"]`},
		{`["a","b"]`, "b", true, `["a","b"]`},
		{`["a","b"]`, "a", false, `["b"]`},
		{`{"x":1}`, "a", false, `[]`},
	} {
		got := WithRoom(c.stored, c.room, c.in)
		if len(DecodeRooms(got)) == 0 && c.want == `[]` {
			continue
		}
		if got != c.want {
			t.Errorf("%s with %s, %v: %s", c.stored, c.room, c.in, got)
		}
	}
}

func TestSeen(t *testing.T) {
	for text, want := range map[string][2]int64{
		EncodeSeen(7, 1767225600000): {7, 1767225600000}, "41": {41, 0}, "": {}, "x y": {}, "-4 -5": {},
	} {
		if seq, at := DecodeSeen(text); seq != want[0] || at != want[1] {
			t.Errorf("%q: %d, %d", text, seq, at)
		}
	}
}

func TestLeftText(t *testing.T) {
	for n, want := range map[int]string{
		0: "Left quay", 1: "Left quay. 1 message is not sent; it is kept until you are back.",
		2: "Left quay. 2 messages are not sent; they are kept until you are back.",
	} {
		if got := LeftText("quay", n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}
