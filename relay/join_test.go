package relay

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/broker"
	"setu/relay/room"
	"setu/relay/wiretest"
)

// meanwhile is a broker that lets something happen before a user enters, or instead of a
// subscription.
type meanwhile struct {
	broker.Broker
	enter     atomic.Pointer[func()]
	subscribe atomic.Pointer[func() error]
}

func (m *meanwhile) Subscribe(ctx context.Context, room string, sub broker.Subscriber, list int) (func(), error) {
	if f := m.subscribe.Load(); f != nil {
		return nil, (*f)()
	}
	return m.Broker.Subscribe(ctx, room, sub, list)
}

func (m *meanwhile) Enter(ctx context.Context, room string, u broker.User) (int, error) {
	if f := m.enter.Load(); f != nil {
		(*f)()
	}
	return m.Broker.Enter(ctx, room, u)
}

func (m *meanwhile) onEnter(f func())           { m.enter.Store(&f) }
func (m *meanwhile) onSubscribe(f func() error) { m.subscribe.Store(&f) }

// send publishes to the room without a client.
func (m *meanwhile) send(t *testing.T, id, data string, attachments ...[]byte) {
	t.Helper()
	m.sendTo(t, "room", id, data, attachments...)
}

func (m *meanwhile) sendTo(t *testing.T, name, id, data string, attachments ...[]byte) {
	t.Helper()
	body := room.Body(id, broker.User{ID: "u", Name: "n"}, json.RawMessage(data), attachments...)
	m.Publish(t.Context(), broker.Publication{Room: name, User: "u", ID: id, Body: body})
}

// overMeanwhile runs a test in a bubble, against a relay over a meanwhile.
func overMeanwhile(t *testing.T, test func(t *testing.T, r *rig, b *meanwhile)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &meanwhile{Broker: broker.NewMemory(settings(t).Limits())}
		l := wiretest.NewPipes()
		r := newRig(t, l, l.Dial, b)
		defer func() {
			b.enter.Store(nil)
			b.subscribe.Store(nil)
			r.close()
		}()
		test(t, r, b)
	})
}

// heads reads n packets, and returns each cut before its object, and whole.
func heads(p *wiretest.Peer, n int) (out, whole []string) {
	for range n {
		s := p.Packet()
		head, _, _ := strings.Cut(s, "{")
		out, whole = append(out, head), append(whole, s)
	}
	return out, whole
}

// Nothing of the room comes before the join's answer, whatever happens while the store is asked,
// but a ping does.
func TestJoinHoldsTheRoom(t *testing.T) {
	overMeanwhile(t, func(t *testing.T, r *rig, b *meanwhile) {
		stay := r.guest("stay")
		stay.Call("join", `{"room":"room"}`)
		p := r.guest("a")
		b.onEnter(func() {
			b.send(t, "1", "1")
			b.Signal("room", "somebody", `"data":2`)
			<-time.After(26 * time.Second) // a ping is due
		})
		p.Text(`427["join",{"room":"room","history":9,"presence":true}]`)
		p.Expect("2")
		p.Text("3")
		synctest.Wait()
		b.send(t, "3", "3")
		got, whole := heads(p, 4)
		if want := []string{"437[", `42["message",`, `42["signal",`, `42["message",`}; !slices.Equal(got, want) ||
			!strings.Contains(whole[0], `"messages":[],"count":2,"members":[{`) {
			t.Errorf("%q", whole)
		}

		// A client that joins again gets what happens meanwhile before the answer, and in it.
		b.onEnter(func() {
			b.send(t, "4", "4")
			b.Signal("room", "somebody", `"data":2`)
		})
		p.Text(`427["join",{"room":"room","history":1}]`)
		got, whole = heads(p, 3)
		if want := []string{`42["message",`, `42["signal",`, "437["}; !slices.Equal(got, want) ||
			!strings.Contains(whole[2], `"messages":[{"room":"room","seq":3,`) {
			t.Errorf("again: %q", whole)
		}

		// What a list holds as binary follows it as binary.
		b.send(t, "5", `[{"_placeholder":true,"num":0}]`, []byte("x"))
		p.FrameOf(wiretest.OpText)
		p.FrameOf(wiretest.OpBinary)
		p.Text(`427["history",{"room":"room","limit":1}]`)
		if s := p.Packet(); !strings.HasPrefix(s, `461-7[{"ok":true,"messages":[{`) {
			t.Error(s)
		}
		if f := p.FrameOf(wiretest.OpBinary); string(f.Payload) != "x" {
			t.Errorf("%q", f.Payload)
		}
	})
}

// A join that fails holds nothing back any more.
func TestFailedJoinHoldsNothing(t *testing.T) {
	overMeanwhile(t, func(t *testing.T, r *rig, b *meanwhile) {
		p := r.member("a", "elsewhere")
		b.onSubscribe(func() error {
			b.sendTo(t, "elsewhere", "1", "1")
			return broker.ErrUnavailable
		})
		p.Text(`427["join",{"room":"room"}]`)
		got, whole := heads(p, 2)
		if want := []string{`42["message",`, "437["}; !slices.Equal(got, want) || !strings.Contains(whole[1], codeUnavailable) {
			t.Errorf("%q", whole)
		}
		b.sendTo(t, "elsewhere", "2", "2")
		if s := p.Packet(); !strings.HasPrefix(s, `42["message",{"room":"elsewhere","seq":2,`) {
			t.Error(s)
		}
	})
}

// A client that is gone before the store has answered its join stays in no room.
func TestAbandonedJoin(t *testing.T) {
	overMeanwhile(t, func(t *testing.T, r *rig, b *meanwhile) {
		p := r.guest("a")
		b.onEnter(func() {
			_ = p.Conn.Close()
			<-time.After(time.Second)
		})
		p.Text(`427["join",{"room":"room"}]`)
		<-time.After(2 * time.Second)
		if n := r.srv.engine.Count(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		r.srv.hub.Wait() // for the room that the join opened
		if _, live := r.srv.hub.Tail("room"); live {
			t.Error("the room stays open")
		}
	})
}
