package brokertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/wiretest"
)

// ready waits until relays can serve.
func ready(t *testing.T, relays ...*Relay) {
	t.Helper()
	for _, r := range relays {
		eventually(t, "ready", func() bool { return r.Ready() == nil })
	}
}

// Messages published while connections die are neither lost nor doubled, and nobody notices.
func testDropped(t *testing.T, h Harness) {
	o := defaults()
	o.History = 2000
	store := h.New(t, o)
	relays := []*Relay{store.Open(t), store.Open(t)}
	rooms := []string{"a", "b", "c"}
	var all []*recorder
	for _, relay := range relays {
		order := &order{}
		for _, room := range rooms {
			all = append(all, followOrdered(t, relay, room, order))
		}
	}
	done, dropped := make(chan struct{}), 0
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(30 * time.Millisecond)
		defer tick.Stop()
		for dropped < 50 { // by the clock: a machine that is slow would never get on
			select {
			case <-done:
				return
			case <-tick.C:
				relays[dropped%2].Drop()
				dropped++
			}
		}
	})
	publishers(t, relays, rooms, 400)
	close(done)
	wg.Wait()
	t.Logf("connections dropped %d times", dropped)
	sameOrder(t, 800, all)
}

// What a relay missed comes in the order of positions over all rooms, before anything new: also
// if others publish while it comes back, and if the rooms are too many to be read in one
// trip.
func testCatchUpOrder(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	away, here := store.Open(t), store.Open(t)
	order := &order{}
	var all []*recorder
	for i := range 400 {
		all = append(all, followOrdered(t, away, fmt.Sprint("room", i), order))
	}
	n := 0
	publishInAll := func() {
		for _, r := range all {
			publish(t, here, r.name, "ann", fmt.Sprint("m", n), fmt.Sprint("m", n))
		}
		n++
	}
	publishInAll()
	for _, r := range all {
		r.has(numbered("m", 0, n))
	}
	for range 4 {
		mend := away.Cut()
		publishInAll()
		mend()
		for to := n + 20; away.Ready() != nil && n < to; {
			publishInAll()
		}
	}
	t.Logf("%d messages in each of %d rooms", n, len(all))
	for _, r := range all {
		r.has(numbered("m", 0, n))
		r.loads("")
	}
}

func testTrimmed(t *testing.T, h Harness) {
	o := defaults()
	o.History = 10
	store := h.New(t, o)
	away, here := store.Open(t), store.Open(t)
	r, kept, quiet := follow(t, away, "a"), follow(t, away, "b"), follow(t, away, "c")
	publishMany(t, here, "a", "m", 5)
	publishMany(t, here, "b", "m", 5)
	r.has(numbered("m", 0, 5))
	kept.has(numbered("m", 0, 5))
	mend := away.Cut()
	publishMany(t, here, "a", "n", 11)
	publishMany(t, here, "b", "n", 10) // its predecessor's digest vouches for the last one that was let go of
	mend()
	r.has(numbered("n", 1, 11))
	kept.has(slices.Concat(numbered("m", 0, 5), numbered("n", 0, 10)))
	publishMany(t, here, "a", "o", 2)
	r.ends(numbered("o", 0, 2))
	r.loads("", broker.ReasonTrimmed)
	kept.loads("")
	quiet.loads("")
	quiet.refreshed() // nothing was said in it, but people may have come and gone
}

// A relay that was away for longer than histories live can't know what it missed.
func testMissedExpiry(t *testing.T, h Harness) {
	o := defaults()
	o.TTL = 500 * time.Millisecond
	store := h.New(t, o)
	away, here := store.Open(t), store.Open(t)
	r := follow(t, away, "a")
	publishMany(t, here, "a", "m", 2)
	r.has(numbered("m", 0, 2))
	mend := away.Cut()
	publishMany(t, here, "a", "missed", 2)
	eventually(t, "expired", func() bool {
		got, _, err := here.History(t.Context(), "a", broker.Offset{}, 10)
		return err == nil && len(got) == 0
	})
	mend()
	r.loads("", broker.ReasonExpired)
	publishMany(t, here, "a", "new", 2)
	r.has(numbered("new", 0, 2))
}

