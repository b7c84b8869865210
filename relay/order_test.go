package relay

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/broker"
	"setu/relay/events"
	"setu/relay/wiretest"
)

func args(texts ...string) (out []json.RawMessage) {
	for _, s := range texts {
		out = append(out, json.RawMessage(s))
	}
	return out
}

// Whose CONNECT has been answered is found at once.
func TestConnectedIsFound(t *testing.T) {
	r := overTCP(t, wiretest.Unlimited()...)
	for i := range 1000 {
		p := r.Open()
		p.Packet()
		p.Text("40")
		sid := strings.Trim(wiretest.Field(t, strings.TrimPrefix(p.Packet(), "40"), "sid"), `"`)
		if found, _, err := r.srv.root.Sessions(t.Context(), events.Target{Session: sid}); len(found) != 1 || err != nil {
			t.Errorf("%d: %v, %v", i, found, err)
		}
		p.Text("41", "1")
	}
}

// An event for a user comes to all their connections, and to nobody else; a string at its end is no offset.
func TestEmit(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		one, two, other := r.user("asha", "*:join"), r.user("asha", "*:join"), r.user("ben", "*:join")
		sid := r.sessionsOf(t, events.Target{User: "ben"})[0].ID
		emit := func(to events.Target, e events.Emission) {
			if err := r.srv.root.Emit(to, e); err != nil {
				t.Error(err)
			}
		}
		emit(events.Target{User: "asha"}, events.Emission{Event: "hi", Args: args(`1`, `"s"`)})
		emit(events.Target{User: "asha"}, events.Emission{Event: "bin", Args: args(`{"b":{"_placeholder":true,"num":0}}`), Attachments: [][]byte{{1, 2}}})
		emit(events.Target{Session: sid}, events.Emission{Event: "none"})
		emit(events.Target{User: "nobody"}, events.Emission{Event: "none"})
		for _, p := range []*wiretest.Peer{one, two} {
			p.Expect(`42["hi",1,"s",null]`)
			p.Expect(`451-["bin",{"b":{"_placeholder":true,"num":0}}]`)
			if f := p.NextFrame(); string(f.Payload) != "\x01\x02" {
				t.Errorf("%q", f.Payload)
			}
			p.Nothing()
		}
		other.Expect(`42["none",null]`)
		other.Nothing()
		for _, bad := range []events.Emission{{}, {Event: "message"}, {Event: "joined"}, {Event: "disconnect"}, {Event: strings.Repeat("x", 201)}, {Event: "\xff"},
			{Event: "a", Args: args(`{`)}, {Event: "a", Args: args("")}, {Event: "a", Args: make([]json.RawMessage, 256)},
			{Event: "a", Args: args(`{"_placeholder":true,"num":1}`), Attachments: [][]byte{{1}}}, {Event: "a", Attachments: make([][]byte, 11)}} {
			if err := r.srv.root.Emit(events.Target{User: "asha"}, bad); err == nil || errors.Is(err, broker.ErrUnavailable) {
				t.Errorf("%.60v: %v", bad, err)
			}
		}
	}, "AUTH_SECRET="+secret)
}

// sessionsOf lists connected sessions.
func (r *rig) sessionsOf(t *testing.T, to events.Target) []events.SessionInfo {
	t.Helper()
	list, out, err := r.srv.root.Sessions(t.Context(), to)
	if err != nil || out.Sessions != len(list) {
		t.Errorf("%+v, %v", out, err)
	}
	return list
}

func TestSessionsOf(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		began := time.Now().UnixMilli()
		r.guest("g")
		p := r.Poll()
		p.Say(`40{"token":"` + r.mint("asha", time.Hour, "*:join") + `"}`)
		p.Packet()
		p.Packet()
		list := r.sessionsOf(t, events.Target{User: "asha"})
		if len(list) != 1 || len(list[0].ID) != 16 || list[0].Relay != "relay-1" || list[0].Region != "here" || list[0].Transport != "polling" || list[0].Since != began {
			t.Errorf("%+v", list)
		}
		if got := r.sessionsOf(t, events.Target{Session: list[0].ID}); len(got) != 1 || got[0] != list[0] {
			t.Errorf("%+v", got)
		}
		if got := r.sessionsOf(t, events.Target{User: "nobody"}); len(got) != 0 {
			t.Errorf("%+v", got)
		}
	}, "AUTH=optional", "AUTH_SECRET="+secret)
}

