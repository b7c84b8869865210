package brokertest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"setu/relay/broker"
)

// called is how others see a user under another name than user(id) has.
func called(id, name string) string { return fmt.Sprintf(`{"id":%q,"name":%q,"guest":true}`, id, name) }

func enterAs(t *testing.T, b broker.Broker, room, id, name string, want int) {
	t.Helper()
	if n, err := b.Enter(t.Context(), room, broker.User{ID: id, Name: name, Guest: true}); n != want || err != nil {
		t.Errorf("%s enters %s as %s: %d, %v; want %d", id, room, name, n, err, want)
	}
}

// changed waits until the changes heard are want, as moves has them.
func (r *recorder) changed(want ...string) {
	r.t.Helper()
	what := func() string { return fmt.Sprintf("%s: changes %q, but %q", r.name, want, r.moves()) }
	eventually(r.t, what, func() bool { return len(r.moves()) >= len(want) })
	if got := r.moves(); !slices.Equal(got, want) {
		r.t.Fatalf("%s: changes %q, want %q", r.name, got, want)
	}
}

// A user who enters again under another name is renamed, there alone.
func testRenamed(t *testing.T, h Harness) {
	relay := h.New(t, defaults()).Open(t)
	a, b := follow(t, relay, "a"), follow(t, relay, "b")
	enterAs(t, relay, "a", "ann", "Ann", 1)
	enterAs(t, relay, "b", "ann", "Ann", 1)
	enterAs(t, relay, "a", "ben", "Ben", 2)
	enterAs(t, relay, "a", "ann", "Anna", 2)
	enterAs(t, relay, "a", "ann", "Anna", 2) // again is nothing new
	a.changed("+1 "+called("ann", "Ann"), "+2 "+called("ben", "Ben"), "=2 "+called("ann", "Anna"))
	usersAre(t, relay, "a", called("ann", "Anna"), called("ben", "Ben"))
	usersAre(t, relay, "b", called("ann", "Ann"))
	relay.Leave("a", "ann")
	a.changed("+1 "+called("ann", "Ann"), "+2 "+called("ben", "Ben"), "=2 "+called("ann", "Anna"),
		"-1 "+called("ann", "Anna"))
	enterAs(t, relay, "a", "ann", "Ann", 2) // a user who was away joins, whatever the name
	a.changed("+1 "+called("ann", "Ann"), "+2 "+called("ben", "Ben"), "=2 "+called("ann", "Anna"),
		"-1 "+called("ann", "Anna"), "+2 "+called("ann", "Ann"))
	b.changed("+1 " + called("ann", "Ann"))
}

// The name that was stated last holds on all relays, whichever of them states it.
func testSharedRenamed(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	one, other := store.Open(t), store.Open(t)
	recorders := []*recorder{follow(t, one, "a"), follow(t, other, "a")}
	enterAs(t, one, "a", "ann", "Ann", 1)
	want := []string{"+1 " + called("ann", "Ann")}
	for _, c := range []struct {
		relay *Relay
		name  string
	}{{other, "Anna"}, {one, "Ann"}, {other, "Anna"}, {other, "Anne"}, {one, "Anna"}} {
		enterAs(t, c.relay, "a", "ann", c.name, 1)
		want = append(want, "=1 "+called("ann", c.name))
		for _, r := range recorders {
			r.changed(slices.Clone(want)...)
		}
		usersAre(t, one, "a", called("ann", c.name))
		usersAre(t, other, "a", called("ann", c.name))
	}
	one.Leave("a", "ann") // the other connection goes on under the name
	usersAre(t, other, "a", called("ann", "Anna"))
	other.Leave("a", "ann")
	for _, r := range recorders {
		r.changed(append(slices.Clone(want), "-0 "+called("ann", "Anna"))...)
	}
}

// A store that lost everything is told anew who is there, and nobody is renamed back by that.
func testRenamedFlushed(t *testing.T, h Harness) {
	o := defaults()
	o.Own = true
	store := h.New(t, o)
	relays := []*Relay{store.Open(t), store.Open(t)}
	recorders := []*recorder{follow(t, relays[0], "a"), follow(t, relays[1], "a")}
	enterAs(t, relays[0], "a", "ann", "Ann", 1)
	enterAs(t, relays[1], "a", "ann", "Anna", 1)
	for _, r := range recorders {
		r.changed("+1 "+called("ann", "Ann"), "=1 "+called("ann", "Anna"))
	}
	store.Flush()
	for i, r := range recorders {
		eventually(t, "ann is back", func() bool { return len(r.moves()) > 2 })
		usersAre(t, relays[i], "a", called("ann", "Anna"))
	}
	relays[1].Leave("a", "ann") // so that what is left is what the first relay wrote
	usersAre(t, relays[0], "a", called("ann", "Anna"))
	for _, r := range recorders {
		for _, m := range r.moves()[2:] {
			if m != "+1 "+called("ann", "Anna") {
				t.Errorf("heard %q", m)
			}
		}
	}
}

// A relay that was away for longer than its lease writes its users anew. It has not heard of a user
// who was renamed meanwhile, does not rename them back, and hears of it then.
func testRenamedAway(t *testing.T, h Harness) {
	o := defaults()
	o.Lease = 5 * time.Second
	store := h.New(t, o)
	away, here := store.Open(t), store.Open(t)
	r, other := follow(t, away, "a"), follow(t, here, "a")
	enterAs(t, away, "a", "ann", "Ann", 1)
	enterAs(t, away, "a", "ben", "Ben", 2)
	enterAs(t, here, "a", "ann", "Ann", 2)
	mend := away.Cut()
	enterAs(t, here, "a", "ann", "Anna", 2)
	usersAre(t, here, "a", called("ann", "Anna")) // ben was there by the lease that has ended
	mend()
	usersAre(t, here, "a", called("ann", "Anna"), called("ben", "Ben"))
	eventually(t, "told of the new name", func() bool {
		return slices.ContainsFunc(r.moves(), func(m string) bool {
			return m == "=1 "+called("ann", "Anna") || m == "=2 "+called("ann", "Anna")
		})
	})
	here.Leave("a", "ann")
	usersAre(t, here, "a", called("ann", "Anna"), called("ben", "Ben"))
	other.changed("+1 "+called("ann", "Ann"), "+2 "+called("ben", "Ben"), "=2 "+called("ann", "Anna"),
		"-1 "+called("ben", "Ben"), "+2 "+called("ben", "Ben"))
}
