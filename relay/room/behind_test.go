package room

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/broker"
)

// tryJoin joins and returns what came of it.
func tryJoin(h *Hub, name string, m Member, o JoinOptions) (j Joined, err error) {
	err = h.Join(context.Background(), name, m, o, func(got Joined) { j = got })
	return j, err
}

// What a member has from a relay that was ahead is waited for. If this relay stays behind, or the
// store does not answer, the join fails: it is not told that something is lost, and not given an
// older state. That it is lost only the store says.
func TestJoinAhead(t *testing.T) {
	h, f := newTestHub(t)
	join(t, h, "room", guest("a"), JoinOptions{})
	publishMany(t, h, "room", 3)
	tail, _ := h.Tail("room")
	ahead := tail
	ahead.Pos, ahead.Seq = tail.Pos+1, tail.Seq+1
	foreign := tail
	foreign.Epoch = "another"
	moment := broker.Offset{Epoch: tail.Epoch, Pos: tail.Pos + 1, At: time.Now().UnixMilli()}
	for name, since := range map[string]broker.Offset{"a message": ahead, "an epoch": foreign, "a moment": moment} {
		o := JoinOptions{Since: since, HasSince: true, History: 2}
		f.set(func() { f.reach = func(context.Context, broker.Offset) error { return broker.ErrUnavailable } })
		if j, err := tryJoin(h, "room", guest("b"), o); !errors.Is(err, broker.ErrUnavailable) {
			t.Errorf("%s ahead of a relay that stays behind: %+v, %v", name, j, err)
		}
		f.set(func() { f.reach = func(context.Context, broker.Offset) error { return broker.ErrGap } })
		if j, err := tryJoin(h, "room", guest("b"), o); err != nil || j.Recovered || !slices.Equal(seqs(t, j.Messages), upTo(2, 3)) {
			t.Errorf("%s that the store does not know: %+v, %v", name, j, err)
		}
	}
	f.set(func() {
		f.reach = func(context.Context, broker.Offset) error {
			publishMany(t, h, "room", 1) // which has this position, and another digest
			return nil
		}
	})
	if j, err := tryJoin(h, "room", guest("b"), JoinOptions{Since: ahead, HasSince: true}); err != nil || j.Recovered {
		t.Errorf("a message that came with another digest: %+v, %v", j, err)
	}
	next := broker.Offset{}
	f.set(func() { f.reach = func(context.Context, broker.Offset) error { return nil } })
	next = publishMany(t, h, "room", 1)[0]
	if j, err := tryJoin(h, "room", guest("c"), JoinOptions{Since: next, HasSince: true}); err != nil || !j.Recovered {
		t.Errorf("a message that has come: %+v, %v", j, err)
	}
}

// Before a member is told that what is here is not the history that it knows, the store is asked where it
// stands: if that is another epoch, other messages are there, and the answer is of that epoch.
func TestJoinWithAnotherHistory(t *testing.T) {
	for name, here := range map[string]int{"in the ring": 8, "in the store": 2} {
		h, f := newTestHub(t)
		offsets := publishMany(t, h, "room", 8)
		join(t, h, "room", guest("a"), JoinOptions{})
		r := h.room("room")
		r.mu.Lock()
		r.ring.count = here
		r.mu.Unlock()
		publishMany(t, h, "room", 1)
		asked := 0
		f.set(func() {
			f.reach = func(context.Context, broker.Offset) error {
				if asked++; asked == 1 {
					now := story("new", 5, 9)
					r.Load(broker.Snapshot{Tail: now[4].Offset(), Messages: now}, "epoch")
				}
				return broker.ErrGap
			}
		})
		since := offsets[3]
		since.Digest = "another"
		j := join(t, h, "room", guest("b"), JoinOptions{Since: since, HasSince: true, History: 2})
		if j.Recovered || j.Offset.Epoch != "new" || !slices.Equal(seqs(t, j.Messages), upTo(8, 9)) || asked != 1 {
			t.Errorf("%s: asked %d times, %+v", name, asked, j)
		}
		f.set(func() { f.reach = func(context.Context, broker.Offset) error { return broker.ErrUnavailable } })
		since.Epoch = "new"
		if j, err := tryJoin(h, "room", guest("c"), JoinOptions{Since: since, HasSince: true}); !errors.Is(err, broker.ErrUnavailable) {
			t.Errorf("%s, and the store does not answer: %+v, %v", name, j, err)
		}
		f.set(func() {
			f.reach = func(context.Context, broker.Offset) error { asked++; return broker.ErrGap }
		})
		if j := join(t, h, "room", guest("d"), JoinOptions{Since: offsets[3], HasSince: true}); j.Recovered || asked != 2 {
			t.Errorf("%s, of the epoch of before: asked %d times, %+v", name, asked, j)
		}
	}
}

