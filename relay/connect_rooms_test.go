package relay

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/broker"
	"setu/relay/room"
	"setu/relay/wiretest"
)

// connectTo connects with rooms, and returns the welcome and its answers.
func (r *rig) connectTo(rooms string, more ...string) (p *wiretest.Peer, welcome string, joined []string) {
	r.T.Helper()
	p = r.Open()
	p.Packet()
	p.Text(append([]string{`40{"name":"p","rooms":` + rooms + `}`}, more...)...)
	if s := p.Packet(); !strings.HasPrefix(s, `40{"sid":`) {
		r.T.Fatal("no CONNECT but ", s)
	}
	s := p.Packet()
	at := strings.Index(s, `["welcome",`)
	if at < 0 {
		r.T.Fatal("no welcome but ", s)
	}
	welcome = s[at+len(`["welcome",`) : strings.LastIndex(s, `,"`)]
	list := wiretest.Field(r.T, welcome, "joined")
	if list == "" {
		return p, welcome, nil
	}
	return p, welcome, items(r.T, list)
}

// items returns the items of a JSON array.
func items(t testing.TB, list string) (out []string) {
	t.Helper()
	var all []json.RawMessage
	if err := json.Unmarshal([]byte(list), &all); err != nil {
		t.Fatal(err, list)
	}
	for _, one := range all {
		out = append(out, string(one))
	}
	return out
}

// The rooms that a CONNECT names are joined as join would join them, in their order, and what the client sends
// right behind its CONNECT reaches them.
func TestRoomsOfConnect(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		other := r.member("other", "a")
		other.Call("join", `"b"`)
		since := wiretest.Field(t, other.Call("publish", `{"room":"b","data":1}`), "offset")
		other.Call("publish", `{"room":"b","event":"e","args":[2]}`)
		other.Call("publish", `{"room":"a","data":3}`)
		other.Held = nil
		p, _, joined := r.connectTo(`["a",{"room":"b","since":`+since+`,"presence":true},{"room":"c","history":5}]`, `421["publish",{"room":"a","data":"flushed"}]`)
		if len(joined) != 3 {
			t.Fatal(joined)
		}
		for i, want := range []string{
			`{"ok":true,"room":"a","offset":"`, `{"ok":true,"room":"b","offset":"`, `{"ok":true,"room":"c","offset":"`,
		} {
			if !strings.HasPrefix(joined[i], want) {
				t.Errorf("%s, not %s", joined[i], want)
			}
		}
		if b := joined[1]; wiretest.Field(t, b, "recovered") != "true" || strings.Count(b, `"seq":`) != 1 || !strings.Contains(b, `"event":"e","args":[2]`) || len(items(t, wiretest.Field(t, b, "members"))) != 2 {
			t.Error(b)
		}
		if wiretest.Field(t, joined[0], "messages") != "[]" || wiretest.Field(t, joined[0], "count") != "2" {
			t.Error(joined[0])
		}
		if ack := p.Answer("1"); wiretest.Field(t, ack, "ok") != "true" {
			t.Error(ack)
		}
		if got := other.Packet(); !strings.Contains(got, `"data":"flushed"`) {
			t.Error(got)
		}
		if got := p.Packet(); !strings.HasPrefix(got, `42["message",{"room":"a","seq":2,`) {
			t.Error(got)
		}
	})
}

// What happens in a room while it is joined comes behind the welcome that says where it stood.
func TestRoomsOfConnectAreHeld(t *testing.T) {
	overMeanwhile(t, func(t *testing.T, r *rig, b *meanwhile) {
		stay := r.guest("stay")
		stay.Call("join", `"room"`)
		b.onEnter(func() { b.send(t, "1", "1") })
		p, _, joined := r.connectTo(`["room"]`)
		if len(joined) != 1 || wiretest.Field(t, joined[0], "messages") != "[]" {
			t.Error(joined)
		}
		if got := p.Packet(); !strings.HasPrefix(got, `42["message",{"room":"room","seq":1,`) {
			t.Error(got)
		}
	})
}

