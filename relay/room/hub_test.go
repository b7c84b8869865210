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

// Rooms open with the first member and close with the last, however they come and go, and no two
// are open under one name.
func TestRoomsOpenAndClose(t *testing.T) {
	h, f := newTestHub(t)
	var all sync.WaitGroup
	for g := range 16 {
		all.Go(func() {
			m := guest(fmt.Sprint(g))
			for i := range 200 {
				name := fmt.Sprint("room", i%2)
				if join(t, h, name, m, JoinOptions{Presence: i%3 == 0}).Count < 1 {
					t.Error("nobody is here")
				}
				if i%5 == 0 {
					join(t, h, name, m, JoinOptions{})
				}
				if i%7 == 0 {
					publish(t, h, name, fmt.Sprint(g, "-", i), "1")
				}
				h.Leave(name, m)
				h.Leave(name, m) // once is enough
			}
		})
	}
	all.Wait()
	h.Wait()
	if n := h.count(); n != 0 || f.most != 1 {
		t.Errorf("%d rooms are left; at most %d subscriptions of one room at a time", n, f.most)
	}
	for _, name := range []string{"room0", "room1"} {
		if f.subs[name] != 0 {
			t.Error("a subscription is left")
		}
		if _, n, _ := f.Memory.Members(t.Context(), name, 100); n != 0 {
			t.Errorf("%d ghosts in %s", n, name)
		}
	}
}

// The broker ends up with the users that are here, whichever call overtook which.
func TestPresenceSettles(t *testing.T) {
	for round := range 150 {
		h, f := newTestHub(t)
		keep := guest("keep")
		join(t, h, "room", keep, JoinOptions{})
		var all sync.WaitGroup
		for g := range 4 { // four tabs of one user; on even rounds the first stays in the end
			all.Go(func() {
				m := guest("user")
				m.id = fmt.Sprint("tab", g)
				for range 6 {
					join(t, h, "room", m, JoinOptions{})
					h.Leave("room", m)
				}
				if g == 0 && round%2 == 0 {
					join(t, h, "room", m, JoinOptions{})
				}
			})
		}
		all.Wait()
		users, n, _ := f.Memory.Members(t.Context(), "room", 100)
		if want := 2 - round%2; n != want {
			t.Fatalf("round %d: %d users, want %d: %v", round, n, want, users)
		}
	}
}

// laggard does something else before an Enter or a Leave arrives.
type laggard struct {
	*fake
	enter, leave func()
}

func (l *laggard) Leave(room, id string) {
	if l.leave != nil {
		l.leave()
	}
	l.fake.Leave(room, id)
}

func (l *laggard) Enter(ctx context.Context, room string, u broker.User) (int, error) {
	if l.enter != nil {
		l.enter()
	}
	return l.fake.Enter(ctx, room, u)
}

// A user who comes back over another tab before the leave has arrived is here.
func TestLeaveIsOvertaken(t *testing.T) {
	f := &laggard{fake: newFake(t, limits)}
	h := NewHub(f, limits)
	join(t, h, "room", guest("keep"), JoinOptions{})
	one, two := guest("user"), guest("user")
	two.id = "two"
	join(t, h, "room", one, JoinOptions{})
	f.leave = func() {
		f.leave = nil
		join(t, h, "room", two, JoinOptions{})
	}
	h.Leave("room", one)
	if users, n, _ := f.Memory.Members(t.Context(), "room", 10); n != 2 {
		t.Error(users)
	}
}

// A user comes back while the leave is on its way, and leaves again before the broker has heard of
// the return: no ghost stays.
func TestNoGhost(t *testing.T) {
	f := &laggard{fake: newFake(t, limits)}
	h := NewHub(f, limits)
	join(t, h, "room", guest("keep"), JoinOptions{})
	one, two := guest("user"), guest("user")
	two.id = "two"
	join(t, h, "room", two, JoinOptions{})
	f.enter = func() {
		f.enter = nil
		h.Leave("room", two)
	}
	// Two is here while the leave of one is announced, as if two had come just then.
	h.announceLeave("room", one.user.ID)
	if users, n, _ := f.Memory.Members(t.Context(), "room", 10); n != 1 || strings.Contains(fmt.Sprint(users), "user-user") {
		t.Error(users)
	}
}

func TestSubscribeFails(t *testing.T) {
	h, f := newTestHub(t)
	f.refuse = 2
	m := guest("a")
	for range 2 {
		if err := h.Join(t.Context(), "room", m, JoinOptions{}, func(Joined) { t.Error("answered") }); !errors.Is(err, broker.ErrUnavailable) {
			t.Error(err)
		}
	}
	h.Wait()
	if h.count() != 0 {
		t.Error("a room that could not be opened stays")
	}
	join(t, h, "room", m, JoinOptions{})
	h.Leave("room", m)
	h.Wait()
	if h.count() != 0 {
		t.Error("a room stays")
	}
}