// A connection that carries nothing any more, but is not closed, is noticed, made anew, and nothing
// is lost.
func testHalfOpen(t *testing.T, h Harness) {
	testBroken(t, h, func(r *Relay) { r.Hang() })
}

// A subscription can be dead on a connection that answers every ping.
func testDeaf(t *testing.T, h Harness) {
	testBroken(t, h, func(r *Relay) { r.Deafen() })
}

func testBroken(t *testing.T, h Harness, damage func(*Relay)) {
	store := h.New(t, defaults())
	away, here := store.Open(t), store.Open(t)
	r := follow(t, away, "a")
	publishMany(t, here, "a", "m", 3)
	r.has(numbered("m", 0, 3))
	damage(away)
	stalls, hung := wiretest.WatchStalls(t), time.Now()
	publishMany(t, here, "a", "missed", 3)
	r.has(slices.Concat(numbered("m", 0, 3), numbered("missed", 0, 3)))
	ready(t, away)
	if d := stalls.Since(hung); d > 15*time.Second {
		t.Errorf("mended after %v", d)
	}
	publishMany(t, away, "a", "again", 1)
	r.loads("")
}

// told checks that every relay is told once, for the epoch, and that the new one is the same for
// all and works.
func toldEpoch(t *testing.T, old broker.Offset, followers []*recorder, publisher *Relay) {
	t.Helper()
	for _, r := range followers {
		r.loads("", broker.ReasonEpoch)
	}
	publishMany(t, publisher, followers[0].name, "new", 3)
	for _, r := range followers {
		r.ends(numbered("new", 0, 3))
		r.loads("", broker.ReasonEpoch)
		for _, m := range r.state() {
			if m.Epoch == old.Epoch || m.Epoch != followers[0].state()[0].Epoch {
				t.Errorf("%+v, of epoch %s once", m, old.Epoch)
			}
		}
	}
	if _, _, err := publisher.History(t.Context(), followers[0].name, old, 5); !errors.Is(err, broker.ErrGap) {
		t.Errorf("an offset of the lost epoch: %v", err)
	}
}

func testFlushed(t *testing.T, h Harness) {
	testEmptied(t, h, func(s *Store) { s.Flush() })
}

func testWiped(t *testing.T, h Harness) {
	testEmptied(t, h, func(s *Store) { s.Wipe() })
}

// A store that lost everything is told, once on every relay, and the relays bring their users back.
func testEmptied(t *testing.T, h Harness, empty func(*Store)) {
	o := defaults()
	o.Own = true
	store := h.New(t, o)
	one, other := store.Open(t), store.Open(t)
	followers := []*recorder{follow(t, one, "a"), follow(t, other, "a")}
	old := publishMany(t, one, "a", "old", 5)
	for _, r := range followers {
		r.has(numbered("old", 0, 5))
	}
	enter(t, one, "a", "ann", 1)
	enter(t, other, "a", "ben", 2)
	enter(t, other, "a", "carl", 3)
	other.Leave("a", "carl")
	membersAre(t, one, "a", "ann", "ben")
	empty(store)
	toldEpoch(t, old[4].Offset, followers, other)
	for _, r := range followers {
		if got := bodies(r.state()); !slices.Equal(got, numbered("new", 0, 3)) {
			t.Errorf("has %q after the store was emptied", got)
		}
	}
	membersAre(t, one, "a", "ann", "ben")
}

// A store that lost the last of what it had taken, and has nothing else in its place.
func testRolledBack(t *testing.T, h Harness) {
	o := defaults()
	o.Own = true
	store := h.New(t, o)
	one, other := store.Open(t), store.Open(t)
	followers := []*recorder{follow(t, one, "a"), follow(t, other, "a")}
	publishMany(t, one, "a", "kept", 5)
	rollback := store.Save()
	lost := publishMany(t, one, "a", "lost", 5)
	for _, r := range followers {
		r.has(slices.Concat(numbered("kept", 0, 5), numbered("lost", 0, 5)))
	}
	rollback()
	toldEpoch(t, lost[4].Offset, followers, other)
	for _, r := range followers {
		r.has(slices.Concat(numbered("kept", 0, 5), numbered("new", 0, 3)))
		if m := r.state()[5]; m.Pos <= lost[4].Offset.Pos {
			t.Errorf("position %d was given away twice", m.Pos)
		}
	}
}

