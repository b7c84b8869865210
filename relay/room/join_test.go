package room

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/broker"
)

// A member that joins while others publish gets each message once, in the answer or after it.
func TestJoinWhilePublishing(t *testing.T) {
	h, _ := newTestHub(t)
	published := uint64(0)
	stay := guest("stay")
	join(t, h, "room", stay, JoinOptions{})
	for round := range 300 {
		since := publishMany(t, h, "room", 2)[0]
		published += 2
		var publishing sync.WaitGroup
		publishing.Go(func() {
			for i := range 8 {
				publish(t, h, "room", fmt.Sprint(round, "-", i), "1")
			}
		})
		published += 8
		m := guest(fmt.Sprint(round))
		o := JoinOptions{History: 50}
		if round%2 == 0 {
			o = JoinOptions{HasSince: true, Since: since}
		}
		j := join(t, h, "room", m, o)
		publishing.Wait()
		got := seqs(t, j.Messages)
		for _, p := range m.got("message") {
			var seq uint64
			if _, err := fmt.Sscanf(p, `42["message",{"room":"room","seq":%d`, &seq); err != nil {
				t.Fatal(err, p)
			}
			got = append(got, seq)
		}
		first := since.Seq + 1
		if !o.HasSince {
			first = got[0]
		}
		if j.Recovered != o.HasSince || !slices.Equal(got, upTo(first, published)) {
			t.Fatalf("round %d: %v, recovered %v, want %d to %d", round, got, j.Recovered, first, published)
		}
		h.Leave("room", m)
	}
	if got := stay.got("message"); len(got) != int(published) {
		t.Errorf("who stayed heard %d of %d", len(got), published)
	}
}

func TestResumeBeyondTheRing(t *testing.T) {
	h, f := newTestHub(t)
	old := publishMany(t, h, "room", 40) // before anybody came
	stay := guest("stay")
	join(t, h, "room", stay, JoinOptions{})
	r := h.room("room")
	r.mu.Lock()
	for _, e := range r.ring.entries[:30] { // as if the messages were large
		r.ring.size -= len(e.object)
	}
	r.ring.base, r.ring.whole, r.ring.entries = r.ring.entries[29].Offset, false, r.ring.entries[30:]
	r.mu.Unlock()

	for i, want := range [][]uint64{0: upTo(2, 40), 5: upTo(7, 40), 28: upTo(30, 40), 29: upTo(31, 40), 35: upTo(37, 40), 39: nil} {
		if want == nil && i != 39 {
			continue
		}
		m := guest(fmt.Sprint("m", i))
		j := join(t, h, "room", m, JoinOptions{HasSince: true, Since: old[i], History: 3})
		if !j.Recovered || !slices.Equal(seqs(t, j.Messages), want) {
			t.Errorf("since %d: recovered %v, %v", i+1, j.Recovered, seqs(t, j.Messages))
		}
	}
	wrong := old[5]
	wrong.Digest = "0"
	if j := join(t, h, "room", guest("wrong"), JoinOptions{HasSince: true, Since: wrong, History: 3}); j.Recovered || !slices.Equal(seqs(t, j.Messages), upTo(38, 40)) {
		t.Errorf("another history: recovered %v, %v", j.Recovered, seqs(t, j.Messages))
	}
	if j := join(t, h, "room", guest("many"), JoinOptions{History: 35}); !slices.Equal(seqs(t, j.Messages), upTo(6, 40)) {
		t.Errorf("the last 35: %v", seqs(t, j.Messages))
	}
	f.set(func() { f.down = true })
	if j, err := tryJoin(h, "room", guest("down"), JoinOptions{HasSince: true, Since: old[5], History: 35}); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("without the store: recovered %v, %v, %v", j.Recovered, seqs(t, j.Messages), err)
	}
	if page, more, err := h.History(context.Background(), "room", old[39], 4); err != nil || !more || !slices.Equal(seqs(t, page), upTo(36, 39)) {
		t.Errorf("a page without the store: %v %v", seqs(t, page), err)
	}
	if _, _, err := h.History(context.Background(), "room", old[31], 10); !errors.Is(err, broker.ErrUnavailable) {
		t.Error(err)
	}
}

// A member whose last message is the one before all that is stored has missed nothing that is
// gone.
func TestResumeFromTheTrimmedPredecessor(t *testing.T) {
	h, _ := newTestHub(t)
	all := publishMany(t, h, "room", 60) // 50 are kept
	join(t, h, "room", guest("stay"), JoinOptions{})
	r := h.room("room")
	r.mu.Lock()
	r.ring.base, r.ring.whole, r.ring.entries = r.ring.entries[29].Offset, false, r.ring.entries[30:]
	r.mu.Unlock()
	if j := join(t, h, "room", guest("a"), JoinOptions{HasSince: true, Since: all[9]}); !j.Recovered || !slices.Equal(seqs(t, j.Messages), upTo(11, 60)) {
		t.Errorf("recovered %v, %v", j.Recovered, seqs(t, j.Messages))
	}
	if j := join(t, h, "room", guest("b"), JoinOptions{HasSince: true, Since: all[8], History: 2}); j.Recovered || !slices.Equal(seqs(t, j.Messages), upTo(59, 60)) {
		t.Errorf("recovered %v, %v", j.Recovered, seqs(t, j.Messages))
	}
}

