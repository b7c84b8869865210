package relay

import (
	"strings"
	"testing"

	"setu/relay/socketio"
	"setu/relay/wiretest"
)

func nested(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }

// A JSON member's name is the protocol's only if it matches letter by letter; of two that are the
// same the last counts.
func TestNamesMatchExactly(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		for _, row := range []struct{ event, arg, field, want string }{
			{"join", `{"Room":"b","room":"a","ROOM":5,"Presence":1,"unknown":{}}`, "room", `"a"`},
			{"join", `{"room":5,"room":"b","room":"a"}`, "room", `"a"`},
			{"publish", `{"room":"a","data":"lower","Data":"upper","id":"i","ID":"j"}`, "id", `"i"`},
			{"history", `{"room":"a","Limit":-1,"limit":1}`, "ok", `true`},
		} {
			if ack := p.Call(row.event, row.arg); wiretest.Field(t, ack, row.field) != row.want {
				t.Errorf("%s %s: %s", row.event, row.arg, ack)
			}
		}
		if ack := p.Call("history", `{"room":"a"}`); !strings.Contains(ack, `"data":"lower"`) {
			t.Error(ack)
		}
		if ack := p.Call("join", `{"Room":"a"}`); failure(t, ack).Code != "bad_request" {
			t.Error(ack)
		}
	})
}

// An app may have members of its own in auth.
func TestAuthIsReadExactly(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		w, _ := r.Open().Connect(`{"name":"Asha","Name":"B","NAME":7,"Token":"the app's","Key":[],"PID":{}}`)
		if w.User.Name != "Asha" {
			t.Errorf("connected as %q", w.User.Name)
		}
		for auth, want := range map[string]string{
			`{"name":5}`:                       "name must be a string, not 5",
			`{"token":{}}`:                     "token must be a string, not an object",
			`{"name":"\ud83d"}`:                "name must be valid Unicode: it holds half of a surrogate pair",
			`{"key":"0123456789abcdef\ude00"}`: "key must be valid Unicode: it holds half of a surrogate pair",
			`{"app":` + nested(600) + `}`:      "what comes with a CONNECT is nested too deep",
		} {
			p := r.Open()
			p.Packet() // the handshake
			p.Text("40" + auth)
			if got := p.Packet(); !strings.HasPrefix(got, `44{`) || !strings.Contains(got, want) || !strings.Contains(got, "bad_request") {
				t.Errorf("%.60s: %s", auth, got)
			}
		}
	})
}

// Read leniently, these ids are one, and the second message would be taken for the first one again.
func TestHalvesOfSurrogatePairs(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.member("a", "a")
		for _, id := range []string{`\ud83d`, `\ude00`, `x\ud83dx`, `\ude00\ud83d`} {
			for event, arg := range map[string]string{
				"publish": `{"room":"a","id":"` + id + `","data":1}`, "join": `{"room":"` + id + `"}`, "members": `{"room":"` + id + `"}`,
			} {
				if f := failure(t, p.Call(event, arg)); f.Code != "bad_request" || !strings.Contains(f.Message, "half of a surrogate pair") {
					t.Errorf("%s %s: %+v", event, arg, f)
				}
			}
		}
		// What the relay only carries stays as it is.
		for _, data := range []string{`"\ud83d"`, `["\ude00",{"\ud83d":"\ud83d"}]`} {
			p.Call("publish", `{"room":"a","data":`+data+`}`)
			if ack := p.Call("history", `{"room":"a","limit":1}`); !strings.Contains(ack, `"data":`+data) {
				t.Errorf("%s: %s", data, ack)
			}
		}
		ack := p.Call("publish", `{"room":"a","id":"\ud83d\ude00","data":1}`)
		if again := p.Call("publish", `{"room":"a","id":"😀","data":1}`); wiretest.Field(t, again, "duplicate") != "true" || wiretest.Field(t, ack, "id") != `"😀"` {
			t.Error(ack, again)
		}
	})
}

func TestIntegersInAnySpelling(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.member("a", "a")
		for range 3 {
			p.Call("publish", `{"room":"a","data":1}`)
		}
		for _, two := range []string{"2", "2.0", "2e0", "0.2E1", "20e-1"} {
			for event, arg := range map[string]string{"history": `{"room":"a","limit":` + two + `}`, "join": `{"room":"a","history":` + two + `}`} {
				if ack := p.Call(event, arg); strings.Count(ack, `"data":1`) != 2 {
					t.Errorf("%s %s: %s", event, arg, ack)
				}
			}
		}
		want := "history: limit must be an integer of at most 18 digits, not 1.5"
		if f := failure(t, p.Call("history", `{"room":"a","limit":1.5}`)); f.Code != "bad_request" || f.Message != want {
			t.Errorf("%+v", f)
		}
	})
}

// JSON that is nested too deep costs the request alone, over either transport, and 512 levels are
// taken.
func TestDeepNesting(t *testing.T) {
	type caller interface {
		Call(event, arg string) string
		Packet() string
	}
	for name, connect := range map[string]func(*rig) caller{
		"websocket": func(r *rig) caller { return r.member("a", "a") },
		"polling":   func(r *rig) caller { return r.pollingMember("a", "a") },
	} {
		t.Run(name, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				c := connect(r)
				for _, data := range []string{nested(512), strings.Repeat(`{"a":`, 512) + "1" + strings.Repeat("}", 512)} {
					if ack := c.Call("publish", `{"room":"a","data":`+data+`}`); wiretest.Field(t, ack, "ok") != "true" {
						t.Error(ack)
					}
					if ack := c.Call("history", `{"room":"a","limit":1}`); !strings.Contains(ack, `"data":`+data) {
						t.Errorf("%.100s", ack)
					}
				}
				for _, data := range []string{nested(socketio.MaxDepth - 1), nested(10_000), strings.Repeat(`{"a":`, 10_000) + `1` + strings.Repeat("}", 10_000), nested(100_000)} {
					if f := failure(t, c.Call("publish", `{"room":"a","data":`+data+`}`)); f.Code != "bad_request" || !strings.Contains(f.Message, "nested 520 deep") {
						t.Errorf("%+v", f)
					}
				}
				if ack := c.Call("publish", `{"room":"a","data":1}`); wiretest.Field(t, ack, "seq") != "3" {
					t.Error(ack)
				}
			})
		})
	}
}

// Without an ack id the client hears of it by an event; the attachments that the packet announces
// are still awaited.
func TestDeepNestingWithoutAnAck(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.member("a", "a")
		p.Text(`42["join",` + nested(10_000) + `]`)
		if got := p.Packet(); !strings.HasPrefix(got, `42["error_event",{"ok":false,"error":{"code":"bad_request"`) {
			t.Error(got)
		}
		p.Text(`451-8["publish",` + nested(10_000) + `]`)
		p.Write(wiretest.ClientFrame(0x82, []byte("attached")))
		if got := p.Packet(); !strings.HasPrefix(got, `438[{"ok":false,"error":{"code":"bad_request"`) {
			t.Error(got)
		}
		p.Text(`438[` + nested(10_000) + `]`) // an answer that nobody waits for
		if ack := p.Call("ping", `{}`); wiretest.Field(t, ack, "ok") != "true" {
			t.Error(ack)
		}
	})
}