// A store that lost the last of what it had taken, and has grown back to the same numbers with
// other messages before the relays that followed came back.
func testRegrown(t *testing.T, h Harness) {
	for name, c := range map[string]regrowth{
		"to the same numbers": {before: 5, lost: 3, grown: 3},
		"and beyond":          {before: 5, lost: 3, grown: 6},
		"not as far":          {before: 5, lost: 5, grown: 2},
		"from nothing":        {before: 0, lost: 3, grown: 4},
		"from nothing, later": {before: 0, lost: 3, grown: 4, elsewhere: 5},
		"where nothing was":   {before: 5, lost: 0, grown: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := defaults()
			o.Own = true
			regrown(t, h.New(t, o), c)
		})
	}
}

// regrowth is how many messages a room had and kept, had and lost, and got after that, and how many
// other rooms got first.
type regrowth struct{ before, lost, grown, elsewhere int }

func regrown(t *testing.T, store *Store, c regrowth) {
	before, lost, grown := c.before, c.lost, c.grown
	one, other := store.Open(t), store.Open(t)
	publish(t, one, "elsewhere", "ann", "0", "x")
	publishMany(t, one, "a", "kept", before)
	rollback := store.Save()
	old := publishMany(t, one, "a", "lost", lost)
	if lost == 0 { // the room that is followed is empty, and what is lost is elsewhere
		old = publishMany(t, one, "elsewhere", "lost", 5)
	}
	room := map[bool]string{true: "empty", false: "a"}[lost == 0]
	followers := []*recorder{follow(t, one, room), follow(t, other, room)}
	mendOne, mendOther := one.Cut(), other.Cut()
	rollback()
	third := store.Open(t)
	followers = append(followers, follow(t, third, room))
	publishMany(t, third, "elsewhere", "first", c.elsewhere)
	again := publishMany(t, third, room, "grown", grown)
	for i := range min(lost, grown) {
		a, b := old[i].Offset, again[i].Offset
		if c.elsewhere == 0 && a.Pos != b.Pos || a.Seq != b.Seq || a.Epoch != b.Epoch {
			t.Fatalf("the history did not grow back to the same numbers: %v and %v", a, b)
		}
		if a.Digest == b.Digest {
			t.Errorf("%v names two messages", a)
		}
		if page, _, err := third.History(t.Context(), room, a, 5); !errors.Is(err, broker.ErrGap) && len(page) > 0 {
			t.Errorf("%v, which was lost: %q, %v", a, bodies(page), err)
		}
	}
	mendOne()
	mendOther()
	toldEpoch(t, old[0].Offset, followers, other)
	for _, r := range followers {
		kept := numbered("kept", 0, before)
		if lost == 0 {
			kept = nil
		}
		r.has(slices.Concat(kept, numbered("grown", 0, grown), numbered("new", 0, 3)))
	}
}

// A store that goes and comes back with all it had: nobody is told, nothing is lost, everyone is
// still there.
func testRestarted(t *testing.T, h Harness) {
	o := defaults()
	o.Own = true
	store := h.New(t, o)
	one, other := store.Open(t), store.Open(t)
	followers := []*recorder{follow(t, one, "a"), follow(t, other, "a")}
	publishMany(t, one, "a", "m", 5)
	enter(t, one, "a", "ann", 1)
	enter(t, other, "a", "ben", 2)
	store.Save()() // back to this very moment
	publishMany(t, other, "a", "n", 5)
	for _, r := range followers {
		r.has(slices.Concat(numbered("m", 0, 5), numbered("n", 0, 5)))
		r.loads("")
	}
	membersAre(t, one, "a", "ann", "ben")
}

