package relay

import (
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"setu/relay/wiretest"
)

// An event that no table knows is the app's to answer.
func TestHookEvent(t *testing.T) {
	r, a := hooked(t, on("event", 200, `{"ack": ["ok", {"n": 1.10}]}`))
	p := r.guest("ann")
	p.Call("join", `{"room":"x"}`)
	a.questions()
	if got := p.Call("chat message", `"hi",{"a":1.10}`); got != `"ok",{"n":1.10}` {
		t.Error(got)
	}
	q := a.questions()
	if len(q) != 1 || q[0].Type != "event" || q[0].Event != "chat message" || string(q[0].Args) != `["hi",{"a":1.10}]` || !q[0].WantsAck || q[0].User.Name != "ann" ||
		!q[0].User.Guest || len(q[0].Rooms) != 1 || q[0].Rooms[0] != "x" || q[0].Relay != "relay-1" || q[0].Region != "here" || q[0].Session == "" || q[0].ID == "" ||
		time.Since(time.UnixMilli(q[0].At)) > time.Minute {
		t.Errorf("%+v", q)
	}
	p.Text(`42["typing"]`) // nobody waits for an answer
	p.Nothing()
	if q := a.questions(); len(q) != 1 || q[0].WantsAck || string(q[0].Args) != "[]" {
		t.Errorf("%+v", q)
	}
	a.says(on("event", 204, ""))
	if got := p.Call("save", "1"); got != "" {
		t.Errorf("an ack without arguments: %q", got)
	}
	a.says(on("event", 403, `{"code":"banned","message":"not you"}`))
	if got := p.Call("save", "1"); got != `{"ok":false,"error":{"code":"banned","message":"not you"}}` {
		t.Error(got)
	}
	p.Text(`42["save"]`)
	p.Expect(`42["error_event",{"ok":false,"error":{"code":"banned","message":"not you"}}]`)
	for _, answer := range []func(question) (int, string){always(500, ""), always(302, ""), always(404, "<html>"), always(200, "[]"), always(200, `{"join":["\u0000"]}`),
		always(200, `{"emit":[{"event":"welcome"}]}`), always(200, `{"user":{"id":"x"}}`), always(200, `{"ack":["`+strings.Repeat("x", 300_000)+`"]}`)} {
		a.says(answer)
		if got := p.Call("save", "1"); !strings.HasPrefix(got, `{"ok":false,"error":{"code":"unavailable","message":"the app does not answer","retry":`) {
			t.Error(got)
		}
	}
	a.questions()
	for _, own := range []string{"ping", "leave"} { // the table comes first
		p.Call(own, `{"room":"x"}`)
	}
	if q := a.questions(); len(q) > 0 {
		t.Errorf("%+v", q)
	}
	if log := r.log.String(); strings.Contains(log, hookSecret[6:]) || strings.Contains(log, "s3cr3t") || !strings.Contains(log, "can't be used") {
		t.Error("the log: ", log)
	}
}

// Binary data goes to the app, and comes back, in base64.
func TestHookBinary(t *testing.T) {
	r, a := hooked(t, func(q question) (int, string) { return 200, `{"ack": ` + string(q.Args) + `}` }, "HOOK_EVENTS=event")
	p := r.guest("ann")
	p.Text(`451-7["upload",{"file":{"_placeholder":true,"num":0}},2]`)
	p.Write(wiretest.ClientFrame(0x82, []byte{0, 255}))
	p.Expect(`461-7[{"file":{"_placeholder":true,"num":0}},2]`)
	if f := p.FrameOf(wiretest.OpBinary); string(f.Payload) != "\x00\xff" {
		t.Errorf("%q", f.Payload)
	}
	if q := a.questions(); len(q) != 1 || string(q[0].Args) != `[{"file":{"$binary":"`+base64.StdEncoding.EncodeToString([]byte{0, 255})+`"}},2]` {
		t.Errorf("%s", q[0].Args)
	}
}

