package relay

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/broker"
	"setu/relay/wiretest"
)

const lobbyEvents = "LOBBY_EVENTS=chat message, drawing=others,cursor=volatile,hint=volatile+others,note = rooms,whisper=rooms+volatile"

// Whoever connects is in the lobby, and hears what others emit there under their own names.
func TestLobby(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a, b := r.returning(""), r.guest("b")
		if got := wiretest.Field(t, a.welcome, "lobby"); got != `"hall"` || strings.Contains(a.welcome, "joined") {
			t.Fatal(a.welcome)
		}
		ack := a.Call("chat message", `"hi",{"n":1.10}`)
		offset := wiretest.Field(t, ack, "offset")
		if wiretest.Field(t, ack, "ok") != "true" || wiretest.Field(t, ack, "room") != `"hall"` || wiretest.Field(t, ack, "seq") != "1" || offset == "" {
			t.Fatal(ack)
		}
		a.hear()
		a.expectNamed(`42["chat message","hi",{"n":1.10}`)
		b.Expect(`42["chat message","hi",{"n":1.10},` + offset + `]`)
		a.Text(`42["drawing",{"x":1}]`, `42["cursor"]`, `42["hint","h"]`) // no acks are wanted
		a.hear()
		a.expectNamed(`42["cursor",null]`)
		if got := b.Packet(); !strings.HasPrefix(got, `42["drawing",{"x":1},"`) {
			t.Error(got)
		}
		b.Expect(`42["cursor",null]`)
		b.Expect(`42["hint","h",null]`)
		if got := a.Call("cursor", `1`); got != `{"ok":true,"room":"hall"}` {
			t.Error(got)
		}
		for _, name := range []string{"chat", "Chat message", "message"} {
			if f := failure(t, a.Call(name, "1")); f.Code != codeBadRequest || !strings.Contains(f.Message, "unknown event") {
				t.Error(name, f)
			}
		}
		page := b.Call("history", `{"room":"hall"}`)
		if strings.Count(page, `"event":`) != 2 || !strings.Contains(page, `"event":"drawing","args":[{"x":1}]`) {
			t.Error(page)
		}
	}, "LOBBY=hall", lobbyEvents)
}

// A client is in the lobby again when it recovers, also one that had left it, and has missed nothing of it.
func TestLobbyRecovery(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a, b := r.returning(""), r.guest("b")
		a.cut()
		b.Call("chat message", `"one"`)
		a.again()
		a.expectRecovered(true)
		a.expectNamed(`42["chat message","one"`)
		if got := wiretest.Field(t, a.welcome, "lobby"); got != `"hall"` {
			t.Error(a.welcome)
		}
		a.Call("leave", `"hall"`)
		if f := failure(t, a.Call("chat message", "1")); f.Code != codeNotJoined {
			t.Error(f)
		}
		b.Call("chat message", `"not heard"`)
		a.cut()
		a.again()
		a.expectRecovered(true)
		b.Call("chat message", `"two"`)
		a.hear()
		a.expectNamed(`42["chat message","two"`)
	}, "LOBBY=hall", lobbyEvents)
}

// =rooms has an event go to the rooms that its sender is in.
func TestEventsToRooms(t *testing.T) {
	for _, lobby := range []string{"", "hall"} {
		overPipes(t, func(t *testing.T, r *rig) {
			a, b := r.guest("a"), r.guest("b")
			if f := failureOrNone(t, a.Call("note", "1")); (f == "") != (lobby != "") {
				t.Error("in no room: ", f)
			}
			if lobby != "" {
				a.Packet()
				b.Packet()
				a.Call("leave", `"hall"`)
			}
			a.Call("join", `"x"`)
			b.Call("join", `"x"`)
			if ack := a.Call("note", `"n"`); wiretest.Field(t, ack, "room") != `"x"` || strings.Contains(ack, "rooms") {
				t.Error(ack)
			}
			a.Call("join", `"y"`)
			ack := a.Call("note", `"m"`)
			if wiretest.Field(t, ack, "room") != `"x"` || strings.Count(wiretest.Field(t, ack, "rooms"), `"ok":true`) != 2 {
				t.Error(ack)
			}
			for _, want := range []string{`42["note","n",`, `42["note","m",`, `42["note","m",`} {
				if got := a.Packet(); !strings.HasPrefix(got, want) {
					t.Errorf("%s, not %s", got, want)
				}
			}
			a.Call("whisper", `1`)
			b.Packet()
			b.Packet()
			b.Expect(`42["whisper",1]`)
			b.Nothing()
		}, "LOBBY="+lobby, "LOBBY_EVENTS=note=rooms,whisper=rooms+volatile+others")
	}
}

