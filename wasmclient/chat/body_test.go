package chat

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// pngOf is the beginning of a PNG that claims this size.
func pngOf(width, height uint32) []byte {
	b := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR")
	b = binary.BigEndian.AppendUint32(b, width)
	return binary.BigEndian.AppendUint32(b, height)
}

func TestPictureOf(t *testing.T) {
	webp := func(chunk string, rest ...byte) []byte {
		b := append([]byte("RIFF\x00\x00\x00\x00WEBP"+chunk+"\x00\x00\x00\x00"), rest...)
		return append(b, make([]byte, 30)...)
	}
	for name, c := range map[string]struct {
		data          []byte
		kind          string
		width, height int
	}{
		"PNG":                {pngOf(640, 480), "image/png", 640, 480},
		"GIF":                {[]byte("GIF89a\x40\x01\xf0\x00"), "image/gif", 320, 240},
		"JPEG":               {[]byte("\xff\xd8\xff\xe0\x00\x04xx\xff\xff\xc0\x00\x11\x08\x00\xf0\x01\x40\x03"), "image/jpeg", 320, 240},
		"WebP":               {webp("VP8 ", 0, 0, 0, 0x9d, 1, 0x2a, 0x40, 1, 0xf0, 0), "image/webp", 320, 240},
		"WebP, lossless":     {webp("VP8L", 0x2f, 0x3f, 0xc1, 0x3b, 0), "image/webp", 320, 240},
		"WebP, extended":     {webp("VP8X", 0, 0, 0, 0, 0x3f, 1, 0, 0xef, 0, 0), "image/webp", 320, 240},
		"nothing":            {nil, "", 0, 0},
		"SVG":                {[]byte(`<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>`), "", 0, 0},
		"HTML":               {[]byte("<script>"), "", 0, 0},
		"no size":            {pngOf(0, 480), "", 0, 0},
		"cut PNG":            {pngOf(640, 480)[:20], "", 0, 0},
		"cut JPEG":           {[]byte("\xff\xd8\xff\xe0\xff\xff"), "", 0, 0},
		"JPEG without size":  {[]byte("\xff\xd8\xff" + strings.Repeat("\xff", 100)), "", 0, 0},
		"WebP of which part": {[]byte("RIFF\x00\x00\x00\x00WEBPVP8X"), "", 0, 0},
	} {
		p := PictureOf(c.data)
		switch {
		case p == nil && c.kind == "":
		case p == nil || p.Type != c.kind || p.Width != c.width || p.Height != c.height:
			t.Errorf("%s: got %+v", name, p)
		}
	}
}

// A text that stands alone is read without decoding JSON, and as the same with a space before it, which is
// decoded.
func FuzzTextAlone(f *testing.F) {
	for _, data := range []string{`{"text":"good morning"}`, `{"text":""}`, `{"text":"a\"b"}`, `{"text":"}`, `{"text":"a","x":"b"}`,
		`{"text":"\u0041"}`, "{\"text\":\"\xff\"}", "{\"text\":\"\n\"}", `{"text":"\u2028 世界"}`, `{"Text":"a"}`} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, ok := textAlone(data); !ok {
			return
		}
		got, want := bodyOf(&Message{Data: data}), bodyOf(&Message{Data: append([]byte(" "), data...)})
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", data, got, want)
		}
	})
}

func FuzzPictureOf(f *testing.F) {
	f.Add(pngOf(1, 1))
	f.Add([]byte("\xff\xd8\xff\xe0\x00\x04xx\xff\xc0\x00\x11\x08\x00\xf0\x01\x40\x03"))
	f.Add([]byte("RIFF\x00\x00\x00\x00WEBPVP8L\x00\x00\x00\x00\x2f\x3f\xc1\x3b\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := PictureOf(data)
		if p == nil {
			return
		}
		if w, h := p.InList(); p.Width < 1 || p.Height < 1 || w < leastInList || h < leastInList || w > listWidth || h > listHeight {
			t.Errorf("%d by %d stands at %d by %d", p.Width, p.Height, w, h)
		}
		if p.Shown() && p.Width*p.Height > maxPixels {
			t.Errorf("%d by %d is shown", p.Width, p.Height)
		}
	})
}

