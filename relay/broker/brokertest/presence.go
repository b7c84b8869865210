package brokertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/wiretest"
)

func user(id string) broker.User { return broker.User{ID: id, Name: "Name of " + id, Guest: true} }

// shown is how others see user(id).
func shown(id string) string {
	return fmt.Sprintf(`{"id":%q,"name":"Name of %s","guest":true}`, id, id)
}

func enter(t *testing.T, b broker.Broker, room, id string, want int) {
	t.Helper()
	if n, err := b.Enter(t.Context(), room, user(id)); n != want || err != nil {
		t.Errorf("%s enters %s: %d, %v; want %d", id, room, n, err, want)
	}
}

// membersAre waits until a room's members are ids.
func membersAre(t *testing.T, b broker.Broker, room string, ids ...string) {
	t.Helper()
	var want []string
	for _, id := range ids {
		want = append(want, shown(id))
	}
	usersAre(t, b, room, want...)
}

// usersAre waits until a room's members are want, in JSON and in its order.
func usersAre(t *testing.T, b broker.Broker, room string, want ...string) {
	t.Helper()
	var got []string
	eventually(t, func() string { return fmt.Sprintf("members %q, but %q", want, got) }, func() bool {
		var count int
		var err error
		got, count, err = b.Members(t.Context(), room, 100)
		slices.Sort(got)
		return err == nil && count == len(want) && slices.Equal(got, want)
	})
}

// moved waits until the changes heard are want, as "+1 ann".
func (r *recorder) moved(want ...string) {
	r.t.Helper()
	for i, w := range want {
		var sign, id string
		fmt.Sscan(w, &sign, &id)
		want[i] = sign + " " + shown(id)
	}
	what := func() string { return fmt.Sprintf("%s: changes %q, but %q", r.name, want, r.moves()) }
	eventually(r.t, what, func() bool { return len(r.moves()) >= len(want) })
	if got := r.moves(); !slices.Equal(got, want) {
		r.t.Fatalf("%s: changes %q, want %q", r.name, got, want)
	}
}

func testPresence(t *testing.T, h Harness) {
	relay := h.New(t, defaults()).Open(t)
	r := follow(t, relay, "a")
	membersAre(t, relay, "a")
	enter(t, relay, "a", "ann", 1)
	enter(t, relay, "a", "ben", 2)
	enter(t, relay, "a", "ben", 2) // again is nothing new
	enter(t, relay, "b", "ann", 1)
	membersAre(t, relay, "a", "ann", "ben")
	if got, n, err := relay.Members(t.Context(), "a", 1); len(got) != 0 || n != 2 || err != nil {
		t.Errorf("over the limit: %q, %d, %v", got, n, err)
	}
	if got, n, err := relay.Members(t.Context(), "a", 2); len(got) != 2 || n != 2 || err != nil {
		t.Errorf("at the limit: %q, %d, %v", got, n, err)
	}
	relay.Leave("a", "nobody")
	relay.Leave("a", "ann")
	r.moved("+1 ann", "+2 ben", "-1 ann")
	membersAre(t, relay, "a", "ben")
	membersAre(t, relay, "b", "ann")
	relay.Leave("a", "ben")
	r.moved("+1 ann", "+2 ben", "-1 ann", "-0 ben")
	membersAre(t, relay, "a")
}

func testSharedPresence(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	one, other := store.Open(t), store.Open(t)
	r := follow(t, one, "a")
	enter(t, one, "a", "ann", 1)
	enter(t, other, "a", "ann", 1) // two tabs, two relays, one person
	enter(t, other, "a", "ben", 2)
	membersAre(t, one, "a", "ann", "ben")
	membersAre(t, other, "a", "ann", "ben")
	one.Leave("a", "ann")
	other.Leave("a", "ben")
	r.moved("+1 ann", "+2 ben", "-1 ben")
	membersAre(t, one, "a", "ann")
	other.Leave("a", "ann")
	r.moved("+1 ann", "+2 ben", "-1 ben", "-0 ann")
	membersAre(t, other, "a")
}

