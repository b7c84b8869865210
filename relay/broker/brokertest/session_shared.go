package brokertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"setu/relay/broker"
	"setu/relay/wiretest"
)

// A session goes on at any relay, whatever became of the one that it was at.
func testSharedSession(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	one, other := store.Open(t), store.Open(t)
	at := one.Head()
	c := keep(t, one, "ann", in("a", at))
	want := session("ann", in("a", at))
	next := func(relay *Relay, key string) {
		t.Helper()
		var r broker.Resumed
		c, r = resume(t, relay, "ann", at)
		c.is(r, want)
		at = publish(t, relay, key, "ann", "1", "x").Offset
		c.join(in(key, at))
		want.Rooms = append(want.Rooms, in(key, at))
	}
	for i := range 2 {
		was := c
		next(other, fmt.Sprint("other", i))
		was.fenced()
		was = c
		next(one, fmt.Sprint("one", i))
		was.fenced()
	}
	one.Kill()
	next(other, "after the first is dead")
	c.leave("a") // what is said before a relay closes is stored
	c.Release()
	want.Rooms = want.Rooms[1:]
	other.Close(context.Background())
	third := store.Open(t)
	next(third, "after the second is closed")
	third.Kill()
	next(store.Open(t), "after the third is dead")
	c.alive()
}

// An owner that did not hear that it was fenced notices when it writes, or when it renews what it
// has.
func testFenceLost(t *testing.T, h Harness) {
	o := defaults()
	o.Recovery = 2 * time.Second
	store := h.New(t, o)
	deaf, other := store.Open(t), store.Open(t)
	at := deaf.Head()
	writes, quiet := keep(t, deaf, "writes", in("a", at)), keep(t, deaf, "quiet", in("a", at))
	ended := keep(t, deaf, "ended", in("a", at))
	deaf.Deafen()
	stalls, deafened := wiretest.WatchStalls(t), time.Now()
	resume(t, other, "writes", at)
	resume(t, other, "quiet", at)
	gone(t, other, "ended", broker.Offset{})
	if err := writes.Join(t.Context(), in("b", at)); !errors.Is(err, broker.ErrGone) {
		t.Errorf("the former owner joins: %v", err)
	}
	writes.fenced()
	eventually(t, "noticed", func() bool { return quiet.fences.Load() > 0 && ended.fences.Load() > 0 })
	if d := stalls.Since(deafened); d > 4*time.Second { // when it connects anew it would, too
		t.Errorf("noticed after %v", d)
	}
	quiet.fenced()
	ended.fenced()
	c, r := resume(t, other, "writes", at)
	c.is(r, session("writes", in("a", at)))
}

// A relay that was cut off hears of it as soon as it is back, and has its own stored then.
func testFenceAway(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	away, other := store.Open(t), store.Open(t)
	at := away.Head()
	taken, mine := keep(t, away, "taken", in("a", at)), keep(t, away, "mine", in("a", at))
	joins := keep(t, away, "joins", in("a", at))
	mend := away.Cut()
	eventually(t, "noticed", func() bool { return away.Ready() != nil })
	unavailable(t, joins.Join(t.Context(), in("b", at)))
	unavailable(t, mine.Join(t.Context(), in("b", at)))
	unavailable(t, taken.Join(t.Context(), in("b", at)))
	mine.leave("a")
	c, r := resume(t, other, "taken", at)
	c.is(r, session("taken", in("a", at)))
	if _, err := away.Resume(t.Context(), "taken", at, func() {}); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("resume while cut off: %v", err)
	}
	mend()
	taken.fenced()
	ready(t, away)
	awaitStored(t, away)
	c.alive()
	c, r = resume(t, other, "joins", at)
	c.is(r, session("joins", in("a", at), in("b", at)))
	c, r = resume(t, other, "mine", at)
	c.is(r, session("mine", in("b", at)))
	mine.fenced()
}

func unavailable(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("without the store: %v", err)
	}
}

// Sessions are brought back if the store has lost them: all, or the last that was said.
func testSessionFlushed(t *testing.T, h Harness) {
	testSessionLost(t, h, func(s *Store) { s.Flush() })
}

func testSessionWiped(t *testing.T, h Harness) {
	testSessionLost(t, h, func(s *Store) { s.Wipe() })
}

func testSessionLost(t *testing.T, h Harness, empty func(*Store)) {
	o := defaults()
	o.Own = true
	store := h.New(t, o)
	one, other := store.Open(t), store.Open(t)
	old := one.Head()
	c, joins := keep(t, one, "ann", in("a", old)), keep(t, one, "joins", in("a", old))
	empty(store)
	eventually(t, "joined", func() bool { return joins.Join(t.Context(), in("b", old)) == nil })
	eventually(t, "of the new epoch", func() bool {
		ready(t, one, other)
		return one.Head().Epoch != old.Epoch && one.Head().Epoch == other.Head().Epoch
	})
	at := other.Head()
	// The owner knows which epoch its memberships are of: the stored state is that, whole, and so
	// nobody can go on with it.
	gone(t, other, "joins", at)
	joins.fenced()
	c.Invalidate("a", at)
	c.Revalidate()
	awaitStored(t, one)
	again, r := resume(t, other, "ann", at)
	again.is(r, session("ann", in("a", at)))
	c.fenced()
}