// One session's requests are made one at a time, in the order of its events; another's do not wait for them.
func TestHookOrder(t *testing.T) {
	hold := make(chan struct{})
	var now, most atomic.Int32
	r, a := hooked(t, func(q question) (int, string) {
		if q.Event == "slow" {
			<-hold
		}
		if q.User.Name == "ann" {
			if n := now.Add(1); n > 1 {
				most.Store(n)
			}
			defer now.Add(-1)
		}
		return 200, `{"ack":[` + string(q.Args) + `]}`
	}, "HOOK_TIMEOUT=30s", "HOOK_EVENTS=event")
	ann, ben := r.guest("ann"), r.guest("ben")
	a.questions()
	var ids []string
	for i := range 20 {
		event := "e"
		if i == 0 {
			event = "slow"
		}
		ids = append(ids, ann.Ask(event, fmt.Sprint(i)))
	}
	for i := range 5 {
		if got := ben.Call("e", fmt.Sprint(i)); got != fmt.Sprintf("[%d]", i) {
			t.Error(got)
		}
	}
	close(hold)
	for i, id := range ids {
		if got := ann.Answer(id); got != fmt.Sprintf("[%d]", i) {
			t.Error(got)
		}
	}
	next := 0
	for _, q := range a.questions() {
		if q.User.Name == "ann" {
			if string(q.Args) != fmt.Sprintf("[%d]", next) {
				t.Errorf("%s comes when it is %d's turn", q.Args, next)
			}
			next++
		}
	}
	if next != 20 || most.Load() > 0 {
		t.Errorf("%d questions, up to %d at a time", next, most.Load())
	}
}

// A slow app, and one that is gone, cost those who ask it an error, and nobody else anything: what clients do
// without it goes on.
func TestHookSlowAndDead(t *testing.T) {
	const timeout = 2 * time.Second
	hold := make(chan struct{})
	r, a := hooked(t, func(q question) (int, string) {
		if q.Type == "event" {
			<-hold
		}
		return 200, ""
	}, "HOOK_TIMEOUT="+timeout.String(), "HOOK_CONCURRENCY=2", "HOOK_QUEUE=2", "HOOK_EVENTS=event")
	stalls := wiretest.WatchStalls(t)
	defer close(hold)
	var askers []*wiretest.Peer
	for range 10 {
		askers = append(askers, r.guest("asker"))
	}
	other := r.member("other", "room")
	var ids []string
	for _, p := range askers {
		ids = append(ids, p.Ask("e", "1"))
	}
	began := time.Now()
	for i := range 20 {
		if ack := other.Call("publish", `{"room":"room","data":1}`); wiretest.Field(t, ack, "ok") != "true" {
			t.Error(ack)
		}
		if i == 0 && stalls.Since(began) > timeout/2 {
			t.Error("a publish took ", time.Since(began))
		}
	}
	for i, p := range askers {
		if got := p.Answer(ids[i]); !strings.Contains(got, `"code":"unavailable"`) || !strings.Contains(got, `"retry":1000`) {
			t.Error(got)
		}
	}
	if took := stalls.Since(began); took > 4*timeout {
		t.Error("all were answered after ", took)
	}
	if n := len(a.questions()); n > 4+4 { // those that had a turn
		t.Errorf("asked %d times", n)
	}
}

// Clients of one address that make the app slow, over and over, cost those of another nothing, once they are known.
func TestHookSharedByAddress(t *testing.T) {
	done := make(chan struct{})
	r, _ := hooked(t, func(q question) (int, string) {
		if q.Event == "slow" {
			<-done
		}
		if q.Type == "connect" {
			return 200, ""
		}
		return 200, `{"ack":["fine"]}`
	}, append(wiretest.Unlimited(), "HOOK_TIMEOUT=3s", "HOOK_CONCURRENCY=4", "HOOK_QUEUE=8")...)
	dial := r.New
	elsewhere := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	there := dial()
	to := there.RemoteAddr().String()
	_ = there.Close()
	r.New = func() net.Conn {
		c, err := elsewhere.Dial("tcp", to)
		if err != nil {
			t.Skip(err) // not all systems have it
		}
		return c
	}
	other := r.guest("other")
	other.Call("e", "1")
	r.New = dial
	var askers []*wiretest.Peer
	for range 20 {
		askers = append(askers, r.guest("asker"))
	}
	var all sync.WaitGroup
	refused := make(chan string, 20*20)
	for _, p := range askers {
		all.Go(func() {
			for range 10 {
				refused <- p.Call("slow", "1")
			}
		})
	}
	for range 20 { // while they are refused, one after the other
		if got := <-refused; !strings.Contains(got, `"code":"unavailable"`) {
			t.Error(got)
		}
		if got := other.Call("e", "1"); got != `"fine"` {
			t.Error(got)
		}
	}
	close(done)
	all.Wait()
}

