package relay

import (
	"context"
	"strings"
	"testing"
	"time"

	"setu/relay/wiretest"
)

// The app may allow a join, or refuse it; one who is in the room already isn't asked for.
func TestHookJoin(t *testing.T) {
	r, a := hooked(t, func(q question) (int, string) {
		if q.Room == "closed" {
			return 403, `{"code":"closed","message":"not now"}`
		}
		return 200, `{"join":["also"],"data":"seen"}`
	}, "HOOK_EVENTS=join")
	p := r.guest("ann")
	if ack := p.Call("join", `{"room":"closed"}`); ack != `{"ok":false,"error":{"code":"closed","message":"not now"}}` {
		t.Error(ack)
	}
	if ack := p.Call("join", `{"room":"open"}`); wiretest.Field(t, ack, "ok") != "true" {
		t.Error(ack)
	}
	expectPrefix(t, p, `42["joined",{"ok":true,"room":"also",`)
	p.Call("join", `{"room":"open"}`)
	p.Call("join", `{"room":"also"}`)
	p.Call("join", `{"room":"\u0000"}`)
	if q := a.questions(); len(q) != 2 || q[1].Room != "open" || q[1].Type != "join" || q[1].Message != nil || q[1].User.Name != "ann" {
		t.Errorf("%+v", q)
	}
	a.says(always(500, ""))
	if ack := p.Call("join", `{"room":"third"}`); !strings.Contains(ack, `"code":"unavailable"`) {
		t.Error(ack)
	}
}

// The app may allow what is published, refuse it, or have something else published.
func TestHookPublish(t *testing.T) {
	r, a := hooked(t, func(q question) (int, string) {
		switch m := string(q.Message); {
		case strings.Contains(m, "bad"):
			return 422, `{"code":"language","message":"mind it"}`
		case strings.Contains(m, "damn"):
			return 200, `{"message":{"data":{"text":"d**n"}}}`
		case strings.Contains(m, "file"):
			return 200, `{"message":{"data":{"$binary":"AP8="}}}`
		case strings.Contains(m, "named"):
			return 200, `{"message":{"event":"other name","args":[1,{"$binary":"AP8="}]}}`
		}
		return 200, ""
	}, "HOOK_EVENTS=publish")
	p := r.member("ann", "room")
	for _, id := range []string{"1", "2"} { // in one batch
		p.Text(`42` + id + `["publish",{"room":"room","id":"m` + id + `","data":"fine ` + id + `"}]`)
	}
	p.Acks = 2
	for _, want := range []string{`42["message",{"room":"room","seq":1,"id":"m1",`, `42["message",{"room":"room","seq":2,"id":"m2",`} {
		for got := ""; !strings.HasPrefix(got, want); {
			if got = p.Packet(); got[:2] != "42" && got[:2] != "43" {
				t.Fatal(got)
			}
		}
	}
	for len(p.Held) > 0 {
		p.Packet()
	}
	p.Call("ping", "{}")
	p.Held = nil
	if q := a.questions(); len(q) != 2 || q[0].Type != "publish" || q[0].Room != "room" || string(q[0].Message) != `{"id":"m1","data":"fine 1"}` || string(q[1].Message) != `{"id":"m2","data":"fine 2"}` {
		t.Errorf("%+v", q)
	}
	if ack := p.Call("publish", `{"room":"room","data":"bad"}`); ack != `{"ok":false,"error":{"code":"language","message":"mind it"}}` {
		t.Error(ack)
	}
	ack := p.Call("publish", `{"room":"room","id":"m3","data":"damn"}`)
	if got := p.Packet(); wiretest.Field(t, ack, "ok") != "true" || !strings.Contains(got, `"id":"m3"`) || !strings.Contains(got, `"data":{"text":"d**n"}`) {
		t.Error(ack, got)
	}
	p.Text(`42["publish",{"room":"room","id":"m4","data":"file"}]`)
	if got := p.Packet(); !strings.HasPrefix(got, `451-["message",`) || !strings.Contains(got, `"data":{"_placeholder":true,"num":0}`) {
		t.Error(got)
	}
	p.FrameOf(wiretest.OpBinary)
	p.Text(`42["publish",{"room":"room","id":"m5","data":"named"}]`)
	expectPrefix(t, p, `451-["other name",1,{"_placeholder":true,"num":0},"`)
	p.FrameOf(wiretest.OpBinary)
	other := r.member("other", "room")
	a.says(on("publish", 200, `{"message":{"event":"changed","args":[1]}}`))
	p.Call("publish", `{"room":"room","event":"e","self":false}`) // it stays the others' alone
	expectPrefix(t, other, `42["changed",1,"`)
	p.Nothing()
	a.questions()
	if ack := p.Call("publish", `{"room":"elsewhere","data":1}`); !strings.Contains(ack, "not_joined") || len(a.questions()) > 0 {
		t.Error("the app is asked about what is refused anyway: ", ack)
	}
	a.says(always(503, ""))
	if ack := p.Call("publish", `{"room":"room","id":"m6","data":1}`); !strings.Contains(ack, `"code":"unavailable"`) || !strings.Contains(ack, `"retry":1000`) {
		t.Error(ack)
	}
}

