package brokertest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"setu/relay/broker"
)

// connection is one client's connection as far as a broker knows of it.
type connection struct {
	broker.SessionHandle
	t      *testing.T
	name   string
	fences atomic.Int32
}

func session(id string, rooms ...broker.Membership) broker.Session {
	return broker.Session{ID: "sid of " + id, User: user(id), Keyed: true, Rooms: rooms}
}

// keep keeps session(key) and joins it to rooms.
func keep(t *testing.T, relay *Relay, key string, rooms ...broker.Membership) *connection {
	t.Helper()
	c := &connection{t: t, name: key}
	c.SessionHandle = relay.Keep(key, session(key), func() { c.fences.Add(1) })
	c.join(rooms...)
	return c
}

func (c *connection) join(rooms ...broker.Membership) {
	c.t.Helper()
	for _, m := range rooms {
		if err := c.Join(c.t.Context(), m); err != nil {
			c.t.Fatalf("%s joins %q: %v", c.name, m.Room, err)
		}
	}
}

// resume goes on with a session, which must be possible.
func resume(t *testing.T, relay *Relay, key string, at broker.Offset) (*connection, broker.Resumed) {
	t.Helper()
	c := &connection{t: t, name: key}
	r, err := relay.Resume(t.Context(), key, at, func() { c.fences.Add(1) })
	if err != nil {
		t.Fatalf("%s resumes from %v: %v", key, at, err)
	}
	c.SessionHandle = r.Handle
	return c, r
}

func gone(t *testing.T, relay *Relay, key string, at broker.Offset) {
	t.Helper()
	if r, err := relay.Resume(t.Context(), key, at, func() {}); !errors.Is(err, broker.ErrGone) {
		t.Fatalf("%s resumes from %v: %+v, %v; want it to be gone", key, at, r, err)
	}
}

// fenced waits until c was told, and checks that it can do nothing any more.
func (c *connection) fenced() {
	c.t.Helper()
	eventually(c.t, c.name+" fenced", func() bool { return c.fences.Load() > 0 })
	c.dead()
	if n := c.fences.Load(); n != 1 {
		c.t.Errorf("%s was fenced %d times", c.name, n)
	}
}

// leave leaves a room, and waits for the store as long as it takes that.
func (c *connection) leave(room string) { _ = c.Leave(c.t.Context(), room) }

func (c *connection) dead() {
	c.t.Helper()
	if err := c.Join(c.t.Context(), broker.Membership{Room: "never"}); !errors.Is(err, broker.ErrGone) {
		c.t.Errorf("%s joins, though it is not the owner: %v", c.name, err)
	}
	if err := c.Leave(c.t.Context(), "a"); !errors.Is(err, broker.ErrGone) {
		c.t.Errorf("%s leaves, though it is not the owner: %v", c.name, err)
	}
	c.Invalidate("a", broker.Offset{})
	c.Revalidate()
	c.Release()
	c.End()
}

func (c *connection) alive() {
	c.t.Helper()
	if n := c.fences.Load(); n != 0 {
		c.t.Errorf("%s was fenced %d times", c.name, n)
	}
}

// awaitStored waits until all is stored that was said of sessions on this relay before.
func awaitStored(t *testing.T, relay *Relay) {
	t.Helper()
	keep(t, relay, t.Name()+"settled", in("a", relay.Head())).End()
}

func in(room string, since broker.Offset) broker.Membership {
	return broker.Membership{Room: room, Since: since}
}

// is checks what has been resumed.
func (c *connection) is(r broker.Resumed, want broker.Session) {
	c.t.Helper()
	if len(want.Rooms) == 0 && len(r.Rooms) == 0 {
		want.Rooms = r.Rooms
	}
	if !reflect.DeepEqual(r.Session, want) {
		c.t.Errorf("resumed\n%+v, want\n%+v", r.Session, want)
	}
}

// pass lets time go by.
func pass(d time.Duration) { <-time.After(d) }

// What the application keeps with a session goes with it, as it is by then.
func testSessionData(t *testing.T, h Harness) {
	relay := h.New(t, defaults()).Open(t)
	at := relay.Head()
	c := &connection{t: t, name: "ann"}
	state := session("ann")
	state.Data = `{"a":"é"}`
	c.SessionHandle = relay.Keep("ann", state, func() { c.fences.Add(1) })
	c.join(in("a", at))
	for _, data := range []string{"", strings.Repeat("x", broker.MaxSessionData), `"\x00"`} {
		again, r := resume(t, relay, "ann", at)
		state.Rooms = []broker.Membership{in("a", at)}
		again.is(r, state)
		again.SetData(data)
		state.Data = data
		awaitStored(t, relay)
	}
	again, r := resume(t, relay, "ann", at)
	again.is(r, state)
	again.End()
	again.SetData("late")
	awaitStored(t, relay)
	gone(t, relay, "ann", at)
}