// That nobody is in a room is said by an empty list: none would mean that there are too many for one.
func testNobodyPresent(t *testing.T, h Harness) {
	relay := h.New(t, defaults()).Open(t)
	r := &recorder{t: t, name: "a"}
	stop, err := relay.Subscribe(t.Context(), "a", r, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if s := r.snapshot; s.Members == nil || len(s.Members) != 0 || s.Count != 0 {
		t.Errorf("the snapshot: %#v, %d", s.Members, s.Count)
	}
	for name, read := range map[string]func(context.Context, string, int) ([]string, int, error){"Members": relay.Members, "MembersNow": relay.MembersNow} {
		for _, room := range []string{"a", "b"} {
			if got, n, err := read(t.Context(), room, 100); got == nil || len(got) != 0 || n != 0 || err != nil {
				t.Errorf("%s of %s: %#v, %d, %v", name, room, got, n, err)
			}
		}
	}
}

// A first snapshot says who is there: as it stands, or with the changes that follow.
func testSubscribedAmidChanges(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	one, other := store.Open(t), store.Open(t)
	for round := range 30 {
		room := fmt.Sprint("room ", round)
		enter(t, other, room, "ann", 1)
		enter(t, other, room, "ben", 2)
		var moving sync.WaitGroup
		for _, id := range []string{"cleo", "dan", "eve", "fay"} {
			moving.Go(func() { _, _ = other.Enter(t.Context(), room, user(id)) })
		}
		moving.Go(func() { other.Leave(room, "ann") })
		r := &recorder{t: t, name: room}
		list := 100 * (round % 2)
		stop, err := one.Subscribe(t.Context(), room, r, list)
		if err != nil {
			t.Fatal(err)
		}
		moving.Wait()
		want := []string{shown("ben"), shown("cleo"), shown("dan"), shown("eve"), shown("fay")}
		what := func() string {
			return fmt.Sprintf("round %d: %q and %d users, want %q", round, r.present(), r.count(), want)
		}
		eventually(t, what, func() bool { return r.count() == 5 && (list == 0 || slices.Equal(r.present(), want)) })
		stop()
	}
}

// present are the users that the snapshot listed, with the changes that followed.
func (r *recorder) present() (users []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	users = slices.Clone(r.snapshot.Members)
	for _, ch := range r.changes {
		users = slices.DeleteFunc(users, func(u string) bool { return u == ch.User })
		if ch.Joined {
			users = append(users, ch.User)
		}
	}
	slices.Sort(users)
	return users
}

// count is how many users there are, as was told last.
func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.changes); n > 0 {
		return r.changes[n-1].Count
	}
	return r.snapshot.Count
}

func testClose(t *testing.T, h Harness) {
	relay := h.New(t, defaults()).Open(t)
	r := follow(t, relay, "a")
	publish(t, relay, "a", "ann", "1", "x")
	r.has([]string{"x"})
	for range 2 {
		if err := relay.Close(t.Context()); err != nil {
			t.Errorf("close: %v", err)
		}
		r.stopped.Store(true)
	}
	if err := relay.Ready(); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("ready: %v", err)
	}
	if got := relay.Publish(t.Context(), broker.Publication{Room: "a", User: "ann", ID: "2"}); !errors.Is(got[0].Err, broker.ErrClosed) {
		t.Errorf("publish: %v", got[0].Err)
	}
	if _, err := relay.Subscribe(t.Context(), "b", r, 0); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("subscribe: %v", err)
	}
	if _, _, err := relay.History(t.Context(), "a", broker.Offset{}, 1); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("history: %v", err)
	}
	if _, err := relay.Enter(t.Context(), "a", user("ann")); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("enter: %v", err)
	}
	if _, _, err := relay.Members(t.Context(), "a", 1); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("members: %v", err)
	}
	relay.Signal("a", "s", "x")
	relay.Leave("a", "ann")
}

func testCloseAnnounces(t *testing.T, h Harness) {
	o := defaults()
	o.Lease = time.Minute // it is not the lease that ends
	store := h.New(t, o)
	one, other := store.Open(t), store.Open(t)
	r := follow(t, one, "a")
	enter(t, other, "a", "ann", 1)
	enter(t, one, "a", "ben", 2)
	enter(t, other, "a", "ben", 2)
	if err := other.Close(context.Background()); err != nil {
		t.Errorf("close: %v", err)
	}
	r.moved("+1 ann", "+2 ben", "-1 ann")
	membersAre(t, one, "a", "ben")
}

// Of a relay that ends without a word, the users leave when its lease ends, each once, however many
// relays notice.
func testRelayDies(t *testing.T, h Harness) {
	o := defaults()
	o.Lease = 5 * time.Second
	store := h.New(t, o)
	relays := []*Relay{store.Open(t), store.Open(t), store.Open(t)}
	r := follow(t, relays[0], "a")
	const many = 600 // more than one step takes out
	var wg sync.WaitGroup
	for i := range many {
		wg.Go(func() {
			if _, err := relays[2].Enter(t.Context(), "a", user(fmt.Sprint("u", i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	enter(t, relays[1], "a", "u0", many)
	relays[2].Kill()
	stalls, killed := wiretest.WatchStalls(t), time.Now()
	membersAre(t, relays[1], "a", "u0")
	if d := stalls.Since(killed); d > 3*o.Lease {
		t.Errorf("it took %v to miss a relay with a lease of %v", d, o.Lease)
	}
	eventually(t, "leaves announced", func() bool { return len(r.moves()) >= 2*many-1 })
	seen := map[string]bool{}
	for _, m := range r.moves() {
		if seen[m[:1]+m[len("+123 "):]] {
			t.Errorf("announced twice: %s", m)
		}
		seen[m[:1]+m[len("+123 "):]] = true
	}
	if n := len(r.moves()); n != 2*many-1 {
		t.Errorf("%d changes, want %d", n, 2*many-1)
	}
}