// Nobody says anything after the store was emptied: what was kept is back all the same.
func testSessionBroughtBack(t *testing.T, h Harness) {
	o := defaults()
	o.Own = true
	store := h.New(t, o)
	one, other := store.Open(t), store.Open(t)
	old := one.Head()
	c := keep(t, one, "ann", in("a", old))
	store.Flush()
	var err error
	eventually(t, "brought back", func() bool {
		if one.Head().Epoch == old.Epoch || one.Ready() != nil {
			return false
		}
		_, err = other.Resume(t.Context(), "ann", old, func() {}) // of another epoch, but it fences who brought it back
		return c.fences.Load() > 0
	})
	if !errors.Is(err, broker.ErrGone) {
		t.Errorf("resumed from another epoch: %v", err)
	}
}

// Of a store that lost the last that was said, what was lost is said again.
func testSessionRolledBack(t *testing.T, h Harness) {
	o := defaults()
	o.Own = true
	store := h.New(t, o)
	one, other := store.Open(t), store.Open(t)
	at := publish(t, one, "a", "ann", "1", "x").Offset
	quiet, joins := keep(t, one, "quiet", in("a", at)), keep(t, one, "joins", in("a", at))
	rollback := store.Save()
	quiet.join(in("b", at))
	joins.join(in("b", at))
	rollback()
	eventually(t, "joined", func() bool { return joins.Join(t.Context(), in("c", at)) == nil }) // maybe before anybody noticed
	ready(t, one, other)
	c, r := resume(t, other, "joins", at)
	c.is(r, session("joins", in("a", at), in("b", at), in("c", at)))
	eventually(t, "settled", func() bool { return one.Ready() == nil })
	awaitStored(t, one)
	awaitStored(t, one) // what was found missing is marked before this
	c, r = resume(t, other, "quiet", at)
	c.is(r, session("quiet", in("a", at), in("b", at)))
}

// A history that grew back to the same numbers with other messages is not the one that the client
// followed.
func testSessionRegrown(t *testing.T, h Harness) {
	o := defaults()
	o.Own, o.History = true, 5
	store := h.New(t, o)
	one := store.Open(t)
	kept := publishMany(t, one, "a", "kept", 3)
	for _, key := range []string{"kept", "lost", "let go of"} {
		keep(t, one, key, in("a", kept[0].Offset)).Release()
	}
	awaitStored(t, one)
	rollback := store.Save()
	lost := publishMany(t, one, "a", "lost", 3)
	one.Kill()
	rollback()
	other := store.Open(t)
	again := publishMany(t, other, "a", "again", 3)
	if a, b := lost[2].Offset, again[2].Offset; a.Pos != b.Pos || a.Seq != b.Seq || a.Epoch != b.Epoch {
		t.Fatalf("the history did not grow back to the same numbers: %v and %v", a, b)
	}
	_, r := resume(t, other, "kept", kept[2].Offset)
	if r.Room != "a" || r.At != kept[2].At {
		t.Errorf("found in %q at %d", r.Room, r.At)
	}
	gone(t, other, "lost", lost[2].Offset)
	publishMany(t, other, "a", "more", 5)
	gone(t, other, "let go of", lost[2].Offset)
}

// Without the store, a join says so within a bounded time, and is stored when it is back.
func testSessionAway(t *testing.T, h Harness) {
	o := defaults()
	o.Lease = time.Minute // it is not the lease that ends
	o.Own = true
	store := h.New(t, o)
	relay, other := store.Open(t), store.Open(t)
	at := relay.Head()
	c := keep(t, relay, "ann", in("a", at))
	unfreeze := store.Freeze()
	stalls, began := wiretest.WatchStalls(t), time.Now()
	unavailable(t, c.Join(t.Context(), in("b", at)))
	if d := stalls.Since(began); d > 5*time.Second {
		t.Errorf("join took %v", d)
	}
	eventually(t, "noticed", func() bool { return relay.Ready() != nil })
	began = time.Now()
	unavailable(t, c.Join(t.Context(), in("c", at)))
	if d := stalls.Since(began); d > 2*time.Second {
		t.Errorf("join took %v, though the store was known to be away", d)
	}
	late := relay.Keep("late", session("late"), func() {})
	unavailable(t, late.Join(t.Context(), in("c", at)))
	_, err := relay.Resume(t.Context(), "ann", at, func() {})
	unavailable(t, err)
	unfreeze()
	ready(t, relay, other)
	awaitStored(t, relay)
	again, r := resume(t, other, "late", at)
	again.is(r, session("late", in("c", at)))
	// That resume may have reached the store after it was given up. Whoever asks again goes on.
	again, r = resume(t, other, "ann", at)
	if len(r.Rooms) == 3 {
		again.is(r, session("ann", in("a", at), in("b", at), in("c", at)))
	}
}