func TestLook(t *testing.T) {
	for name, c := range map[string]struct {
		head []byte
		size int
		want string
	}{
		"a photograph":    {pngOf(6000, 4000), 20_000_000, ""},
		"a small GIF":     {[]byte("GIF89a\x40\x01\xf0\x00"), 5000, "as it is"},
		"a large GIF":     {[]byte("GIF89a\x40\x01\xf0\x00"), 500_000, ""},
		"no picture":      {[]byte("hello"), 5, "Only pictures can be sent: WebP, PNG, JPEG or GIF"},
		"too many bytes":  {pngOf(10, 10), 60 << 20, "That picture is too large: 63 MB of at most 52 MB"},
		"too many pixels": {pngOf(100_000, 100_000), 99, "That picture is too large: 100,000 by 100,000 pixels"},
	} {
		if got := Look(c.head, c.size); got != c.want {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestBodyKinds(t *testing.T) {
	picture, none := pngOf(640, 480), []byte("<svg/>")
	message := func(data string, attachments ...[]byte) *Message {
		return &Message{Data: []byte(data), Attachments: attachments}
	}
	for name, c := range map[string]struct {
		m       *Message
		kind    BodyKind
		text    string
		excerpt string
		class   string
	}{
		"a text":                     {message(`{"text":"**a** b"}`), BodyText, "**a** b", "a b", ""},
		"emoji":                      {message(`{"text":"🎉"}`), BodyText, "🎉", "🎉", "large"},
		"emoji in answer":            {message(`{"text":"🎉","reply":{"offset":"x"}}`), BodyText, "🎉", "🎉", ""},
		"bad things beside it":       {message(`{"text":"a","reply":7,"mentions":{},"image":[]}`), BodyText, "a", "a", ""},
		"a picture":                  {message(`{"image":{"data":{"_placeholder":true,"num":0},"alt":" a \n b "}}`, picture), BodyPicture, "", "Picture: a b", "picture-only"},
		"with a text":                {message(`{"text":"see","image":{}}`, picture), BodyPicture, "see", "see", ""},
		"the second attachment":      {message(`{"image":{"data":{"num":1}}}`, none, picture), BodyPicture, "", "Picture", "picture-only"},
		"no such attachment":         {message(`{"image":{"data":{"num":-5}}}`, picture), BodyPicture, "", "Picture", "picture-only"},
		"nonsense for a picture":     {message(`{"image":"javascript:x"}`, picture), BodyPicture, "", "Picture", "picture-only"},
		"what is no picture":         {message(`{"text":"see","image":{}}`, none), BodyFile, "see", "see", ""},
		"a picture of gigabytes":     {message(`{"image":{}}`, pngOf(100_000, 100_000)), BodyFile, "", "File", "file-only"},
		"a picture of 64 megapixels": {message(`{"image":{}}`, pngOf(8000, 8000)), BodyFile, "", "File", "file-only"},
		"a picture without bytes":    {message(`{"text":"see","image":{}}`), BodyText, "see", "see", ""},
		"another's attachments":      {message(`{"picture":{"_placeholder":true,"num":0}}`, picture), BodyFile, "", "File", "file-only"},
		"another's, with a text":     {message(`{"text":"see","picture":{"_placeholder":true,"num":0}}`, picture), BodyText, "see", "see", ""},
		"another's data":             {message(`{"a":1}`), BodyUnknown, "{\n  \"a\": 1\n}", "data", "raw"},
		"a text of which none is":    {message(`{"text":"\u200b"}`), BodyText, "", "", "blank"},
		"a long text, to be quoted":  {message(`{"text":"` + strings.Repeat("ab ", 200) + `"}`), BodyText, strings.Repeat("ab ", 200), strings.TrimSpace(strings.Repeat("ab ", 47)[:140]) + "…", ""},
	} {
		b := bodyOf(c.m)
		if b.Kind != c.kind || strings.TrimSpace(b.Text) != strings.TrimSpace(c.text) || b.Excerpt() != c.excerpt || b.Class() != c.class {
			t.Errorf("%s: got %+v, excerpt %q, class %q", name, b, b.Excerpt(), b.Class())
		}
	}
}

// What the page publishes it reads as what was written, also after a reload, and so does who reads text alone.
func TestBodyTravels(t *testing.T) {
	sent := &Body{Kind: BodyPicture, Text: "see @Ben", Reply: &Reply{Offset: "o", Seq: 3, From: "u", Name: "Ben", Excerpt: "x"}, Mentions: []Person{{"u", "Ben"}}, Picture: PictureOf(pngOf(9, 9))}
	sent.Picture.Alt = "a ferry"
	data, attachments := sent.Encode()
	text, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	if got := bodyOf(&Message{Data: text, Attachments: attachments}); !reflect.DeepEqual(got, sent) {
		t.Errorf("%s became %+v", text, got)
	}
	saved, ok := DecodeSaved(SavedOf("r", &Entry{Body: sent, Message: Message{ID: "1"}}, "").Encode())
	if got := saved.Body(); !ok || !reflect.DeepEqual(got, sent) {
		t.Errorf("stored, it became %+v", got)
	}
	plain := &Body{Text: "hello"}
	data, _ = plain.Encode()
	if text, _ = json.Marshal(data); string(text) != `{"text":"hello"}` {
		t.Errorf("a text is published as %s", text)
	}
}

func TestAttachmentsAreBounded(t *testing.T) {
	tl := newTimeline()
	large := bytes.Repeat([]byte{1}, 5<<20)
	for i := range 10 {
		tl.Append(Message{Seq: int64(i + 1), ID: string(rune('a' + i)), From: User{ID: "x"}, Data: []byte(`{}`), Attachments: [][]byte{large}})
	}
	held := 0
	for i, e := range tl.entries {
		held += len(e.Attachments) * len(large)
		if whole := len(e.Body.Files) == 1; whole != (i >= 6) || whole == (e.Body.Text != "") {
			t.Errorf("message %d: %v", i, e.Body.Text)
		}
	}
	if held > maxHeld {
		t.Errorf("%d bytes are held", held)
	}
}

func TestQuotes(t *testing.T) {
	tl := newTimeline()
	e, _ := tl.Append(Message{Seq: 1, ID: "a", From: User{ID: "ben", Name: "Ben"}, Offset: "o1", Data: []byte(`{"text":"what I\nsaid"}`)})
	r := ReplyTo(e)
	if r == nil || *r != (Reply{Offset: "o1", Seq: 1, From: "ben", Name: "Ben", Excerpt: "what I said", key: e.Key}) {
		t.Fatalf("got %+v", r)
	}
	if name, excerpt, own := tl.Quoted(&Reply{Offset: "o1", From: "me", Name: "Asha", Excerpt: "lies"}); name != "Ben" || excerpt != "what I said" || own {
		t.Errorf("got %s: %s", name, excerpt)
	}
	if name, excerpt, own := tl.Quoted(&Reply{Offset: "o9", From: "me", Name: "Asha", Excerpt: "gone"}); name != "Asha" || excerpt != "gone" || !own {
		t.Errorf("got %s: %s", name, excerpt)
	}
	if ReplyTo(&Entry{Kind: KindGap}) != nil || ReplyTo(tl.Send("x", &Body{Text: "pending"}, 1)) != nil {
		t.Error("a reply to what has no place")
	}
	for _, bad := range []string{``, `7`, `{}`, `{"offset":"` + strings.Repeat("x", 300) + `"}`, `{"offset":"x","seq":-1}`} {
		if got := readReply([]byte(bad)); got != nil {
			t.Errorf("%s: %+v", bad, got)
		}
	}
	if got := readReply([]byte(`{"offset":"x","name":"\u202e","excerpt":"\u200b"}`)); got == nil || got.Name != noName || got.Excerpt != "…" {
		t.Errorf("got %+v", got)
	}
}

func TestMentions(t *testing.T) {
	people := []User{{ID: "1", Name: "Ben"}, {ID: "2", Name: "Ben Ōkawa"}, {ID: "3", Name: "Ana Ben"}, {ID: "4", Name: "Cleo"}}
	if got := MentionsIn("hi @Ben Ōkawa, `@Cleo` x@Ben", people); !reflect.DeepEqual(got, []Person{{"2", "Ben Ōkawa"}}) {
		t.Errorf("got %v", got)
	}
	if got := MentionsIn("Ben, Cleo", people); got != nil {
		t.Errorf("got %v", got)
	}
	for before, want := range map[string]string{"@": "", "hi @be": "be", "@Ben Ō": "Ben Ō", "x@be": "-", "": "-", "@a\n": "-", "@ x": "-", "@" + strings.Repeat("x", 300): "-", "(@be": "be"} {
		got, ok := Mentioning(before)
		if !ok {
			got = "-"
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", before, got, want)
		}
	}
	if got := Matching(people, "bE", 2); len(got) != 2 || got[0].ID != "1" || got[1].ID != "2" {
		t.Errorf("got %v", got)
	}
	if got := Matching(people, "ben", 9); len(got) != 3 || got[2].ID != "3" {
		t.Errorf("got %v", got)
	}
	for _, c := range []struct {
		data string
		want bool
	}{
		{`{"text":"@Asha!","mentions":[{"id":"me","name":"Asha"}]}`, true},
		{`{"text":"Asha","mentions":[{"id":"me","name":"Asha"}]}`, false},
		{`{"text":"@Asha B","mentions":[{"id":"me","name":"Asha"},{"id":"x","name":"Asha B"}]}`, false},
		{`{"text":"@Asha","mentions":[{"id":"x","name":"Asha"}]}`, false},
		{`{"text":"yes","reply":{"offset":"o","from":"me"}}`, true},
		{`{"text":"x","mentions":[{"id":"me","name":""}]}`, false},
	} {
		if got := bodyOf(&Message{Data: []byte(c.data)}).Concerns("me"); got != c.want {
			t.Errorf("%s: %v", c.data, got)
		}
	}
}

func TestMentionsAreCountedApart(t *testing.T) {
	r := &Room{Timeline: newTimeline()}
	r.Enter(Snapshot{})
	seq := int64(0)
	say := func(text string, seen bool) *Entry {
		seq++
		r.AddLive(Message{Seq: seq, ID: text, From: User{ID: "ben", Name: "Ben"}, Data: []byte(`{"text":"` + text + `","mentions":[{"id":"me","name":"Asha"}]}`)}, seen)
		return r.Timeline.Newest()
	}
	start := time.Unix(1000, 0)
	asked := 0
	allowed := func() bool { asked++; return true }
	refused := func() bool { return false }
	tells := func(e *Entry, seen bool, at time.Time) bool { return r.Tells(e, seen, at, allowed) }
	if say("one", false); r.Timeline.Unread != 1 || r.Timeline.Mentions != 0 {
		t.Errorf("%d unread, %d for this user", r.Timeline.Unread, r.Timeline.Mentions)
	}
	if !tells(r.Timeline.Newest(), false, start) || tells(say("two", false), false, start.Add(time.Second)) || !tells(say("@Asha", false), false, start.Add(2*time.Second)) {
		t.Error("not told of the first, or told of the second, or not of what is for this user")
	}
	if asked != 2 {
		t.Errorf("asked %d times whether notifications are allowed", asked)
	}
	if tells(say("@Asha seen", true), true, start.Add(time.Hour)) || tells(&Entry{Own: true}, false, start.Add(time.Hour)) || tells(nil, false, start) {
		t.Error("told of what is in view, or one's own")
	}
	if later := say("later", false); asked != 2 || r.Tells(later, false, start.Add(time.Hour), refused) || !tells(later, false, start.Add(time.Hour)) {
		t.Error("asked of what calls for no notification, or told against a refusal, or not told of anything any more")
	}
	if r.Timeline.Mentions != 1 {
		t.Errorf("%d for this user", r.Timeline.Mentions)
	}
	r.SeenElsewhere(4, 0)
	if r.Timeline.Mentions != 0 || r.Timeline.Unread != 1 {
		t.Errorf("%d for this user, after all of those were read", r.Timeline.Mentions)
	}
	if r.MarkRead(); r.Timeline.Mentions != 0 {
		t.Errorf("%d for this user, all read", r.Timeline.Mentions)
	}
}

func TestSeek(t *testing.T) {
	if got := MessageAddress("a b", Target{Seq: 7, Offset: "x-1/2"}); got != "/r/a%20b#m=7.x-1%2F2" || TargetAt(got[strings.Index(got, "#"):]) != (Target{Seq: 7, Offset: "x-1/2"}) {
		t.Errorf("got %s", got)
	}
	for _, bad := range []string{"", "#", "#m=", "#m=0.x", "#m=-1.x", "#m=x", "#token=1", "#m=1." + strings.Repeat("x", 300)} {
		if got := TargetAt(bad); got != (Target{}) {
			t.Errorf("%q: %+v", bad, got)
		}
	}
	tl := newTimeline()
	offset := func(seq int) string { return "o" + string(rune('A'+seq%26)) + string(rune('A'+seq/26)) }
	page := func(from, to int) (out []Message) {
		for seq := from; seq < to; seq++ {
			out = append(out, Message{Seq: int64(seq), ID: offset(seq), From: User{ID: "ben"}, Offset: offset(seq), Data: []byte(`{"text":"x"}`)})
		}
		return out
	}
	for _, m := range page(400, 500) {
		tl.Append(m)
	}
	tl.More = true
	tl.Open()
	tl.Seek(Target{Seq: 50, Offset: offset(50)})
	if !tl.WantsSought() || !tl.WantsOlderPage() {
		t.Error("it is not asked for")
	}
	tl.Prepend(page(40, 400), true)
	if tl.WantsSought() {
		t.Error("it is asked for again")
	}
	key, _ := tl.ShowSought()
	marked := 0
	for _, row := range tl.Rows() {
		if row.Mark {
			marked++
			if row.Key != key || row.Entry.Seq != 50 {
				t.Errorf("marked: %+v", row)
			}
		}
	}
	if key == "" || marked != 1 || tl.Sought() {
		t.Errorf("%q, %d marked", key, marked)
	}
	if !tl.Unmark() || tl.Unmark() {
		t.Error("the mark stays")
	}
	// What is not kept any more: what is next to its place.
	tl.Prepend(nil, false)
	tl.Seek(Target{Seq: 3, Offset: "gone"})
	if tl.WantsSought() {
		t.Error("it is asked for, and there is nothing")
	}
	if key, beside := tl.ShowSought(); key != "" || tl.Find(beside).Seq != 40 {
		t.Errorf("got %q, %q", key, beside)
	}
	if key, beside := newTimeline().ShowSought(); key != "" || beside != "" {
		t.Errorf("got %q, %q of nothing", key, beside)
	}
}
