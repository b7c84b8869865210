package auth

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func rooms(t testing.TB, text string) Rooms {
	t.Helper()
	r, err := ParseRooms(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheMostSpecificPatternDecidesAlone(t *testing.T) {
	r := rooms(t, "lobby:join,publish lobby*:history team-*:join,signal team-red-*:members team-red-1: a:b:join *:invisible")
	for room, want := range map[string]Rights{
		"lobby":       Join | Publish,
		"lobby2":      History,
		"lobb":        Invisible,
		"team-":       Join | Signal,
		"team-blue":   Join | Signal,
		"team-red":    Join | Signal,
		"team-red-":   Members,
		"team-red-2":  Members,
		"team-red-1":  0, // its own, which is nothing
		"team-red-11": Members,
		"team-rez":    Join | Signal,
		"a:b":         Join,
		"":            Invisible,
		"zzz":         Invisible,
		"\u00e9":      Invisible,
	} {
		if got := r.Of(room); got != want {
			t.Errorf("%q: %v, want %v", room, got, want)
		}
	}
	r = rooms(t, "a*:join abc*:publish abd*:signal")
	for room, want := range map[string]Rights{"abcd": Publish, "abce": Publish, "abd": Signal, "abz": Join, "aba": Join, "b": 0, "A": 0, "": 0} {
		if got := r.Of(room); got != want {
			t.Errorf("%q: %v, want %v", room, got, want)
		}
	}
	if (Rooms{}).Of("lobby") != 0 || !(Rooms{}).IsZero() || rooms(t, "a:").IsZero() {
		t.Error("without a pattern nothing is allowed")
	}
}

// Of is right however the patterns lie: a search through all of them says the same.
func TestOfAgreesWithASearch(t *testing.T) {
	var names []string
	for _, a := range []string{"", "a", "b", "ab", "aba", "abb", "ba", "abab", "b!", "a+"} {
		for _, b := range []string{"", "a", "b", "-"} {
			names = append(names, a+b)
		}
	}
	for skip := 1; skip < 9; skip++ {
		rules := map[string]Rights{}
		for i := skip % 3; i < len(names); i += skip {
			rules[names[i]+"*"] = Rights(1 + i%60)
			if i%4 == 0 && names[i] != "" {
				rules[names[i]] = Rights(1 + i%61)
			}
		}
		r, err := newRooms(rules)
		if err != nil {
			t.Fatal(err)
		}
		for _, room := range names {
			want, exact := rules[room]
			for n := 0; n <= len(room) && !exact; n++ {
				if rights, ok := rules[room[:n]+"*"]; ok {
					want = rights
				}
			}
			if got := r.Of(room); got != want {
				t.Errorf("%q of %v: %d, want %d", room, r, got, want)
			}
		}
	}
}

func TestOfAllocatesNothing(t *testing.T) {
	r := rooms(t, "lobby:join,publish team-*:join team-red-*:members *:history")
	if n := testing.AllocsPerRun(100, func() { r.Of("team-rosso"); r.Of("lobby"); r.Of("elsewhere") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRoomsAreWrittenAsTheyAreRead(t *testing.T) {
	for _, text := range []string{"", "lobby:join,publish", "*:join,publish,signal,history,members,invisible", "a:b:join", "a,b:join", "x:",
		"team-*:join team-:publish", `{"my room":["join"]}`, `{"{x":["join"],"y":[]}`, "b:join {x:join", "lobby!*:join lobby*:publish"} {
		r := rooms(t, text)
		again := rooms(t, r.String())
		if !reflect.DeepEqual(again, r) {
			t.Errorf("%s: %s", text, r)
		}
		raw, err := json.Marshal(r)
		var read Rooms
		if err == nil {
			err = json.Unmarshal(raw, &read)
		}
		if err != nil || !reflect.DeepEqual(read, r) {
			t.Errorf("%s: %s %v", text, raw, err)
		}
	}
	if got := rooms(t, " team-*:join\tlobby:publish,join ").String(); got != "lobby:join,publish team-*:join" {
		t.Error(got)
	}
	if got := rooms(t, "b:join\n{x:join").String(); got != "b:join {x:join" {
		t.Error(got)
	}
}

func TestBadRooms(t *testing.T) {
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, " room-%d:join", i)
		}
		return b.String()
	}
	for text, why := range map[string]string{
		"lobby":                              "without a colon",
		":join":                              "has 0 bytes",
		"lobby:admin":                        `no right "admin": rights are join, publish, signal, history, members, invisible`,
		"lobby:join,":                        `no right ""`,
		"lobby:Join":                         `no right "Join"`,
		"lobby:join lobby:publish":           "twice",
		"a*b:join":                           "a star that is not at its end",
		"**:join":                            "a star that is not at its end",
		strings.Repeat("a", 201) + ":join":   "has 201 bytes",
		strings.Repeat("a", 200) + "*:join":  "has 201 bytes",
		"a\x00b:join":                        "control characters",
		"a\xffb:join":                        "UTF-8",
		many(1001):                           "1001 patterns",
		`{"a": ["join"], "a": []}`:           "each pattern once",
		`{"a": ["join"], "\u0061": []}`:      "each pattern once",
		`{"a": "join"}`:                      "one JSON object",
		`{"a": null}`:                        "must be a list",
		`{"a": ["join", null]}`:              `no right ""`,
		`{"a": ["JOIN"]}`:                    "no right",
		`{"": []}`:                           "has 0 bytes",
		`{"a": []} ` + "b":                   "one JSON object",
		`{"a": [1]}`:                         "one JSON object",
		`{"\ud800": ["join"]}`:               "one JSON object",
		"x:" + strings.Repeat("right", 1000): `there is no right "rightright`,
	} {
		_, err := ParseRooms(text)
		if err == nil || !strings.Contains(err.Error(), why) || len(err.Error()) > 250 {
			t.Errorf("%.40q: %v", text, err)
		}
	}
	for _, text := range []string{many(1000), strings.Repeat("a", 200) + ":join", strings.Repeat("a", 199) + "*:join"} {
		if _, err := ParseRooms(text); err != nil {
			t.Error(err)
		}
	}
	var r Rooms
	if err := r.UnmarshalJSON([]byte("null")); err == nil {
		t.Error("null is no rules")
	}
}

func TestRights(t *testing.T) {
	if All.String() != "join,publish,signal,history,members,invisible" || Rights(0).String() != "" || (Join|Members).String() != "join,members" {
		t.Error(All, Rights(0), Join|Members)
	}
	if !All.Has(Join|Invisible) || Join.Has(Join|Publish) || !Join.Has(0) {
		t.Error("Has means all of them")
	}
}

func FuzzParseRooms(f *testing.F) {
	for _, s := range []string{"", "lobby:join,publish team-*:join", `{"my room": ["join"]}`, "a:b:c:", "*:members {:join", "{x:join", "x\u00a0y:join", "b*:join b!*:"} {
		f.Add(s, "lobby")
	}
	f.Fuzz(func(t *testing.T, text, room string) {
		r, err := ParseRooms(text)
		if err != nil {
			if !r.IsZero() {
				t.Error("an error, and rules")
			}
			return
		}
		again, err := ParseRooms(r.String())
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%q is written as %q: %v", text, r, err)
		}
		raw, err := json.Marshal(r)
		var read Rooms
		if err != nil || json.Unmarshal(raw, &read) != nil || !reflect.DeepEqual(read, r) {
			t.Errorf("%q is written as %q: %v", text, raw, err)
		}
		rules := r.rules()
		want, exact := rules[room]
		if strings.HasSuffix(room, "*") {
			exact = false // which no pattern can name
		}
		for n := 0; n <= len(room) && !exact; n++ {
			if n == 0 {
				want = 0
			}
			if rights, ok := rules[room[:n]+"*"]; ok {
				want = rights
			}
		}
		if got := r.Of(room); got != want {
			t.Errorf("%q in %q: %v, want %v", room, r, got, want)
		}
	})
}