// If many wait for a room that can't be opened, all are told, and the next to come tries again.
func TestSubscribeFailsForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, limits)
		defer f.Memory.Close(context.Background())
		h := NewHub(f, limits)
		defer h.Drain()
		f.refuse, f.hold = 1, make(chan struct{})
		failed := make(chan error, 20)
		for i := range cap(failed) {
			go func() {
				failed <- h.Join(context.Background(), "room", guest(fmt.Sprint(i)), JoinOptions{}, func(Joined) {})
			}()
		}
		synctest.Wait()
		close(f.hold)
		for range cap(failed) {
			if err := <-failed; !errors.Is(err, broker.ErrUnavailable) {
				t.Error(err)
			}
		}
		h.Wait()
		if h.count() != 0 {
			t.Error("a room stays")
		}
		join(t, h, "room", guest("next"), JoinOptions{})
	})
}

// A room that is open only after all who waited for it have given up closes again.
func TestRoomNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, limits)
		defer f.Memory.Close(context.Background())
		h := NewHub(f, limits)
		defer h.Drain()
		f.hold = make(chan struct{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.Join(ctx, "room", guest("a"), JoinOptions{}, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		h.Leave("room", guest("a"))
		if _, _, err := h.History(t.Context(), "room", broker.Offset{}, 5); err != nil {
			t.Error("a room being opened hides the store: ", err)
		}
		close(f.hold)
		h.Wait()
		if h.count() != 0 || f.subs["room"] != 0 {
			t.Error("a room stays open")
		}
	})
}

// A live room can be joined and listed while the store is away.
func TestStoreIsAway(t *testing.T) {
	h, f := newTestHub(t)
	publishMany(t, h, "room", 3)
	join(t, h, "room", guest("a"), JoinOptions{})
	f.set(func() { f.down = true })
	j := join(t, h, "room", guest("b"), JoinOptions{History: 2, Presence: true})
	if j.Count != 2 || len(j.Members) != 2 || !slices.Equal(seqs(t, j.Messages), upTo(2, 3)) {
		t.Errorf("%+v", j)
	}
	users, n, err := h.Members(t.Context(), "room")
	if len(users) != 2 || n != 2 || err != nil {
		t.Error(users, n, err)
	}
	if _, _, err := h.Members(t.Context(), "elsewhere"); !errors.Is(err, broker.ErrUnavailable) {
		t.Error(err)
	}
}

func TestLargeRoomsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, limits)
		defer f.Memory.Close(context.Background())
		h := NewHub(f, limits)
		defer h.Drain()
		asks := guest("asks")
		join(t, h, "room", asks, JoinOptions{Presence: true})
		for i := range MaxMembers - 1 {
			join(t, h, "room", guest(fmt.Sprint(i)), JoinOptions{})
		}
		if users, n, err := h.Members(t.Context(), "room"); len(users) != MaxMembers || n != MaxMembers || err != nil {
			t.Error(len(users), n, err)
		}
		<-time.After(time.Second)
		// All but itself.
		if got := asks.got("presence"); len(got) != 1 || strings.Count(got[0], `"name"`) != MaxMembers-1 {
			t.Errorf("%d, %.200q", len(got), got)
		}
		last := guest("last")
		if j := join(t, h, "room", last, JoinOptions{Presence: true}); j.Members != nil || j.Count != MaxMembers+1 {
			t.Error(j.Count, len(j.Members))
		}
		if users, n, err := h.Members(t.Context(), "room"); users != nil || n != MaxMembers+1 || err != nil {
			t.Error(len(users), n, err)
		}
		f.set(func() { f.down = true })
		if users, n, err := h.Members(t.Context(), "room"); users != nil || n != MaxMembers+1 || err != nil {
			t.Error("of this relay: ", len(users), n, err)
		}
		<-time.After(time.Second)
		if got := asks.got("presence"); !slices.Equal(got, []string{`42["presence",{"room":"room","count":1001}]`}) {
			t.Error(got)
		}
		h.Leave("room", last)
		h.Leave("room", guest("nobody"))
		<-time.After(time.Second)
		if got := asks.got("presence"); len(got) != 1 || !strings.HasPrefix(got[0], `42["presence",{"room":"room","count":1000,"left":[{"id":"user-last",`) {
			t.Error(got)
		}
	})
}

func TestDrainAnnouncesNobody(t *testing.T) {
	h, f := newTestHub(t)
	a, b := guest("a"), guest("b")
	join(t, h, "room", a, JoinOptions{})
	join(t, h, "room", b, JoinOptions{})
	h.Drain()
	h.Leave("room", a)
	h.Leave("room", b)
	if _, n, _ := f.Memory.Members(t.Context(), "room", 10); n != 2 {
		t.Errorf("%d users: whoever comes back elsewhere never left", n)
	}
	h.Wait()
	if h.count() != 0 {
		t.Error("a room stays")
	}
}