func testSession(t *testing.T, h Harness) {
	relay := h.New(t, defaults()).Open(t)
	gone(t, relay, "ann", relay.Head())
	start := relay.Head()
	first := publish(t, relay, "b", "ann", "1", "x").Offset
	c := keep(t, relay, "ann", in("z", start), in("b", first), in("a", start))
	keep(t, relay, "ben", in("b", start))
	second := publish(t, relay, "b", "ann", "2", "x").Offset
	c.join(broker.Membership{Room: "b", Presence: true, Given: true}) // its Since stays
	c.leave("z")
	c.leave("nowhere")
	c.join(in("d", first), in("d", second), in("z", second)) // d moves
	want := session("ann", broker.Membership{Room: "b", Since: first, Presence: true, Given: true}, in("a", start), in("d", second), in("z", second))
	for i := range 3 {
		var r broker.Resumed
		was := c
		c, r = resume(t, relay, "ann", second)
		c.is(r, want)
		was.fenced()
		fresh := in(fmt.Sprint("new", i), second)
		c.join(fresh)
		c.join(fresh)
		want.Rooms = append(want.Rooms, fresh)
		c.leave("a") // which has been stored then
		want.Rooms = slices.DeleteFunc(want.Rooms, func(m broker.Membership) bool { return m.Room == "a" })
	}
	c.alive()
	other, r := resume(t, relay, "ben", second)
	other.is(r, session("ben", in("b", start)))
}

// A session without rooms is kept, too, and one with many.
func testSessionSizes(t *testing.T, h Harness) {
	relay := h.New(t, defaults()).Open(t)
	at := relay.Head()
	relay.Keep("none", broker.Session{ID: "s", User: user("ann")}, func() {})
	eventually(t, "kept", func() bool {
		r, err := relay.Resume(t.Context(), "none", at, func() {})
		return err == nil && r.ID == "s" && r.User == user("ann") && !r.Keyed && len(r.Rooms) == 0
	})
	var many []broker.Membership
	for i := range 200 {
		many = append(many, broker.Membership{Room: fmt.Sprint("room ", 1000-i, " 0 1"), Since: at, Presence: i%3 == 0, Given: i%5 == 0})
	}
	keep(t, relay, "many", many...)
	c, r := resume(t, relay, "many", publish(t, relay, many[199].Room, "ann", "1", "x").Offset)
	c.is(r, session("many", many...))
	relay.Keep("given", session("given", many...), func() {})
	eventually(t, "kept", func() bool {
		r, err := relay.Resume(t.Context(), "given", at, func() {})
		return err == nil && reflect.DeepEqual(r.Session, session("given", many...))
	})
}

// What a client had last must be a message of the present history, in a room where it is or was, or
// the one before what is left of one.
func testSessionOffsets(t *testing.T, h Harness) {
	o := defaults()
	o.History = 5
	relay := h.New(t, o).Open(t)
	start := relay.Head()
	a := publishMany(t, relay, "a", "m", 12)
	elsewhere := publishMany(t, relay, "elsewhere", "m", 2)
	left := publishMany(t, relay, "left", "m", 2)
	now := relay.Head()
	altered := func(at broker.Offset, change func(*broker.Offset)) broker.Offset {
		change(&at)
		return at
	}
	for name, c := range map[string]struct {
		at   broker.Offset
		room string // "-": gone
		when int64
	}{
		"a moment":                       {now, "", now.At},
		"an earlier moment":              {start, "", start.At},
		"a moment to come":               {altered(now, func(o *broker.Offset) { o.Pos += 100 }), "-", 0},
		"the newest":                     {a[11].Offset, "a", a[11].At},
		"the oldest":                     {a[7].Offset, "a", a[7].At},
		"the last that was let go of":    {a[6].Offset, "a", 0},
		"one before":                     {a[5].Offset, "-", 0},
		"in a room that was left":        {left[1].Offset, "left", left[1].At},
		"in a room that never was":       {elsewhere[1].Offset, "-", 0},
		"another digest":                 {altered(a[9].Offset, func(o *broker.Offset) { o.Digest = a[8].Offset.Digest }), "-", 0},
		"another digest, let go of":      {altered(a[6].Offset, func(o *broker.Offset) { o.Digest = a[8].Offset.Digest }), "-", 0},
		"another sequence, let go of":    {altered(a[6].Offset, func(o *broker.Offset) { o.Seq-- }), "-", 0},
		"another epoch":                  {altered(a[11].Offset, func(o *broker.Offset) { o.Epoch = "another" }), "-", 0},
		"a moment of another epoch":      {altered(now, func(o *broker.Offset) { o.Epoch = "another" }), "-", 0},
		"nothing":                        {broker.Offset{}, "-", 0},
		"a position that is yet to come": {altered(a[11].Offset, func(o *broker.Offset) { o.Pos += 100 }), "-", 0},
	} {
		old := keep(t, relay, name, in("empty", start), in("left", start), in("a", start))
		old.leave("left")
		old.join(in("b", start))
		if c.room == "-" {
			gone(t, relay, name, c.at)
			old.fenced()
			gone(t, relay, name, now) // for good
			continue
		}
		again, r := resume(t, relay, name, c.at)
		if again.is(r, session(name, in("empty", start), in("a", start), in("b", start))); r.Room != c.room || r.At != c.when {
			t.Errorf("%s: found in %q at %d, want %q, %d", name, r.Room, r.At, c.room, c.when)
		}
		old.fenced()
	}
	// So must all that it joined.
	keep(t, relay, "joined", in("a", start), in("b", altered(start, func(o *broker.Offset) { o.Epoch = "another" })))
	gone(t, relay, "joined", now)
	// Of the rooms that were left the last are remembered.
	many := keep(t, relay, "many", in("left", start))
	many.leave("left")
	for i := range 7 {
		many.join(in(fmt.Sprint(i), start))
		many.leave(fmt.Sprint(i))
	}
	awaitStored(t, relay)
	many, r := resume(t, relay, "many", left[1].Offset)
	if r.Room != "left" {
		t.Errorf("found in %q after seven others were left", r.Room)
	}
	many.join(in("7", start))
	many.leave("7")
	awaitStored(t, relay)
	gone(t, relay, "many", left[1].Offset)
}