// outcome checks what came of an order.
func outcome(t *testing.T, want events.Outcome) func(events.Outcome, error) {
	return func(got events.Outcome, err error) {
		t.Helper()
		if err != nil || got != want {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
}

// The application puts a user into a room that the token does not have: the client is told, hears what is
// said there, may do no more than the token says, and is in it again after a recovery; until it is taken
// out.
func TestJoinByTheApplication(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		root := r.srv.root
		auth := `"token":"` + r.mint("asha", time.Hour, "own:join") + `",`
		s := r.returning(auth)
		s.Call("join", `{"room":"own"}`)
		ben := r.user("ben", "*:join,publish")
		ben.Call("join", `{"room":"given"}`)
		asha := events.Target{User: "asha"}
		outcome(t, events.Outcome{Answered: 1, Sessions: 1, Done: 1})(root.Join(t.Context(), asha, "given"))
		if got := s.Packet(); !strings.HasPrefix(got, `42["joined",{"ok":true,"room":"given","offset":"`) || !strings.HasSuffix(got, `"rights":[]}]`) {
			t.Error(got)
		}
		outcome(t, events.Outcome{Answered: 1, Sessions: 1, Done: 1})(root.Join(t.Context(), asha, "given")) // which it is told once
		say(ben, 1, "given")
		s.hear()
		s.expectSeen("given 1")
		if got := codeOf(t, s.Call("publish", `{"room":"given","data":1}`)); got != `forbidden" "publish` {
			t.Error("publish: ", got)
		}
		s.cut()
		say(ben, 2, "given")
		s.again()
		s.expectRecovered(true)
		s.expectSeen("given 2", "given 3")
		if got := s.Call("token", `{"token":"`+r.mint("asha", time.Hour, "own:join")+`"}`); wiretest.Field(t, got, "left") != `[]` {
			t.Error(got)
		}
		outcome(t, events.Outcome{Answered: 1, Sessions: 1, Done: 1})(root.Leave(t.Context(), asha, "given"))
		s.Expect(`42["left",{"rooms":["given"]}]`)
		outcome(t, events.Outcome{Answered: 1, Sessions: 1, Done: 1})(root.Leave(t.Context(), asha, "given"))
		s.Nothing()
		s.cut()
		s.again()
		s.expectRecovered(true)
		if want := `"rooms":["own"]`; !strings.Contains(s.welcome, want) {
			t.Error(s.welcome)
		}
		outcome(t, events.Outcome{Answered: 1})(root.Join(t.Context(), events.Target{User: "nobody"}, "given"))
		if _, err := root.Join(t.Context(), asha, ""); err == nil {
			t.Error("no room")
		}
	}, "AUTH_SECRET="+secret)
}

// Who is in a room by their own right already stays as they are, and then stays without the right.
func TestJoinByTheApplicationToo(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		s := r.returning(`"token":"` + r.mint("asha", time.Hour, "a:join,members,invisible") + `",`)
		s.Call("join", `{"room":"a","presence":true,"invisible":true}`)
		outcome(t, events.Outcome{Answered: 1, Sessions: 1, Done: 1})(r.srv.root.Join(t.Context(), events.Target{User: "asha"}, "a"))
		s.Nothing()
		if got := s.Call("token", `{"token":"`+r.mint("asha", time.Hour, "b:join")+`"}`); wiretest.Field(t, got, "left") != `[]` {
			t.Error(got)
		}
		if got := wiretest.Field(t, r.user("ben", "*:join").Call("join", `{"room":"a"}`), "count"); got != "1" {
			t.Error("it is seen: ", got)
		}
	}, "AUTH_SECRET="+secret)
}

func TestJoinByTheApplicationIsBounded(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.user("asha", "*:join")
		p.Call("join", `{"room":"a"}`)
		outcome(t, events.Outcome{Answered: 1, Sessions: 1, Refused: "too_large"})(r.srv.root.Join(t.Context(), events.Target{User: "asha"}, "b"))
		p.Nothing()
	}, "AUTH_SECRET="+secret, "MAX_ROOMS=1")
}

// Whom the application disconnects does not come back by itself, nor go on with the session.
func TestDisconnectByTheApplication(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		s := r.returning(`"token":"` + r.mint("asha", time.Hour, "*:join") + `",`)
		s.Call("join", `{"room":"a"}`)
		ben := r.user("ben", "*:join")
		outcome(t, events.Outcome{Answered: 1, Sessions: 1, Done: 1})(r.srv.root.Disconnect(t.Context(), events.Target{User: "asha"}))
		s.Expect("41")
		s.Closed()
		synctest.Wait()
		s.again()
		s.expectRecovered(false) // its session has ended; nothing keeps it from another
		ben.Nothing()
		if !r.log.Has("why=server") {
			t.Error("not in the log:\n" + r.log.String())
		}
	}, "AUTH_SECRET="+secret)
}

// Who is muted may not speak, in one room or anywhere, for as long as was said; and may all else.
func TestMuted(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		asha, ben := r.user("asha", "*:join,publish,signal,history"), r.user("ben", "*:join,publish,signal")
		for _, room := range []string{"a", "b"} {
			asha.Call("join", `{"room":"`+room+`"}`)
			ben.Call("join", `{"room":"`+room+`"}`)
		}
		mute := func(room string, d time.Duration) {
			if _, err := r.broker.Revoke(t.Context(), broker.Mute("asha", room, time.Now().Add(d))); err != nil {
				t.Error(err)
			}
		}
		says := func(p *wiretest.Peer, room string) string {
			answer := p.Call("publish", `{"room":"`+room+`","data":1}`)
			p.Held = nil
			return codeOf(t, answer)
		}
		expect := func(what string, want ...string) {
			t.Helper()
			if got := []string{says(asha, "a"), says(asha, "b"), says(ben, "a")}; !slices.Equal(got, want) {
				t.Errorf("%s: %q", what, got)
			}
		}
		mute("a", time.Minute)
		expect("in a", "muted", "ok", "ok")
		if got := asha.Call("publish", `{"room":"a","data":1}`); wiretest.Field(t, wiretest.Field(t, got, "error"), "retry") != "60000" {
			t.Error(got)
		}
		asha.Call("ping", "{}")
		asha.Held = nil
		asha.Text(`42["signal",{"room":"a"}]`)
		if got := asha.Packet(); !strings.Contains(got, `42["error_event",{"ok":false,"error":{"code":"muted"`) {
			t.Error(got)
		}
		if got := codeOf(t, asha.Call("history", `{"room":"a"}`)); got != "ok" {
			t.Error("history: ", got)
		}
		<-time.After(time.Minute)
		expect("a minute later", "ok", "ok", "ok")
		mute("", time.Hour)
		expect("anywhere", "muted", "muted", "ok")
		mute("", -time.Second)
		expect("lifted", "ok", "ok", "ok")
	}, "AUTH_SECRET="+secret, "PING_INTERVAL=1h", "PING_TIMEOUT=1h")
}
