package relay

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/wiretest"
)

// The app says who a client is, what it may do, where it is and what is kept with it.
func TestHookConnect(t *testing.T) {
	r, a := hooked(t, on("connect", 200, `{"user":{"id":"ada","name":"Ada"},"rights":{"team-*":["join","publish"]},"rooms":["lobby","team-1"],"data":{"plan":"pro"},"emit":[{"event":"hello","args":[1]}]}`),
		"HOOK_EVENTS=connect,event")
	p := r.Open()
	w, _ := p.Connect(`{"name":"x","cookie":"mine"}`)
	if w.User.ID != "ada" || w.User.Name != "Ada" || w.User.Guest {
		t.Errorf("%+v", w.User)
	}
	expectPrefix(t, p, `42["joined",{"ok":true,"room":"lobby",`)
	if joined := expectPrefix(t, p, `42["joined",{"ok":true,"room":"team-1",`); !strings.Contains(joined, `"rights":["join","publish"]`) {
		t.Error(joined)
	}
	p.Expect(`42["hello",1]`)
	q := a.questions()
	if len(q) != 1 || q[0].Type != "connect" || q[0].Recovering || string(q[0].Auth) != `{"name":"x","cookie":"mine"}` || !q[0].User.Guest || q[0].User.Name != "x" || q[0].Address != "127.0.0.1" ||
		len(q[0].Headers) != 0 || len(q[0].Rooms) != 0 || q[0].Session == "" {
		t.Errorf("%+v", q)
	}
	for room, ok := range map[string]string{"team-2": "true", "other": "false", "lobby": "true"} { // it is in the lobby
		if ack := p.Call("join", `{"room":"`+room+`"}`); room != "lobby" && wiretest.Field(t, ack, "ok") != ok {
			t.Error(room, ack)
		}
	}
	p.Call("x", "1")
	if q2 := a.questions(); len(q2) != 1 || string(q2[0].Data) != `{"plan":"pro"}` || q2[0].User.ID != "ada" || q2[0].Session != q[0].Session || fmt.Sprint(q2[0].Rooms) != "[lobby team-1 team-2]" {
		t.Errorf("%+v", q2)
	}
	a.says(func(q question) (int, string) { // a guest's own id: it stays one
		return 200, `{"user":{"id":"` + q.User.ID + `","name":"Guest One"}}`
	})
	if w, _ := r.Open().Connect(""); !w.User.Guest || w.User.Name != "Guest One" {
		t.Errorf("%+v", w.User)
	}
}

func TestHookRefusesConnect(t *testing.T) {
	r, a := hooked(t, always(403, `{"code":"unpaid","message":"pay first"}`))
	if got := refusedConnect(t, r.Open(), ""); got != `44{"data":{"code":"unpaid"},"message":"pay first"}` {
		t.Error(got)
	}
	// Where it is not known, a stock client is to come back: a CONNECT_ERROR would stop it for good.
	for name, answer := range map[string]func(question) (int, string){"error": always(500, ""), "nonsense": always(200, "x"), "no user": always(200, `{"user":{"id":"~guest"}}`),
		"gateway": always(404, "<html>"), "no room": always(200, `{"rooms":[""]}`)} {
		a.says(answer)
		p := r.Open()
		p.Packet()
		p.Text("40")
		if code, reason := p.Closed(); code != 1000 || reason != "try again" {
			t.Error(name, code, reason)
		}
	}
	a.says(always(200, `{"disconnect":true}`))
	p := r.Open()
	p.Connect("")
	p.Expect("41")
}

// Headers, query and address of the handshake are those of the client, also if its handshake came by
// polling, by a server in front of this one, or by another relay that drains.
func TestHookHandshake(t *testing.T) {
	a, hooks := newApp(t, always(200, ""))
	d := newDirectory()
	pairs := slices.Concat(hooks, []string{"HOOK_HEADERS=cookie,x-tenant,host,user-agent", "FORWARD=proxy", "TRUSTED_PROXIES=127.0.0.1"})
	r, url := d.join(t, pairs...)
	_, otherURL := d.join(t, pairs...)
	check := func(how string) {
		t.Helper()
		for end := time.Now().Add(patience); ; <-time.After(time.Millisecond) {
			q := a.questions()
			if len(q) == 0 && time.Now().Before(end) {
				continue
			}
			if len(q) != 1 || q[0].Headers["cookie"] != "a=1; b=2" || q[0].Headers["x-tenant"] != "t1, t2" || len(q[0].Headers) != 3 || q[0].Headers["host"] == "" ||
				fmt.Sprint(q[0].Query) != "map[list:[1 2] room:x y]" || q[0].Address != "2001:db8::7" {
				t.Errorf("%s: %+v", how, q)
			}
			return
		}
	}
	head := "Cookie: a=1\r\nCookie: b=2\r\nX-Tenant: t1\r\nX-Tenant: t2\r\nX-Forwarded-For: 2001:db8::7\r\nX-Secret: s\r\n"
	webSocket := func(r *rig) {
		c := r.Dial()
		fmt.Fprintf(c, "GET /socket.io/?EIO=4&transport=websocket&room=x%%20y&list=1&list=2&t=abc HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n", "relay.example", head)
		read := make([]byte, 4096)
		for got := ""; !strings.Contains(got, `0{"sid"`); {
			n, err := c.Read(read)
			if got += string(read[:n]); err != nil {
				t.Fatal(got, err)
			}
		}
		_, _ = c.Write(wiretest.ClientFrame(0x81, []byte("40")))
	}
	webSocket(r)
	check("websocket")
	poll := func(at, via string) {
		_, body := request(t, t.Context(), "GET", at+polling+"&room=x%20y&list=1&list=2", "", "Cookie", "a=1; b=2", "X-Tenant", "t1, t2", "X-Forwarded-For", "2001:db8::7", "User-Agent", "")
		sid := wiretest.Field(t, strings.TrimPrefix(body, "0"), "sid")
		if res, body := request(t, t.Context(), "POST", via+polling+"&sid="+strings.Trim(sid, `"`), "40"); res.StatusCode != 200 {
			t.Fatal(res.Status, body)
		}
	}
	poll(url, otherURL) // its later requests come by another relay
	check("polling")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var shutting sync.WaitGroup
	shutting.Go(func() { _ = r.srv.Shutdown(ctx) })
	for r.srv.engine.Draining() == nil {
		<-time.After(time.Millisecond)
	}
	poll(url, otherURL)
	check("polling, by a relay that drains")
	cancel()
	shutting.Wait()
}