// A member may come from a relay that was a moment ahead.
func TestResumeAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, limits)
		defer f.Memory.Close(context.Background())
		h := NewHub(f, limits)
		defer h.Drain()
		tail := publishMany(t, h, "room", 3)[2]
		join(t, h, "room", guest("stay"), JoinOptions{})
		next := broker.Message{Room: "room", Epoch: tail.Epoch, Pos: tail.Pos + 1, Seq: 4, Prev: tail.Digest, Digest: "d4", Body: `"data":4`}
		other := next
		other.Pos, other.Seq, other.Prev, other.Digest = next.Pos+1, 5, "d4", "d5"

		f.set(func() {
			f.reach = func(context.Context, broker.Offset) error {
				<-time.After(time.Second)
				h.room("room").Deliver(next)
				h.room("room").Deliver(other)
				return nil
			}
		})
		start := time.Now()
		if j := join(t, h, "room", guest("a"), JoinOptions{HasSince: true, Since: next.Offset()}); !j.Recovered || !slices.Equal(seqs(t, j.Messages), []uint64{5}) || time.Since(start) != time.Second {
			t.Errorf("recovered %v, %v", j.Recovered, seqs(t, j.Messages))
		}

		f.set(func() {
			f.reach = func(ctx context.Context, _ broker.Offset) error { <-ctx.Done(); return broker.ErrUnavailable }
		})
		start = time.Now()
		never := broker.Offset{Epoch: tail.Epoch, Pos: tail.Pos + 50, Seq: 50, Digest: "x"}
		if _, err := tryJoin(h, "room", guest("b"), JoinOptions{HasSince: true, Since: never, History: 1}); !errors.Is(err, broker.ErrUnavailable) || time.Since(start) != aheadPause {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}

func TestReset(t *testing.T) {
	h, _ := newTestHub(t)
	publishMany(t, h, "room", 3)
	a, b := guest("a"), guest("b")
	join(t, h, "room", a, JoinOptions{})
	join(t, h, "room", b, JoinOptions{})
	a.got("")
	now := story("new", 5, 9)
	for i := range now {
		now[i].At = time.Now().UnixMilli()
	}
	h.room("room").Load(broker.Snapshot{Tail: now[4].Offset(), Messages: now, More: true}, "epoch")
	for _, m := range []*member{a, b} {
		got := m.got("reset")
		if len(got) != 1 || !strings.HasPrefix(got[0], `42["reset",{"room":"room","recovered":false,"reason":"epoch","offset":"new.2i.9.new9","messages":[{"room":"room","seq":5,`) ||
			!strings.HasSuffix(got[0], `],"count":2},"new.2i.9.new9"]`) {
			t.Error(got)
		}
	}
	if j := join(t, h, "room", guest("c"), JoinOptions{HasSince: true, Since: now[2].Offset()}); !j.Recovered || !slices.Equal(seqs(t, j.Messages), upTo(8, 9)) {
		t.Errorf("%+v", j)
	}
}

// An answer is bounded, and leaves out the oldest.
func TestFit(t *testing.T) {
	of := func(n int) stored { return stored{object: make([]byte, n)} }
	l := List{of(MaxReplay / 2), of(MaxReplay / 2), of(MaxReplay/2 - 10)}
	if got := l.fit(); len(got) != 2 || len(got[1].object) != MaxReplay/2-10 {
		t.Error(len(got))
	}
	if got := l[2:].fit(); len(got) != 1 {
		t.Error(len(got))
	}
	if got := (List{of(MaxReplay + 1)}).fit(); len(got) != 0 {
		t.Error(len(got))
	}
}

// The store hears nothing of a user for whom a room has no place, so that nobody is told of them. A user
// who is there over another relay has a place.
func TestFullRoom(t *testing.T) {
	h, f := newTestHub(t)
	h.BoundMembers(2)
	for _, name := range []string{"a", "b"} {
		if _, err := f.Memory.Enter(t.Context(), "room", guest(name).User()); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(name string, o JoinOptions) {
		t.Helper()
		if err := h.Join(t.Context(), "room", guest(name), o, func(Joined) { t.Error(name, " is in") }); err != ErrFull {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused("c", JoinOptions{})
	refused("c", JoinOptions{Presence: true})
	join(t, h, "room", guest("a"), JoinOptions{Presence: true})
	refused("d", JoinOptions{})
	join(t, h, "room", guest("e"), JoinOptions{Invisible: true})
	if !slices.Equal(f.entered, []string{"user-a"}) {
		t.Errorf("told of %q", f.entered)
	}
}
