package relay

import (
	"context"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"testing"

	"setu/relay/broker"
	"setu/relay/engineio"
	"setu/relay/room"
	"setu/relay/socketio"
)

func textFrame(s string) *engineio.Frame {
	return engineio.NewFrame(len(s), func(dst []byte) []byte { return append(dst, s...) })
}

// written takes what an outbox has queued, as if it were written at once.
func written(o *outbox) (out []string) {
	for frames := o.take(nil, 0); len(frames) > 0; frames = o.take(nil, sizeOf(frames)) {
		for _, f := range frames {
			out = append(out, string(f.Packet()))
		}
	}
	return out
}

func TestOutboxHolds(t *testing.T) {
	woken := 0
	o := outbox{limit: 1000, wake: func() { woken++ }}
	check := func(what string, wakes int, want ...string) {
		t.Helper()
		if got := written(&o); !slices.Equal(got, want) || woken != wakes {
			t.Errorf("%s: %q, woken %d times; want %q, %d", what, got, woken, want, wakes)
		}
	}
	o.release()
	o.ahead(textFrame("a"))
	check("nothing is held", 1, "a")

	o.put(textFrame("b"))
	o.hold()
	o.put(textFrame("c"))
	o.hold() // one hold, however often
	o.put(textFrame("d"))
	o.ahead(textFrame("e"))
	check("while holding", 2, "b", "e")
	o.put(textFrame("f"))
	if woken != 2 || o.bytes != 9 {
		t.Errorf("held: woken %d times, %d bytes", woken, o.bytes)
	}
	o.ahead(textFrame("g"))
	o.release()
	o.put(textFrame("h"))
	check("released while busy", 3, "g", "c", "d", "f", "h")

	o.hold()
	o.put(textFrame("i"))
	o.release()
	check("released while idle", 4, "i")
	o.hold()
	o.release()
	o.put(textFrame("j"))
	check("nothing came", 5, "j")
	if o.bytes != 0 {
		t.Errorf("%d bytes are left", o.bytes)
	}
}

func TestOutboxHoldsSoMuch(t *testing.T) {
	sized := func(n int) *engineio.Frame { return textFrame(strings.Repeat("x", n-2-2*min(n/128, 1))) }
	o := outbox{limit: 1000, wake: func() {}}
	o.hold()
	if !o.put(sized(600)) || !o.put(sized(400)) || o.put(sized(3)) || o.bytes != 1000 {
		t.Errorf("what is held counts: %d bytes", o.bytes)
	}
	if !o.ahead(sized(5000)) {
		t.Error("the answer goes ahead, whatever its size")
	}
	if o.ahead(sized(3)) {
		t.Error("what is queued counts for whoever goes ahead")
	}
	o.release()
	frames := o.take(nil, 0)
	if o.bytes != 6000 || sizeOf(frames) != 6000 {
		t.Errorf("%d bytes, %d taken", o.bytes, sizeOf(frames))
	}
	if o.take(nil, 6000); o.bytes != 0 {
		t.Errorf("%d bytes are left", o.bytes)
	}
}

func TestOutboxTakeHeld(t *testing.T) {
	woken := 0
	o := outbox{limit: 100, wake: func() { woken++ }}
	if o.takeHeld() != nil {
		t.Error("nothing is held")
	}
	o.hold()
	for _, s := range []string{"one", "two", strings.Repeat("x", 40)} {
		o.put(textFrame(s))
	}
	lull := make(chan bool)
	go func() { lull <- o.waitLull(t.Context()) }()
	if !<-lull {
		t.Error("little is queued, whatever is held")
	}
	held := o.takeHeld()
	if len(held) != 3 || string(held[0].Packet()) != "one" || o.bytes != 0 || woken != 0 || o.lull != nil {
		t.Fatalf("%d frames, %d bytes, woken %d times", len(held), o.bytes, woken)
	}
	o.put(textFrame("next"))
	o.ahead(textFrame("before"))
	o.release()
	if got := written(&o); !slices.Equal(got, []string{"before", "next"}) || woken != 1 {
		t.Error("the hold goes on until it is released: ", got)
	}
}

func TestOutboxClosesWhileHolding(t *testing.T) {
	woken := 0
	o := outbox{limit: 100, wake: func() { woken++ }}
	o.put(textFrame("a"))
	o.hold()
	o.put(textFrame("b"))
	empty := o.close()
	o.hold()
	if o.put(textFrame("c")) || o.ahead(textFrame("d")) {
		t.Error("a closing outbox takes nothing")
	}
	o.release()
	if got := written(&o); !slices.Equal(got, []string{"a"}) || o.bytes != 0 || woken != 1 {
		t.Errorf("%q, %d bytes, woken %d times", got, o.bytes, woken)
	}
	<-empty
	o = outbox{limit: 100, wake: func() {}}
	o.hold()
	o.put(textFrame("b"))
	if o.close() != nil || o.bytes != 0 {
		t.Error("what is held alone is not waited for")
	}
}