// A session that goes on keeps what the app keeps with it; the app is asked again, and its word holds by
// then. If the session is gone, the app is asked once more, about the new one.
func TestHookRecovers(t *testing.T) {
	r, a := hooked(t, always(200, `{"user":{"id":"ada"},"data":{"n":1}}`), "HOOK_EVENTS=connect,event")
	s := r.returning("")
	for _, room := range []string{"a", "b"} {
		s.Call("join", `{"room":"`+room+`"}`)
	}
	say(s.Peer, 1, "a")
	s.hear()
	a.says(on("event", 200, `{"data":{"n":2}}`))
	s.Call("x", "1")
	a.questions()
	a.says(always(200, `{"user":{"id":"ada"},"rights":{"*":["join"],"b":[]},"rooms":["c","a"]}`))
	s.cut()
	s.again()
	if !s.recovered || !strings.Contains(s.welcome, `"left":["b"]`) {
		t.Errorf("%v %s", s.recovered, s.welcome)
	}
	s.hear()
	if fmt.Sprint(s.afterwards) != "[welcome joined]" { // of c alone
		t.Error(s.afterwards)
	}
	q := a.questions()
	if len(q) != 1 || !q[0].Recovering || q[0].Session != s.sid || q[0].Data != nil {
		t.Errorf("%+v", q)
	}
	s.Call("x", "1")
	if q := a.questions(); len(q) != 1 || string(q[0].Data) != `{"n":2}` || q[0].Session != s.sid {
		t.Errorf("%+v", q)
	}
	s.cut()
	was := s.sid
	a.says(always(200, `{"user":{"id":"somebody else"}}`))
	s.again()
	if q := a.questions(); s.recovered || len(q) != 2 || !q[0].Recovering || q[0].Session != was || q[1].Recovering || q[1].Session != s.sid || q[1].Data != nil || len(q[1].Rooms) != 0 {
		t.Errorf("%v %+v", s.recovered, q)
	}
	s.cut()
	a.says(always(403, `{"code":"banned"}`))
	p := r.Open()
	if got := refusedConnect(t, p, fmt.Sprintf(`{"pid":%q,"offset":%q}`, s.pid, s.offset)); !strings.Contains(got, `"code":"banned"`) {
		t.Error(got)
	}
	a.says(always(200, `{"user":{"id":"somebody else"}}`))
	if s.again(); !s.recovered {
		t.Error("a refusal has cost the session")
	}
}

// A token is looked at first; then the app's word counts, whatever the token says, also of those that come
// later.
func TestHookAndTokens(t *testing.T) {
	r, a := hooked(t, always(200, `{"user":{"id":"ada","name":"Ada"},"rights":{"a":["join","publish"]}}`), testSecret)
	if got := refusedConnect(t, r.Open(), ""); !strings.Contains(got, `"code":"unauthorized"`) || len(a.questions()) > 0 {
		t.Error(got)
	}
	token := func() string { return `{"token":"` + r.mint("token-user", time.Hour, "*:join,publish") + `"}` }
	p := r.Open()
	if w, _ := p.Connect(token()); w.User.ID != "ada" || w.User.Name != "Ada" || w.User.Guest {
		t.Errorf("%+v", w.User)
	}
	if q := a.questions(); len(q) != 1 || q[0].User.ID != "token-user" {
		t.Errorf("%+v", q)
	}
	check := func() {
		t.Helper()
		for room, ok := range map[string]string{"a": "true", "b": "false"} {
			if ack := p.Call("join", `{"room":"`+room+`"}`); wiretest.Field(t, ack, "ok") != ok {
				t.Error(room, ack)
			}
		}
	}
	check()
	if ack := p.Call("token", token()); wiretest.Field(t, ack, "ok") != "true" {
		t.Error(ack)
	}
	check()
	if ack := p.Call("token", `{"token":"`+r.mint("ada", time.Hour, "*:join")+`"}`); wiretest.Field(t, ack, "ok") != "false" {
		t.Error("another user's token: ", ack)
	}
}

// A user whom the app names is revoked as any other.
func TestHookRevoked(t *testing.T) {
	r, _ := hooked(t, always(200, `{"user":{"id":"ada"}}`))
	p := r.Open()
	p.Connect("")
	if _, err := r.broker.Revoke(t.Context(), broker.Revocation{User: "ada", Until: time.Now().Add(time.Hour).UnixMilli()}); err != nil {
		t.Fatal(err)
	}
	expectPrefix(t, p, `42["error_event",{"ok":false,"error":{"code":"revoked"`)
	p.Expect("41")
	if got := refusedConnect(t, r.Open(), ""); !strings.Contains(got, `"code":"revoked"`) {
		t.Error(got)
	}
}