// Without the store, everything answers within a bounded time, and all is made good when it is
// back.
func testUnavailable(t *testing.T, h Harness) {
	o := defaults()
	o.Lease = 5 * time.Second
	o.Own = true
	store := h.New(t, o)
	relay, other := store.Open(t), store.Open(t)
	r := follow(t, relay, "a")
	before := publish(t, relay, "a", "ann", "1", "before")
	r.has([]string{"before"})
	enter(t, relay, "a", "ann", 1)
	enter(t, relay, "a", "ben", 2)
	enter(t, other, "a", "dora", 3)
	r.moved("+1 ann", "+2 ben", "+3 dora")
	store.Stop()
	eventually(t, "noticed", func() bool { return relay.Ready() != nil && other.Ready() != nil })
	refuses(t, relay)
	if got := relay.Head(); got.Epoch != before.Offset.Epoch || got.Pos != before.Offset.Pos {
		t.Errorf("head %v", got)
	}
	relay.Leave("a", "ben")
	pass(o.Lease)
	store.Start()
	ready(t, relay, other)
	membersAre(t, other, "a", "ann", "carl", "dora")
	publish(t, other, "a", "ann", "2", "after")
	r.has([]string{"before", "after"})
	r.loads("")
	// The leases have ended meanwhile. Whoever was there all the time stays, without a flicker.
	eventually(t, "heard of Carl and Ben", func() bool { return len(r.moves()) >= 5 })
	for _, m := range r.moves()[3:] {
		if !strings.HasPrefix(m, "+") == strings.Contains(m, "carl") || strings.Contains(m, "ann") || strings.Contains(m, "dora") {
			t.Errorf("changes %q", r.moves())
		}
	}
}

// refuses checks that everything that needs the store answers ErrUnavailable in time. Carl enters.
func refuses(t *testing.T, relay *Relay) {
	t.Helper()
	calls := map[string]func() error{
		"publish": func() error {
			return relay.Publish(context.Background(), broker.Publication{Room: "z", User: "ann", ID: "lost", Body: "x"})[0].Err
		},
		"enter": func() error { _, err := relay.Enter(context.Background(), "a", user("carl")); return err },
		"subscribe": func() error {
			_, err := relay.Subscribe(context.Background(), "z", &recorder{t: t, name: "z"}, 0)
			return err
		},
		"history": func() error {
			_, _, err := relay.History(context.Background(), "z", broker.Offset{}, 10)
			return err
		},
		"members": func() error { _, _, err := relay.Members(context.Background(), "z", 10); return err },
	}
	stalls := wiretest.WatchStalls(t)
	var wg sync.WaitGroup
	for name, call := range calls {
		wg.Go(func() {
			began := time.Now()
			err := call()
			took := stalls.Since(began)
			if !errors.Is(err, broker.ErrUnavailable) {
				t.Errorf("%s without the store: %v", name, err)
			}
			if took > 10*time.Second || name == "enter" && took > 5*time.Second {
				t.Errorf("%s without the store took %v", name, took)
			}
			t.Logf("%s: refused after %v", name, took.Round(time.Millisecond))
		})
	}
	wg.Wait()
}

// A store that stops answering, with its connections open.
func testFrozen(t *testing.T, h Harness) {
	o := defaults()
	o.Own, o.Lease = true, 30*time.Second
	store := h.New(t, o)
	relay := store.Open(t)
	r := follow(t, relay, "a")
	publish(t, relay, "a", "ann", "1", "before")
	r.has([]string{"before"})
	enter(t, relay, "a", "ann", 1)
	unfreeze := store.Freeze()
	eventually(t, "noticed", func() bool { return relay.Ready() != nil })
	refuses(t, relay)
	unfreeze()
	eventually(t, "mended", func() bool { return relay.Ready() == nil })
	publish(t, relay, "a", "ann", "2", "after")
	r.has([]string{"before", "after"})
	r.loads("")
	membersAre(t, relay, "a", "ann", "carl")
}

func testAwayAtStart(t *testing.T, h Harness) {
	o := defaults()
	o.Own = true
	store := h.New(t, o)
	store.Stop()
	relay := store.Open(t)
	if err := relay.Ready(); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("ready without its store: %v", err)
	}
	refuses(t, relay)
	store.Start()
	ready(t, relay)
	membersAre(t, relay, "a", "carl")
	r := follow(t, relay, "a")
	publishMany(t, relay, "a", "m", 3)
	r.has(numbered("m", 0, 3))
}