// meanwhile is a broker that lets something happen before a user enters.
type meanwhile struct {
	broker.Broker
	enter func()
}

func (m *meanwhile) Enter(ctx context.Context, room string, u broker.User) (int, error) {
	if m.enter != nil {
		m.enter()
	}
	return m.Broker.Enter(ctx, room, u)
}

// alone is a member without a door, on a relay whose broker is b.
func alone(t *testing.T) (*member, *meanwhile) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &meanwhile{Broker: broker.NewMemory(settings(t).Limits())}
	r := newRig(t, l, b)
	t.Cleanup(r.close)
	s := r.srv.newSession()
	s.out.wake = func() {}
	m := &member{Conn: &Conn{Session: s, name: "/"}, srv: r.srv, id: s.id, user: broker.User{ID: s.id, Name: "n"}}
	m.kept = b.Keep("key", broker.Session{ID: m.id, User: m.user}, func() {})
	return m, b
}

func asked(name, arg string) Event {
	return Event{Name: name, Args: []json.RawMessage{json.RawMessage(arg)}, id: 7, hasID: true}
}

func heads(packets []string) (out []string) {
	for _, p := range packets {
		head, _, _ := strings.Cut(p, "{")
		out = append(out, head)
	}
	return out
}

// Nothing of the room comes before the join's answer, whatever happens while the store is told; a ping does.
func TestJoinHoldsTheRoom(t *testing.T) {
	s, b := alone(t)
	send := func(data string, attachments ...[]byte) {
		body, err := room.Body(newID(), s.user, json.RawMessage(data), attachments...)
		if err != nil {
			t.Fatal(err)
		}
		b.Publish(t.Context(), broker.Publication{Room: "room", User: "u", ID: newID(), Body: body})
	}
	b.enter = func() {
		send("1")
		b.Signal("room", "somebody", `"data":2`)
		s.SendAhead(pingFrame)
	}
	if err := join(t.Context(), s, asked("join", `{"room":"room","history":9,"presence":true}`)); err != nil {
		t.Fatal(err)
	}
	send("3")
	got := written(&s.out)
	if want := []string{"2", "437[", `42["message",`, `42["signal",`, `42["message",`}; !slices.Equal(heads(got), want) || !strings.Contains(got[1], `"messages":[],"count":1,"members":[{`) {
		t.Errorf("%q", got)
	}

	// Who joins again gets what happens meanwhile before the answer, and in it.
	if err := join(t.Context(), s, asked("join", `{"room":"room","history":1}`)); err != nil {
		t.Fatal(err)
	}
	got = written(&s.out)
	if want := []string{`42["message",`, `42["signal",`, "2", "437["}; !slices.Equal(heads(got), want) || !strings.Contains(got[3], `"messages":[{"room":"room","seq":3,`) {
		t.Errorf("again: %q", got)
	}
	b.enter = nil
	send(`[{"_placeholder":true,"num":0}]`, []byte("x"))
	if err := history(t.Context(), s, asked("history", `{"room":"room","limit":1}`)); err != nil {
		t.Fatal(err)
	}
	frames := s.out.take(nil, 0)
	answer := frames[len(frames)-1]
	p, err := socketio.Parse(answer.Packet()[1:])
	all := slices.Collect(answer.Attachments())
	if err != nil || p.Type != socketio.BinaryAck || p.ID != 7 || len(all) != 1 || string(all[0]) != "x" || !strings.HasPrefix(string(answer.Packet()), `461-7[{"ok":true,"messages":[{`) {
		t.Errorf("%v, %d attachments, %s", err, len(all), answer.Packet())
	}
}

// A join that fails holds nothing back any more, and leaves nobody in the room.
func TestFailedJoinHoldsNothing(t *testing.T) {
	s, b := alone(t)
	ctx, cancel := context.WithCancel(t.Context())
	b.enter = func() {
		s.Send(textFrame("elsewhere"))
		cancel()
	}
	if err := join(ctx, s, asked("join", `{"room":"room"}`)); err == nil || s.in("room") {
		t.Error("it did not fail")
	}
	s.Send(textFrame("next"))
	if got := written(&s.out); !slices.Equal(got, []string{"elsewhere", "next"}) {
		t.Error(got)
	}
	s.srv.hub.Wait() // who opened the room lets go of it, too
	if _, live := s.srv.hub.Tail("room"); live {
		t.Error("the room stays open")
	}
}