// Each room that a join would refuse is refused so, and the others are joined.
func TestRefusedRoomsOfConnect(t *testing.T) {
	codes := func(t *testing.T, joined []string) string {
		var out []string
		for _, j := range joined {
			out = append(out, failureOrNone(t, j))
		}
		return strings.Join(out, " ")
	}
	tests := []struct {
		name, rooms, want string
		settings          []string
	}{
		{"bad ones", `[5,"","a\u0000",{"room":5},{},null,["a"],{"room":"b","history":-1},{"room":"c","since":"x"},"\ud800","d"]`, strings.Repeat("bad_request ", 10), nil},
		{"no list", `"a"`, "bad_request", nil},
		{"an object", `{"room":"a"}`, "bad_request", nil},
		{"twice", `["a",{"room":"a"}]`, " bad_request", nil},
		{"too many", `["a","b","c","d"]`, "  too_large too_large", []string{"MAX_ROOMS=2"}},
		{"too often", `["a","b","c","d"]`, "  rate_limited rate_limited", []string{"JOIN_RATE=1/s:2"}},
		{"too often for the user", `["a","b","c"]`, " rate_limited rate_limited", []string{"USER_JOIN_RATE=1/s:1"}},
		{"not allowed", `["open",{"room":"open2","history":1},"shut"]`, " forbidden forbidden", []string{"GUEST_ROOMS=open*:join"}},
		{"full", `["full","a"]`, "full ", []string{"MAX_MEMBERS=1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			overPipes(t, func(t *testing.T, r *rig) {
				r.guest("other").Call("join", `"full"`)
				p, _, joined := r.connectTo(tt.rooms)
				if got := codes(t, joined); got != tt.want {
					t.Errorf("%q, not %q: %s", got, tt.want, joined)
				}
				for i, j := range joined {
					isIn := failureOrNone(t, j) == ""
					if !isIn && (wiretest.Field(t, j, "room") == "" || i > 0 && wiretest.Field(t, j, "room") == wiretest.Field(t, joined[i-1], "room")) {
						continue
					}
					got := failureOrNone(t, p.Call("publish", `{"room":`+wiretest.Field(t, j, "room")+`,"data":1}`))
					if isIn == (got == codeNotJoined) && got != "forbidden" {
						t.Errorf("room %d: %s, and a publish is %q", i, j, got)
					}
				}
			}, tt.settings...)
		})
	}
	overPipes(t, func(t *testing.T, r *rig) { // a list of very many costs no more than one of some
		_, _, joined := r.connectTo("[" + strings.Repeat("1,", 30_000) + "1]")
		if len(joined) != maxJoined+100 {
			t.Errorf("%d are answered", len(joined))
		}
		_, _, joined = r.connectTo("[]")
		if joined != nil {
			t.Error(joined)
		}
		if _, welcome, _ := r.connectTo("null"); strings.Contains(welcome, "joined") {
			t.Error(welcome)
		}
	})
}

// The answers share one packet, and so the bounds of one: what does not fit any more is missed, and its room is not
// recovered.
func TestRoomsOfConnectFitTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &meanwhile{Broker: broker.NewMemory(settings(t).Limits())}
		l := wiretest.NewPipes()
		r := newRig(t, l, l.Dial, b)
		defer r.close()
		since := r.offsetOf(b, "c", "0")
		photo := `[{"_placeholder":true,"num":0}]`
		for i := range 6 {
			b.sendTo(t, "a", fmt.Sprint(i), photo, []byte{byte('a' + i)})
			b.sendTo(t, "b", fmt.Sprint(i), photo, []byte{byte('A' + i)})
		}
		b.sendTo(t, "c", "1", `{"_placeholder":true,"num":"literal"}`)
		b.sendTo(t, "d", "1", `1`)
		p, _, joined := r.connectTo(`[{"room":"a","history":9},{"room":"b","history":9},{"room":"c","since":"` + since + `"},{"room":"d","history":9}]`)
		for i, want := range []int{6, 4, 0, 1} {
			if got := strings.Count(joined[i], `"seq":`); got != want || i == 2 && wiretest.Field(t, joined[i], "recovered") != "false" {
				t.Errorf("%d of room %d: %s", got, i, joined[i])
			}
		}
		if !strings.Contains(joined[1], `"data":[{"_placeholder":true,"num":9}]`) || strings.Contains(joined[1], `"num":5`) {
			t.Error(joined[1])
		}
		got := ""
		for range 10 {
			got += string(p.FrameOf(wiretest.OpBinary).Payload)
		}
		if got != "abcdefCDEF" {
			t.Errorf("the attachments are %q", got)
		}
		for i := range 40 {
			b.sendTo(t, []string{"e", "f", "g"}[i%3], fmt.Sprint(i), `"`+strings.Repeat("x", 300_000)+`"`)
		}
		_, welcome, joined := r.connectTo(`[{"room":"e","history":9},{"room":"f","history":9},{"room":"g","history":9}]`)
		if n := strings.Count(welcome, `"seq":`); len(welcome) > room.MaxReplay+10_000 || n < 9 || n > 14 || !strings.HasPrefix(joined[2], `{"ok":true`) {
			t.Errorf("%d bytes, %d messages", len(welcome), n)
		}
	})
}

