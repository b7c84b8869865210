package chat

import (
	"strings"
	"testing"
	"time"
)

func TestCity(t *testing.T) {
	for code, want := range map[string]string{"nrt": "Tokyo", "fra": "Frankfurt", "eu-west": "eu-west", "": "", "NRT": "NRT"} {
		if got := City(code); got != want {
			t.Errorf("%q is %q, want %q", code, got, want)
		}
	}
}

func TestOtherSide(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"iad", "nrt", true}, {"nrt", "iad", true}, {"lhr", "syd", true}, {"fra", "nrt", false}, {"fra", "fra", false},
		{"fra", "here", false}, {"", "syd", false},
	} {
		if got := IsOtherSide(tt.a, tt.b); got != tt.want {
			t.Errorf("%s and %s: %v, %d", tt.a, tt.b, got, farness(tt.a, tt.b))
		}
	}
	if farness("iad", "syd") < farness("iad", "nrt") || farness("iad", "nrt") < farness("iad", "fra") || farness("iad", "fra") < farness("iad", "here") {
		t.Error("Sydney is farther from Virginia than Tokyo, which is farther than Frankfurt, and what is not known comes last")
	}
	for code, r := range regions {
		if len(code) != 3 || r.city == "" || r.x*r.x+r.y*r.y+r.z*r.z < 998_000 || r.x*r.x+r.y*r.y+r.z*r.z > 1_002_000 {
			t.Errorf("%s: %+v", code, r)
		}
	}
}

func TestWhereAUserIs(t *testing.T) {
	two := At(Place{"", "d"}, Place{"iad", "a"}, Place{}, Place{"iad", "c"}, Place{"nrt", "b"})
	for _, tt := range []struct {
		u            User
		where, title string
		beyond       bool // as seen from Virginia
	}{
		{User{Name: "Ben"}, "", "Ben", false},
		{User{Name: "Ben", At: At(Place{"nrt", "x"})}, "Tokyo", "Ben · Tokyo, relay x", true},
		{User{Name: "Ben", At: At(Place{"here", ""})}, "here", "Ben · here", false},
		{User{Name: "Ben", At: two}, "Virginia, Tokyo", "Ben · Virginia, Tokyo, relay b", false},
	} {
		if tt.u.Where() != tt.where || tt.u.PlaceTitle() != tt.title || tt.u.IsBeyond("iad") != tt.beyond {
			t.Errorf("%+v is at %q, %q, beyond: %v", tt.u, tt.u.Where(), tt.u.PlaceTitle(), tt.u.IsBeyond("iad"))
		}
	}
}

func TestAddressWithARegion(t *testing.T) {
	for address, want := range map[string]string{"/r/a": "/r/a?region=s%20p", "/?room=..": "/?room=..&region=s%20p"} {
		got := WithRegion(address, "s p")
		if got != want || WithRegion(address, "") != address {
			t.Errorf("%s became %s", address, got)
		}
		if _, query, _ := strings.Cut(got, "?"); RegionAt("?"+query) != "s p" {
			t.Errorf("%s asks for %q", got, RegionAt(query))
		}
	}
	for query, want := range map[string]string{"": "", "?room=x": "", "?region=": "", "?region=" + strings.Repeat("x", 200): ""} {
		if got := RegionAt(query); got != want {
			t.Errorf("%s asks for %q", query, got)
		}
	}
}

// A person is met once, however often they are heard of, and a crowd in one line.
func TestFar(t *testing.T) {
	var f Far
	user := func(id, region string) User {
		return User{ID: id, Name: strings.ToUpper(id), At: At(Place{region, ""})}
	}
	for _, tt := range []struct {
		people []User
		want   string
	}{
		{[]User{user("self", "nrt"), user("a", "iad"), user("b", "")}, ""},
		{[]User{user("c", "nrt")}, "\u2068C\u2069 is on the other side of the world"},
		{[]User{user("c", "nrt"), user("c", "nrt")}, ""},
		{[]User{user("d", "nrt"), user("e", "sin")}, "\u2068D\u2069 and \u2068E\u2069 are on the other side of the world"},
		{[]User{user("f", "nrt"), user("g", "nrt"), user("h", "nrt")}, "\u2068F\u2069 and 2 others are on the other side of the world"},
	} {
		if got := f.Meet(tt.people, "self", "iad"); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.people, got, tt.want)
		}
	}
	said := 0
	for i := range 100 {
		if f.Meet([]User{user(strings.Repeat("x", i+1), "nrt")}, "self", "iad") != "" {
			said++
		}
	}
	if said != maxFarNotes-3 {
		t.Errorf("it was said %d times more", said)
	}
}