// Of two that resume at once the later one goes on.
func testSessionRace(t *testing.T, h Harness) {
	store := h.New(t, defaults())
	relays := []*Relay{store.Open(t)}
	if h.Shared {
		relays = append(relays, store.Open(t))
	}
	at := relays[0].Head()
	first := keep(t, relays[0], "ann", in("a", at))
	const many = 20
	all := make([]*connection, many)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { all[i], _ = resume(t, relays[i%len(relays)], "ann", at) })
	}
	wg.Wait()
	first.fenced()
	var owner *connection
	eventually(t, "fenced, but for one", func() bool {
		alive := 0
		for _, c := range all {
			if c.fences.Load() == 0 {
				owner = c
				alive++
			}
		}
		return alive == 1
	})
	owner.join(in("b", at))
	for _, c := range all {
		if c != owner {
			c.fenced()
		}
	}
	last, r := resume(t, relays[0], "ann", at)
	last.is(r, session("ann", in("a", at), in("b", at)))
	owner.fenced()
}

func testSessionEnds(t *testing.T, h Harness) {
	relay := h.New(t, defaults()).Open(t)
	at := relay.Head()
	ended := keep(t, relay, "ended", in("a", at))
	ended.End()
	ended.dead()
	at1 := keep(t, relay, "at once")
	at1.End()
	released := keep(t, relay, "released", in("a", at))
	released.leave("a")
	released.Release()
	released.dead()
	void := keep(t, relay, "void", in("a", at))
	void.Invalidate("a", at)
	void.join(in("b", at))
	lost := keep(t, relay, "lost", in("a", at))
	lost.Invalidate("a", at)
	lost.Release()
	renewed := keep(t, relay, "renewed", in("a", at), in("b", at))
	renewed.Revalidate() // of what was not void
	since := publish(t, relay, "b", "ann", "1", "x").Offset
	renewed.Invalidate("b", since)
	renewed.Invalidate("nowhere", since)
	awaitStored(t, relay)
	renewed.join(in("c", since))
	renewed.Revalidate()
	renewed.join(in("d", since))
	awaitStored(t, relay)
	for _, key := range []string{"ended", "at once", "lost", "void"} {
		gone(t, relay, key, at)
	}
	void.fenced()
	for _, c := range []*connection{ended, released, lost, renewed} {
		c.alive()
	}
	c, r := resume(t, relay, "released", at)
	c.is(r, session("released"))
	released.alive() // it had gone by itself
	c, r = resume(t, relay, "renewed", since)
	c.is(r, session("renewed", in("a", at), in("b", since), in("c", since), in("d", since)))
	renewed.fenced()
}

// A session lives as long as its connection, and after it for as long as is set.
func testSessionExpiry(t *testing.T, h Harness) {
	o := defaults()
	o.Recovery = 3 * time.Second
	relay := h.New(t, o).Open(t)
	at := relay.Head()
	owned, released := keep(t, relay, "owned", in("a", at)), keep(t, relay, "released", in("a", at))
	released.Release()
	awaitStored(t, relay)
	released, _ = resume(t, relay, "released", at)
	released.Release()
	awaitStored(t, relay)
	pass(5 * o.Recovery)
	gone(t, relay, "released", at)
	owned.alive()
	was := owned
	owned, _ = resume(t, relay, "owned", at)
	was.fenced()
	pass(5 * o.Recovery)
	owned.alive()
	_, r := resume(t, relay, "owned", at)
	owned.is(r, session("owned", in("a", at)))
}

func testSessionClosed(t *testing.T, h Harness) {
	relay := h.New(t, defaults()).Open(t)
	at := relay.Head()
	c := keep(t, relay, "ann", in("a", at))
	relay.Close(context.Background())
	if err := c.Join(t.Context(), in("b", at)); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("join: %v", err)
	}
	if _, err := relay.Resume(t.Context(), "ann", at, func() {}); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("resume: %v", err)
	}
	c.leave("a")
	c.Release()
	relay.Keep("ben", session("ben"), func() {}).End()
	c.alive()
}