// failureOrNone returns the code of a failed answer.
func failureOrNone(t *testing.T, answer string) string {
	t.Helper()
	if wiretest.Field(t, answer, "ok") == "true" {
		return ""
	}
	return failure(t, answer).Code
}

// With * any name will do but those that an application can't have.
func TestAnyLobbyEvent(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		a := r.guest("a")
		for i, name := range []string{"x", "chat message", "7", "error", "__proto__", strings.Repeat("x", 200)} {
			if ack := a.Call(name, `{}`); wiretest.Field(t, ack, "seq") != fmt.Sprint(i+1) {
				t.Errorf("%s: %s", name, ack)
			}
			if got := a.Packet(); !strings.HasPrefix(got, `42["`+name+`",{},"`) {
				t.Error(got)
			}
		}
		a.Text(`427[7]`)
		if got := a.Answer("7"); wiretest.Field(t, got, "ok") != "true" {
			t.Error(got)
		}
		if got := a.Packet(); !strings.HasPrefix(got, `42["7","`) {
			t.Error(got)
		}
		for _, name := range []string{"message", "welcome", "reset", "", strings.Repeat("x", 201)} {
			if f := failure(t, a.Call(name, "1")); f.Code != codeBadRequest {
				t.Error(name, f)
			}
		}
		if f := failure(t, a.Call("x", strings.Repeat("1,", 254)+"1")); f.Code != codeBadRequest {
			t.Error("too many arguments: ", f)
		}
		if f := failure(t, a.Call("x", `"`+strings.Repeat("x", 1000)+`"`)); f.Code != codeTooLarge {
			t.Error(f)
		}
		if got := a.Call("ping", "{}"); wiretest.Field(t, got, "at") == "" {
			t.Error("Setu's own events go first: ", got)
		}
		// Those of a batch are stored in their order; binary ones, too.
		a.Text(`42["b",1]`, `42["b",2]`, `451-["photo",{"num":0,"_placeholder":true}]`)
		a.Write(wiretest.ClientFrame(0x82, []byte("one")))
		for _, want := range []string{`42["b",1,`, `42["b",2,`, `451-["photo",{"_placeholder":true,"num":0},`} {
			if got := a.Packet(); !strings.HasPrefix(got, want) {
				t.Errorf("%s, not %s", got, want)
			}
		}
		if got := a.FrameOf(wiretest.OpBinary); string(got.Payload) != "one" {
			t.Errorf("%q", got.Payload)
		}
	}, "LOBBY=hall", "LOBBY_EVENTS=*", "MAX_PAYLOAD=1000")
}

// Who may not be in the lobby is connected all the same, and emits nothing there; nor does who may be in it but not
// publish.
func TestLobbyTakesRights(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		for rooms, want := range map[string][2]string{
			"other:join": {`forbidden" "publish`, `forbidden" "signal`}, "hall:publish,signal": {codeNotJoined, codeNotJoined},
			"hall:join,publish": {"ok", `forbidden" "signal`}, "hall:join,signal": {`forbidden" "publish`, "ok"},
		} {
			p := r.Open()
			p.Packet()
			p.Text(`40{"token":"` + r.mint("u", time.Hour, rooms) + `"}`)
			p.Packet()
			if welcome := p.Packet(); strings.Contains(welcome, `"lobby":"hall"`) != strings.Contains(rooms, "join,") {
				t.Errorf("%s: %s", rooms, welcome)
			}
			if got := codeOf(t, p.Call("chat message", "1")); got != want[0] {
				t.Errorf("%s: %s", rooms, got)
			}
			if got := codeOf(t, p.Call("hint", "1")); got != want[1] {
				t.Errorf("%s: %s", rooms, got)
			}
		}
	}, "LOBBY=hall", lobbyEvents, "AUTH_SECRET="+secret)
}

// A full lobby takes nobody in, and refuses no connection.
func TestFullLobby(t *testing.T) {
	overPipes(t, func(t *testing.T, r *rig) {
		r.guest("a")
		p := r.Open()
		p.Packet()
		p.Text("40")
		p.Packet()
		if welcome := p.Packet(); strings.Contains(welcome, `"lobby":"hall"`) {
			t.Error(welcome)
		}
		if f := failure(t, p.Call("chat message", "1")); f.Code != codeNotJoined {
			t.Error(f)
		}
	}, "LOBBY=hall", lobbyEvents, "MAX_MEMBERS=1")
}

// closedStore is a broker that lets no room be opened while it is closed.
type closedStore struct {
	broker.Broker
	closed atomic.Bool
}