// A line about somebody stands after the message that was the newest, and not in an empty room.
func TestNoteRows(t *testing.T) {
	tl := NewTimeline(func(int64) int { return 0 })
	tl.Note("first")
	if rows := tl.Rows(); len(rows) != 0 {
		t.Errorf("an empty room shows %+v", rows)
	}
	tl.Append(Message{Seq: 1, ID: "1", From: User{ID: "a"}})
	tl.Note("second")
	tl.Append(Message{Seq: 2, ID: "2", From: User{ID: "a"}})
	var got []string
	for _, r := range tl.Rows() {
		switch r.Kind {
		case RowNote:
			got = append(got, r.Text)
		case RowMessage:
			got = append(got, r.Entry.ID)
			if !r.Head || !r.Tail {
				t.Errorf("message %s is of a group over a line", r.Entry.ID)
			}
		}
	}
	if s := strings.Join(got, " "); s != "first 1 second 2" {
		t.Error(s)
	}
}

func TestSpan(t *testing.T) {
	p := Pill{Status: Connected, Region: "iad", Relay: "one", RTT: 34 * time.Millisecond, Store: 2 * time.Millisecond}
	relays := []Relay{{Place{"iad", "one"}, ""}, {Place{"nrt", "two"}, ""}, {Place{"nrt", "three"}, ""}, {Place{"", "four"}, ""}}
	for _, tt := range []struct {
		p      Pill
		relays []Relay
		want   string
	}{
		{p, relays, "You are connected to the relay in Virginia, 34 ms there and back. Behind it is Redis, which all relays share, 2 ms there and back. On the other side: four, Tokyo ×2."},
		{p, relays[:1], "You are connected to the relay in Virginia, 34 ms there and back. Behind it is Redis, which all relays share, 2 ms there and back. No other relay is seen."},
		{Pill{Status: Connected, Relay: "one"}, relays[:1], "You are connected to the relay in one. It is alone, and keeps everything itself."},
		{Pill{Status: Waiting, Region: "iad", RTT: time.Second, Store: time.Second}, nil, "You are not connected to any relay now."},
	} {
		if got := tt.p.Span(tt.relays).Text(); got != tt.want {
			t.Errorf(" got %s\nwant %s", got, tt.want)
		}
	}
	for _, code := range []string{"ams", "arn", "cdg", "fra", "lhr", "mad", "waw"} {
		relays = append(relays, Relay{Place{code, code}, ""})
	}
	if b := p.Span(relays); len(b.Others) != maxShores || b.More != 4 || !strings.HasSuffix(b.Text(), ", 4 more.") {
		t.Errorf("%+v", b)
	}
}

func TestWaysToOtherRegions(t *testing.T) {
	relays := []Relay{{Place{"iad", "one"}, ""}, {Place{"fra", "two"}, ""}, {Place{"nrt", "three"}, "https://nrt.example.com"}, {Place{"nrt", "four"}, ""}, {Place{"", "five"}, ""}}
	ways := Ways("iad", relays)
	if len(ways) != 2 || ways[0].Region != "nrt" || ways[1].Region != "fra" {
		t.Fatalf("%+v", ways)
	}
	if a, b := ways[0].Address("a b"), ways[1].Address("a b"); a != "https://nrt.example.com/r/a%20b" || b != "/r/a%20b?region=fra" {
		t.Errorf("they lead to %s and %s", a, b)
	}
	if text := BridgeText("iad", ways); !strings.Contains(text, "you came in through Virginia, others through Tokyo or Frankfurt,") {
		t.Error(text)
	}
	if text := BridgeText("iad", nil) + BridgeText("", ways); text != "" {
		t.Error("without a bridge:", text)
	}
	for _, tt := range [][3]string{{"", "iad", ""}, {"iad", "iad", ""}, {"gru", "iad", "No relay in São Paulo takes you now: you came in through Virginia"}, {"gru", "", "No relay in São Paulo takes you now: you came in elsewhere"}} {
		if got := Elsewhere(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%v: %q", tt, got)
		}
	}
}

func TestWhatHappenedToTheConnection(t *testing.T) {
	var p Pill
	now := time.Now()
	for range 3 {
		p.Update(Pill{Status: Connected}, now)
		p.Update(Pill{Status: Waiting}, now)
	}
	p.Recovered(3, now)
	p.Recovered(4, now)
	if p.Reconnects() != 2 || p.RecoveredInAll() != 7 || p.MissedText() != "nothing" {
		t.Errorf("%d, %d, %s", p.Reconnects(), p.RecoveredInAll(), p.MissedText())
	}
	if p.Missed(0, 0); p.MissedText() != "1 gap" {
		t.Error(p.MissedText())
	}
	if p.Missed(10, 31); p.MissedText() != "20 messages" {
		t.Error(p.MissedText())
	}
}

// A name is cut where its letters are wide, and stays whole where there is room.
func TestClip(t *testing.T) {
	for _, tt := range []struct {
		name  string
		width int
		want  string
	}{
		{"Johannesburg", 112, "Johannesburg"}, {"São Paulo ×2", 112, "São Paulo ×2"}, {"", 76, ""}, {"Virginia", 76, "Virginia"},
		{"WWWWWWWWWWWWWW", 112, "WWWWWWWW…"}, {"横浜横浜横浜横浜", 76, "横浜横浜横…"}, {"a-relay-with-a-long-name", 76, "a-relay-…"},
	} {
		if got := Clip(tt.name, tt.width); got != tt.want {
			t.Errorf("%q in %d: %q, want %q", tt.name, tt.width, got, tt.want)
		}
	}
}