// What the app says is done, whatever the client may do.
func TestHookActions(t *testing.T) {
	var ben string // session
	r, a := hooked(t, always(200, ""), "AUTH=open", "GUEST_ROOMS=open:join", "HOOK_EVENTS=event")
	annPeer, benPeer := r.guest("ann"), r.Open()
	w, _ := benPeer.Connect(`{"name":"ben"}`)
	benPeer.Call("x", "1")
	ben = a.questions()[0].Session
	do := func(actions string) {
		a.says(always(200, `{"ack":[1],`+actions+`}`))
		if got := annPeer.Call("do", "1"); got != "1" {
			t.Fatal(actions, got)
		}
	}
	do(`"join":["secret","other"]`)
	expectPrefix(t, annPeer, `42["joined",{"ok":true,"room":"secret",`)
	expectPrefix(t, annPeer, `42["joined",{"ok":true,"room":"other",`)
	a.says(always(200, `{"join":["secret"]}`))
	benPeer.Call("do", "1")
	expectPrefix(t, benPeer, `42["joined",{"ok":true,"room":"secret",`)
	do(`"emit":[{"event":"a","args":["me"]},{"session":"` + ben + `","event":"b","args":[{"$binary":"AP8="}]},{"user":"` + w.User.ID + `","event":"c"},` +
		`{"room":"secret","event":"d","args":[1],"stored":true},{"room":"secret","event":"e","args":[2],"self":false},{"room":"secret","event":"f","args":["s"]}]`)
	annPeer.Expect(`42["a","me",null]`)
	expectPrefix(t, annPeer, `42["d",1,"`)
	annPeer.Expect(`42["f","s",null]`)
	annPeer.Nothing()
	heard := map[string]bool{}
	for range 5 {
		s := benPeer.Packet()
		heard[s[:6]] = true
		if strings.HasPrefix(s, "451-") {
			if f := benPeer.FrameOf(wiretest.OpBinary); string(f.Payload) != "\x00\xff" {
				t.Errorf("%q", f.Payload)
			}
		}
	}
	if len(heard) != 5 {
		t.Error(heard)
	}
	do(`"leave":["other","never"],"data":{"step":1}`)
	annPeer.Expect(`42["left",{"rooms":["other"]}]`)
	a.questions()
	do(`"data":null`)
	if q := a.questions(); len(q) != 1 || string(q[0].Data) != `{"step":1}` || len(q[0].Rooms) != 1 {
		t.Errorf("%+v", q)
	}
	do(`"rights":{"*":["join"],"secret":["join","publish"]}`)
	if q := a.questions(); len(q) != 1 || q[0].Data != nil {
		t.Errorf("%+v", q)
	}
	if ack := annPeer.Call("publish", `{"room":"secret","data":1}`); wiretest.Field(t, ack, "ok") != "true" {
		t.Error(ack)
	}
	do(`"disconnect":true`)
	annPeer.Held = nil
	for s := annPeer.Packet(); s != "41"; s = annPeer.Packet() {
	}
}

// An answer that puts the session into more rooms than it may be in is not done by half.
func TestHookTooManyRooms(t *testing.T) {
	r, a := hooked(t, always(200, ""), "HOOK_EVENTS=event", "MAX_ROOMS=3")
	p := r.guest("ann")
	do := func(answer string) string {
		a.says(always(200, answer))
		return p.Call("do", "1")
	}
	if got := do(`{"join":["a","b"]}`); got != "" {
		t.Error(got)
	}
	p.Packet()
	p.Packet()
	if got := do(`{"data":1,"leave":["a"],"join":["c","d","e"],"emit":[{"event":"e"}]}`); !strings.Contains(got, `"code":"too_large"`) {
		t.Error(got)
	}
	p.Nothing()
	a.questions()
	if got := do(`{"leave":["a"],"join":["c","d","b"],"ack":["done"]}`); got != `"done"` {
		t.Error(got)
	}
	if q := a.questions(); len(q) != 1 || len(q[0].Rooms) != 2 || q[0].Data != nil {
		t.Errorf("%+v", q)
	}
	if got := do(`{"rights":{"c":["join"]},"join":["e"],"ack":["done"]}`); !strings.Contains(got, `"code":"too_large"`) { // the others are given: they stay
		t.Error(got)
	}
	if got := do(`{"leave":["b"],"join":["e","e"],"ack":["done"]}`); got != `"done"` {
		t.Error(got)
	}
}