func (b *closedStore) Subscribe(ctx context.Context, room string, sub broker.Subscriber, list int) (func(), error) {
	if b.closed.Load() && room == "hall" {
		return nil, broker.ErrUnavailable
	}
	return b.Broker.Subscribe(ctx, room, sub, list)
}

// If the lobby can't be opened now, clients are sent away to come back, by the end of their transport: without it
// they would be connected to nothing.
func TestLobbyDuringOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &closedStore{Broker: broker.NewMemory(settings(t).Limits())}
		l := wiretest.NewPipes()
		r := newRig(t, l, l.Dial, b, "LOBBY=hall", lobbyEvents)
		defer r.close()
		a := r.returning("")
		a.Call("leave", `"hall"`)
		b.closed.Store(true)
		p := r.Open()
		p.Packet()
		p.Text("40")
		if code, reason := p.Closed(); code != closeNormal {
			t.Error(code, reason)
		}
		a.cut() // who comes back, too
		a.Peer = r.Open()
		a.Packet()
		a.Text(fmt.Sprintf(`40{"pid":%q,"offset":%q}`, a.pid, a.offset))
		if code, reason := a.Closed(); code != closeNormal {
			t.Error(code, reason)
		}
		b.closed.Store(false)
		a.again()
		a.expectRecovered(true)
		if ack := a.Call("chat message", "1"); wiretest.Field(t, ack, "ok") != "true" {
			t.Error(ack)
		}
	})
}

// What clients emit by themselves costs what publishes and signals do, for each room that it goes to.
func TestLobbyEventsAreLimited(t *testing.T) {
	for event, setting := range map[string]string{"chat message": "PUBLISH_RATE", "drawing": "USER_PUBLISH_RATE", "cursor": "SIGNAL_RATE", "hint": "USER_SIGNAL_RATE"} {
		overPipes(t, func(t *testing.T, r *rig) {
			p := r.guest("a")
			var codes []string
			for range 4 {
				codes = append(codes, failureOrNone(t, p.Call(event, "1")))
			}
			if got := strings.Join(codes, " "); got != "  rate_limited rate_limited" {
				t.Errorf("%s: %q", event, got)
			}
		}, "LOBBY=hall", lobbyEvents, setting+"=1/s:2")
	}
	overPipes(t, func(t *testing.T, r *rig) {
		p := r.guest("a")
		p.Call("join", `"x"`)
		p.Call("join", `"y"`)
		if f := failure(t, p.Call("note", "1")); f.Code != codeRateLimited {
			t.Error("three rooms for two tokens: ", f)
		}
		if ack := p.Call("history", `{"room":"hall"}`); !strings.Contains(ack, `"messages":[]`) {
			t.Error("some of it was stored: ", ack)
		}
		<-time.After(5 * time.Second)
		p.Call("whisper", "1")
		if f := failure(t, p.Call("whisper", "1")); f.Code != codeRateLimited {
			t.Error(f)
		}
		for range 2 { // what is refused otherwise costs as well
			p.Call("note", strings.Repeat("1,", 254)+"1")
		}
		if f := failure(t, p.Call("note", "1")); f.Code != codeRateLimited {
			t.Error(f)
		}
	}, "LOBBY=hall", lobbyEvents, "PUBLISH_RATE=1/s:2", "SIGNAL_RATE=1/s:3")
}

func TestLobbySettings(t *testing.T) {
	for _, bad := range [][]string{
		{"LOBBY=a\nb"}, {"LOBBY=" + strings.Repeat("x", 201)}, {"LOBBY_EVENTS=chat"}, {"LOBBY_EVENTS=*"}, {"LOBBY_EVENTS=a=rooms,b"},
		{"LOBBY=a", "LOBBY_EVENTS=chat=other"}, {"LOBBY=a", "LOBBY_EVENTS=chat="}, {"LOBBY=a", "LOBBY_EVENTS=a,a"}, {"LOBBY=a", "LOBBY_EVENTS=*,*=others"}, {"LOBBY=a", "LOBBY_EVENTS=a,,b"},
		{"LOBBY=a", "LOBBY_EVENTS=message"}, {"LOBBY=a", "LOBBY_EVENTS=connect"}, {"LOBBY=a", "LOBBY_EVENTS=a,publish=others"}, {"LOBBY=a", "LOBBY_EVENTS=" + strings.Repeat("x", 201)},
	} {
		if _, err := LoadConfig(bad); err == nil || !strings.Contains(err.Error(), "LOBBY") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, good := range [][]string{{"LOBBY=a"}, {"LOBBY=a", "LOBBY_EVENTS= chat message ,b= others + volatile,*=rooms"}, {"LOBBY_EVENTS=*=rooms,a=rooms+others"}} {
		if _, err := LoadConfig(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}