// offsetOf publishes a message, and returns its offset.
func (r *rig) offsetOf(b *meanwhile, name, id string) string {
	r.T.Helper()
	body := room.Body(id, broker.User{ID: "u", Name: "n"}, json.RawMessage("0"))
	return b.Publish(r.T.Context(), broker.Publication{Room: name, User: "u", ID: id, Body: body})[0].Offset.String()
}

// A client that recovers is in the rooms of its session already: their answers say where they stand. What it names
// beside them it joins.
func TestRoomsOfConnectThatRecovers(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		other := r.member("other", "a")
		other.Call("join", `"b"`)
		s := r.returning(`"rooms":["a"],`)
		if got := wiretest.Field(t, s.welcome, "joined"); !strings.HasPrefix(got, `[{"ok":true,"room":"a",`) {
			t.Fatal(s.welcome)
		}
		s.Call("join", `{"room":"a","presence":true}`)
		say(other, 1, "a", "b")
		s.hear()
		s.expectSeen("a 1")
		s.cut()
		say(other, 1, "a", "b")
		s.auth = `"rooms":["a",{"room":"b","history":1}],`
		s.again()
		s.expectRecovered(true)
		s.expectSeen("a 2")
		joined := items(t, wiretest.Field(t, s.welcome, "joined"))
		if len(joined) != 2 || wiretest.Field(t, joined[0], "messages") != "[]" || wiretest.Field(t, joined[0], "count") != "2" || strings.Count(joined[1], `"seq":2`) != 1 ||
			wiretest.Field(t, s.welcome, "rooms") != `["a"]` {
			t.Error(s.welcome)
		}
		say(other, 1, "a", "b")
		s.hear()
		s.expectSeen("a 3", "b 3")
		s.afterwards = nil
		r.member("new", "a") // it still wants to know who is there
		<-time.After(time.Second)
		if s.hear(); len(s.afterwards) != 1 || s.afterwards[0] != "presence" {
			t.Error(s.afterwards)
		}
		s.cut()
		say(other, 1, "a", "b")
		s.again()
		s.expectRecovered(true)
		s.expectSeen("a 4", "b 4")
	})
}

func TestBareNames(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("p")
		if ack := p.Call("join", `"a"`); wiretest.Field(t, ack, "ok") != "true" || wiretest.Field(t, ack, "room") != `"a"` {
			t.Error(ack)
		}
		if ack := p.Call("publish", `{"room":"a","data":1}`); wiretest.Field(t, ack, "ok") != "true" {
			t.Error(ack)
		}
		p.Packet()
		if ack := p.Call("leave", `"a"`); ack != `{"ok":true}` {
			t.Error(ack)
		}
		if f := failure(t, p.Call("publish", `{"room":"a","data":1}`)); f.Code != codeNotJoined {
			t.Error(f)
		}
		for _, bad := range []string{`""`, `"a\u0000"`, `"\ud800"`, `"` + strings.Repeat("r", maxRoom+1) + `"`, `"a","b"`} {
			for _, event := range []string{"join", "leave"} {
				if f := failure(t, p.Call(event, bad)); f.Code != codeBadRequest {
					t.Errorf("%s %s: %v", event, bad, f)
				}
			}
		}
	})
}