// A drain does not wait for an app that hangs for longer than it has time.
func TestHookDrain(t *testing.T) {
	hold := make(chan struct{})
	r, a := hooked(t, func(q question) (int, string) {
		if q.Type == "event" {
			<-hold
		}
		return 200, ""
	}, "HOOK_TIMEOUT=30s")
	defer close(hold)
	p := r.guest("ann")
	p.Text(`42["e"]`)
	for n := 0; n < 2; n += len(a.questions()) {
		<-time.After(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.srv.Shutdown(ctx)
	}()
	within(t, 20*time.Second, "a drain", done)
}

// The app goes on with what it was asked if the client leaves meanwhile: that may have been its last word.
func TestHookLastWord(t *testing.T) {
	hold, heard := make(chan struct{}), make(chan struct{})
	r, _ := hooked(t, func(q question) (int, string) {
		if q.Type == "event" {
			close(heard)
			<-hold
			return 200, `{"emit":[{"room":"room","event":"bye","args":[1],"stored":true}]}`
		}
		return 200, ""
	})
	other, p := r.member("other", "room"), r.guest("ann")
	p.Text(`42["bye"]`)
	within(t, patience, "asking", heard)
	_ = p.Conn.Close()
	<-time.After(50 * time.Millisecond)
	close(hold)
	expectPrefix(t, other, `42["bye",1,"`)
}

// Rooms of a CONNECT, and events of LOBBY_EVENTS, are moderated as any; what the app says beside comes once the
// client is connected.
func TestHookLobby(t *testing.T) {
	r, a := hooked(t, func(q question) (int, string) {
		switch {
		case q.Room == "closed":
			return 403, `{"code":"closed"}`
		case q.Type == "join":
			return 200, `{"emit":[{"event":"hello","args":["` + q.Room + `"]}],"join":["more"]}`
		case strings.Contains(string(q.Message), "damn"):
			return 200, `{"message":{"event":"chat message","args":["d**n"]}}`
		case strings.Contains(string(q.Message), "bad"):
			return 403, `{"code":"language"}`
		}
		return 200, ""
	}, "HOOK_EVENTS=join,publish,event", "LOBBY=lobby", "LOBBY_EVENTS=chat message,draw=others")
	p := r.Open()
	p.Packet()
	p.Text(`40{"rooms":["closed","open"]}`)
	expectPrefix(t, p, `40{"sid":`)
	if w := expectPrefix(t, p, `42["welcome",`); !strings.Contains(w, `"joined":[{"ok":false,"room":"closed","error":{"code":"closed","message":"closed"}},{"ok":true,"room":"open",`) ||
		!strings.Contains(w, `"lobby":"lobby"`) {
		t.Error(w)
	}
	expectPrefix(t, p, `42["joined",{"ok":true,"room":"more",`)
	p.Expect(`42["hello","open",null]`)
	if q := a.questions(); len(q) != 2 || q[0].Room != "closed" || q[1].Room != "open" {
		t.Errorf("%+v", q)
	}
	p.Call("chat message", `"hi"`)
	expectPrefix(t, p, `42["chat message","hi","`)
	p.Call("chat message", `"damn"`)
	expectPrefix(t, p, `42["chat message","d**n","`)
	if ack := p.Call("chat message", `"bad"`); !strings.Contains(ack, `"code":"language"`) {
		t.Error(ack)
	}
	if q := a.questions(); len(q) != 3 || q[0].Type != "publish" || q[0].Room != "lobby" || !strings.Contains(string(q[0].Message), `"event":"chat message","args":["hi"]`) {
		t.Errorf("%+v", q)
	}
	other := r.guest("other")
	p.Call("draw", `"damn"`) // the app's words for it are the others' alone, too
	expectPrefix(t, other, `42["chat message","d**n","`)
	p.Nothing()
	a.questions()
	p.Call("other", `1`) // which LOBBY_EVENTS does not name
	if q := a.questions(); len(q) != 1 || q[0].Type != "event" {
		t.Errorf("%+v", q)
	}
}

// The app is asked about reactions and edits as about what is published, and may change what an edit says.
func TestHookAnnotate(t *testing.T) {
	r, a := hooked(t, func(q question) (int, string) {
		switch m := string(q.Message); {
		case strings.Contains(m, "bad"):
			return 422, `{"code":"language","message":"mind it"}`
		case strings.Contains(m, "damn"):
			return 200, `{"message":{"data":"d**n"}}`
		}
		return 200, ""
	}, "HOOK_EVENTS=publish")
	p := r.member("ann", "room")
	offset := publishIn(t, p, "room", `"one"`)
	for _, refused := range []string{`"kind":"reaction","value":"bad"`, `"kind":"edit","value":"bad"`} {
		if got := faultIn(t, annotate(p, "room", offset, refused)); got.Code != "language" {
			t.Errorf("%+v", got)
		}
	}
	if got := faultIn(t, annotate(p, "room", offset, `"kind":"reaction","value":"damn"`)); got.Code != codeUnavailable {
		t.Errorf("a reaction that was changed: %+v", got)
	}
	annotate(p, "room", offset, `"kind":"edit","value":"damn"`)
	annotate(p, "room", offset, `"kind":"reaction","value":"+"`)
	if got := p.Call("history", `{"room":"room"}`); !strings.Contains(got, `"data":"d**n"`) || !strings.Contains(got, `"reactions":{"+":{"count":1,"me":true}}`) {
		t.Error(got)
	}
	annotate(p, "room", offset, `"kind":"reaction","value":"+","remove":true`)
	annotate(p, "room", offset, `"kind":"delete"`)
	q := a.questions()
	if len(q) != 6 { // and not of what takes away
		t.Fatalf("%d questions", len(q))
	}
	if got, want := string(q[4].Message), `"data":"damn","annotates":{"offset":`+offset+`,"kind":"edit"}}`; !strings.HasSuffix(got, want) {
		t.Errorf("%s, not %s", got, want)
	}
	if got := string(q[5].Message); !strings.HasSuffix(got, `"data":"+","annotates":{"offset":`+offset+`,"kind":"reaction"}}`) {
		t.Error(got)
	}
}