// Where the ring does not reach and the store can't be read, nobody is told that something is lost.
func TestJoinSinceUnreadable(t *testing.T) {
	h, f := newTestHub(t)
	offsets := publishMany(t, h, "room", 20)
	join(t, h, "room", guest("a"), JoinOptions{})
	r := h.room("room")
	r.mu.Lock()
	r.ring.count = 5
	r.mu.Unlock()
	publishMany(t, h, "room", 1)
	f.set(func() { f.down = true })
	o := JoinOptions{Since: offsets[3], HasSince: true, History: 3}
	if j, err := tryJoin(h, "room", guest("b"), o); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("%+v, %v", j, err)
	}
	if j := join(t, h, "room", guest("c"), JoinOptions{Since: offsets[18], HasSince: true}); !j.Recovered || len(j.Messages) != 2 {
		t.Errorf("what the ring has: %+v", j)
	}
	if j := join(t, h, "room", guest("d"), JoinOptions{History: 3}); len(j.Messages) != 3 {
		t.Errorf("without since: %+v", j)
	}
	f.set(func() { f.down = false })
	if j := join(t, h, "room", guest("b"), o); !j.Recovered || !slices.Equal(seqs(t, j.Messages), upTo(5, 21)) {
		t.Errorf("once it can be read: %+v", j)
	}
}

// A moment says that a room was empty then. In a history that was rolled back and has grown again it
// proves nothing: what stands in the room then came before it, or is all that there is.
func TestJoinSinceMoment(t *testing.T) {
	h, _ := newTestHub(t)
	a := guest("a")
	empty := join(t, h, "room", a, JoinOptions{}).Offset
	publishMany(t, h, "room", 3)
	publishMany(t, h, "elsewhere", 10)
	h.Leave("room", a)
	b := guest("b")
	later := broker.Offset{Epoch: empty.Epoch, Pos: empty.Pos + 5, At: time.Now().UnixMilli()}
	for _, live := range []bool{false, true} {
		if live {
			join(t, h, "room", a, JoinOptions{})
		}
		if j := join(t, h, "room", b, JoinOptions{Since: empty, HasSince: true}); !j.Recovered || !slices.Equal(seqs(t, j.Messages), upTo(1, 3)) {
			t.Errorf("live %v: all that came: %+v", live, j)
		}
		h.Leave("room", b)
		if j := join(t, h, "room", b, JoinOptions{Since: later, HasSince: true, History: 2}); j.Recovered || len(j.Messages) != 2 {
			t.Errorf("live %v: messages came before it was empty: %+v", live, j)
		}
		h.Leave("room", b)
		if j := join(t, h, "room", b, JoinOptions{Since: later, HasSince: true, Vouched: true}); !j.Recovered || len(j.Messages) != 0 {
			t.Errorf("live %v: a moment that is vouched for: %+v", live, j)
		}
		h.Leave("room", b)
	}
}

// A list that stopped at its bound is told anew when the room is small again.
func TestLargeRoomBecomesSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, f := newTestHub(t)
		a := guest("a")
		join(t, h, "room", a, JoinOptions{Presence: true})
		for i := range MaxMembers {
			f.Memory.Enter(t.Context(), "room", guest(string(rune('A'+i%26))+time.Duration(i).String()).user)
		}
		<-time.After(time.Second)
		a.got("presence")
		f.Memory.Leave("room", "user-A0s")
		<-time.After(time.Second)
		synctest.Wait()
		found := false
		for _, p := range a.got("presence") {
			found = found || len(p) > 30*MaxMembers
		}
		if !found {
			t.Error("no list came")
		}
		_ = f.Memory.Close(context.Background())
	})
}
