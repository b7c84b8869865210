package room

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/broker"
)

// meeting is a broker whose calls wait for one another: for so many, or for ever.
type meeting struct {
	*fake
	sync.WaitGroup
}

func (b *meeting) meet() {
	b.Done()
	b.Wait()
}

func (b *meeting) Subscribe(ctx context.Context, room string, sub broker.Subscriber, list int) (func(), error) {
	b.meet()
	return b.fake.Subscribe(ctx, room, sub, list)
}

func (b *meeting) Enter(ctx context.Context, room string, u broker.User) (int, error) {
	b.meet()
	return b.fake.Enter(ctx, room, u)
}

func (b *meeting) MembersNow(context.Context, string, int) ([]string, int, error) {
	panic("another trip to the store")
}

// The first member of a room joins it in one trip: all that the store is asked for, it is asked for at
// once.
func TestFirstJoin(t *testing.T) {
	f := newFake(t, limits)
	b := &meeting{fake: f}
	h := NewHub(b, limits)
	f.Memory.Enter(t.Context(), "room", guest("elsewhere").user)
	past := NewHub(f, limits)
	last := publishMany(t, past, "room", 3)[2]
	moment := f.Head()
	var saved []broker.Offset
	o := JoinOptions{History: 9, Presence: true, Save: func(ctx context.Context, since broker.Offset) error {
		saved = append(saved, since)
		if ctx.Err() == nil {
			b.meet()
		}
		return nil
	}}
	b.Add(3)
	m := guest("m")
	j := join(t, h, "room", m, o)
	if j.Offset != last || !slices.Equal(seqs(t, j.Messages), upTo(1, 3)) || j.Count != 2 || len(j.Members) != 2 {
		t.Errorf("%+v", j)
	}
	if len(saved) != 2 || saved[0].Seq != 0 || saved[0].Pos != moment.Pos || saved[1] != last {
		t.Errorf("saved as %v, want a moment, and then without waiting %v", saved, last)
	}
	h.opening.Wait() // it has a reference of its own
	if r := h.room("room"); r.first != nil || len(r.roster.log.open) != 0 || r.refs != 1 {
		t.Errorf("%v is about to be the first, %d read, %d references", r.first, len(r.roster.log.open), r.refs)
	}
	h.Leave("room", m)
	h.Wait()

	saved = nil
	b.Add(3)
	if j := join(t, h, "empty", m, o); j.Count != 1 || len(j.Members) != 1 || len(saved) != 1 {
		t.Errorf("%+v, saved as %v", j, saved)
	}
}

// If the room moves on while it is opened, the answer waits until it is saved where it stood then.
func TestFirstJoinIsOvertaken(t *testing.T) {
	h, f := newTestHub(t)
	f.hold = make(chan struct{})
	var saved []broker.Offset
	begun := make(chan struct{}, 2)
	o := JoinOptions{History: 9, Save: func(ctx context.Context, since broker.Offset) error {
		if ctx.Err() != nil {
			t.Error("nobody waits")
		}
		saved = append(saved, since)
		begun <- struct{}{}
		return nil
	}}
	var last broker.Offset
	var publishing sync.WaitGroup
	publishing.Go(func() {
		<-begun
		last = publishMany(t, h, "room", 2)[1]
		close(f.hold)
	})
	j := join(t, h, "room", guest("m"), o)
	publishing.Wait()
	if j.Offset != last || len(saved) != 2 || saved[1] != last {
		t.Errorf("joined at %v, saved as %v, want %v", j.Offset, saved, last)
	}
}

// behind is a broker that has not heard of what is published.
type behind struct {
	*fake
	head broker.Offset
}

func (b *behind) Head() broker.Offset { return b.head }

// Who comes to a relay that is behind, with the newest message, is saved as having it from the first: what
// is saved later may get lost.
func TestFirstJoinFromBeyond(t *testing.T) {
	f := newFake(t, limits)
	h := NewHub(&behind{f, f.Head()}, limits)
	last := publishMany(t, NewHub(f, limits), "room", 3)[2]
	for since, want := range map[broker.Offset][]broker.Offset{
		last: {last},
		{Epoch: last.Epoch, Pos: last.Pos, Seq: 9, Digest: "another"}: {{Epoch: last.Epoch, Pos: last.Pos, Seq: 9, Digest: "another"}, last},
	} {
		var saved []broker.Offset
		m := guest("m")
		j := join(t, h, "room", m, JoinOptions{HasSince: true, Since: since, Save: func(ctx context.Context, at broker.Offset) error {
			if ctx.Err() != nil {
				t.Error("nobody waits")
			}
			saved = append(saved, at)
			return nil
		}})
		if j.Offset != last || j.Recovered != (since == last) || !slices.Equal(saved, want) {
			t.Errorf("since %v: joined at %v, recovered %t, saved as %v, want %v", since, j.Offset, j.Recovered, saved, want)
		}
		h.Leave("room", m)
		h.Wait()
	}
}

// Who does not become the first member, after all, is not there for others.
func TestFirstGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, limits)
		defer f.Memory.Close(context.Background())
		h := NewHub(f, limits)
		defer h.Wait()
		defer h.Drain()
		there := func(when string, want int) {
			t.Helper()
			synctest.Wait()
			if users, n, _ := f.Memory.Members(t.Context(), "room", 9); n != want {
				t.Errorf("%s: %q are there, want %d", when, users, want)
			}
		}
		m, other := guest("m"), guest("other")
		f.refuse = 1
		if err := h.Join(t.Context(), "room", m, JoinOptions{}, nil); !errors.Is(err, broker.ErrUnavailable) {
			t.Error(err)
		}
		there("the room could not be opened", 0)

		f.set(func() { f.hold = make(chan struct{}) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var joining sync.WaitGroup
		joining.Go(func() {
			if err := h.Join(ctx, "room", m, JoinOptions{Presence: true}, nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
		synctest.Wait()
		joining.Go(func() { join(t, h, "room", other, JoinOptions{Presence: true}) })
		<-time.After(2 * time.Second)
		f.set(func() { close(f.hold); f.hold = nil })
		joining.Wait()
		there("the first did not wait", 1)
		h.Leave("room", other)
		there("all have left", 0)
	})
}
