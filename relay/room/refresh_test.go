package room

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/broker"
)

// After missed changes, members that asked are told everybody who is in the room, and the others
// are told nothing.
func TestMissedPresenceIsReadAnew(t *testing.T) {
	h, _ := newTestHub(t)
	asked, other := guest("asked"), guest("other")
	join(t, h, "room", asked, JoinOptions{Presence: true})
	join(t, h, "room", other, JoinOptions{})
	asked.got("presence")
	r := h.room("room")
	r.Presence(broker.Change{Missed: true})
	r.Presence(broker.Change{Missed: true}) // the first refresh is under way, or done
	h.Wait()
	told := asked.got("presence")
	if len(told) == 0 || len(told) > 2 || !strings.Contains(told[0], `"count":2,"members":[`) ||
		!strings.Contains(told[0], asked.user.ID) || !strings.Contains(told[0], other.user.ID) {
		t.Errorf("told %q", told)
	}
	if told := other.got("presence"); len(told) != 0 {
		t.Errorf("a member that did not ask was told %q", told)
	}
}

// Who joins while the broker can't say who is there is told part of it, and the whole when it can.
func TestPartialListIsMadeGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, limits)
		defer f.Memory.Close(context.Background())
		h := NewHub(f, limits)
		defer h.Drain()
		f.Memory.Enter(t.Context(), "room", guest("elsewhere").user)
		join(t, h, "room", guest("stay"), JoinOptions{})
		f.set(func() { f.down = true })
		m := guest("m")
		if j := join(t, h, "room", m, JoinOptions{Presence: true}); len(j.Members) != 2 {
			t.Errorf("while the broker is down: %q", j.Members)
		}
		<-time.After(5 * refreshPause)
		f.set(func() { f.down = false })
		<-time.After(2 * refreshPause)
		if got := m.got("presence"); len(got) != 1 || !strings.Contains(got[0], "user-elsewhere") {
			t.Errorf("told %q", got)
		}
	})
}

// A list is read from the store, past what it pushes: changes that are heard after it may be older, also
// by more than a moment. Whoever was told it is told all of them, whatever comes of them.
func TestListAheadOfChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, limits)
		defer f.Memory.Close(context.Background())
		h := NewHub(f, limits)
		defer h.Drain()
		long, late := guest("long"), guest("late")
		join(t, h, "room", long, JoinOptions{Presence: true})
		join(t, h, "room", guest("ben"), JoinOptions{})
		<-time.After(3 * time.Second)
		long.got("presence")
		before := time.Now()
		<-time.After(time.Second)
		join(t, h, "room", late, JoinOptions{Presence: true})
		<-time.After(3 * time.Second)
		long.got("presence")
		late.got("presence")
		text := func(name string) string { return `{"id":"user-ben","name":"` + name + `","guest":true}` }
		left, joined := broker.Change{User: text("ben")}, broker.Change{User: text("ben"), Joined: true}
		for what, tt := range map[string]struct {
			changes []broker.Change
			want    string
		}{
			"left and back":    {[]broker.Change{left, joined}, `"joined":[` + text("ben")},
			"back and gone":    {[]broker.Change{joined, left}, `"left":[` + text("ben")},
			"renamed and back": {[]broker.Change{{Renamed: true, User: text("bo")}, {Renamed: true, User: text("ben")}}, `"renamed":[` + text("ben")},
		} {
			for _, after := range []time.Time{before, {}} {
				for i, ch := range tt.changes {
					if ch.Count = 3; i == 1 { // that the first was announced just now makes the second no newer
						ch.After = after
					}
					h.room("room").Presence(ch)
				}
				<-time.After(time.Second)
				if got := late.got("presence"); after.IsZero() && len(got) > 0 || !after.IsZero() && (len(got) != 1 || !strings.Contains(got[0], tt.want)) {
					t.Errorf("%s, announced after %v: who was told the list then hears %q", what, after, got)
				}
				if got := long.got("presence"); len(got) != 0 {
					t.Errorf("%s: who was told it before hears %q", what, got)
				}
			}
		}
	})
}

// What was heard and not yet told when all are told who is there is part of that, or older.
func TestListTellsWhatIsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, f := newTestHub(t)
		defer f.Memory.Close(context.Background())
		asks, ben := guest("asks"), guest("ben")
		join(t, h, "room", asks, JoinOptions{Presence: true})
		f.Memory.Enter(t.Context(), "room", ben.user)
		<-time.After(time.Second)
		asks.got("presence")
		r := h.room("room")
		r.Presence(broker.Change{Count: 1, User: `{"id":"user-ben","name":"ben","guest":true}`}) // and he came back, unheard
		r.Presence(broker.Change{Missed: true})
		<-time.After(time.Second)
		if got := asks.got("presence"); len(got) != 1 || !strings.Contains(got[0], `"members":[`) || !strings.Contains(got[0], "user-ben") {
			t.Errorf("told %q", got)
		}
	})
}

// A list from which some may be missing is the answer to a join, for want of a better one, and told to
// nobody who has one, until the broker says that changes were missed.
func TestListThatMayLackSome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, f := newTestHub(t)
		defer f.Memory.Close(context.Background())
		f.Memory.Enter(t.Context(), "room", guest("elsewhere").user)
		f.set(func() { f.partial = true })
		first, second := guest("first"), guest("second")
		join(t, h, "room", first, JoinOptions{Presence: true})
		if j := join(t, h, "room", second, JoinOptions{Presence: true}); len(j.Members) != 3 || !j.Partial {
			t.Errorf("the answer: %q, partial %t", j.Members, j.Partial)
		}
		<-time.After(time.Minute)
		first.got("presence") // of the second, who came
		r := h.room("room")
		f.set(func() { f.lists = 0 })
		r.Presence(broker.Change{Missed: true})
		<-time.After(time.Minute)
		lists := 0
		f.set(func() { lists = f.lists })
		if got := first.got("presence"); len(got) != 0 || lists != 1 {
			t.Errorf("while some may be missing: told %q, read %d times", got, lists)
		}
		f.set(func() { f.partial = false })
		r.Presence(broker.Change{Missed: true})
		<-time.After(time.Minute)
		for _, m := range []*member{first, second} {
			if got := m.got("presence"); len(got) != 1 || !strings.Contains(got[0], `"count":3,"members":[`) {
				t.Errorf("%s was told %q", m.id, got)
			}
		}
		if j := join(t, h, "room", guest("third"), JoinOptions{Presence: true}); len(j.Members) != 4 || j.Partial {
			t.Errorf("the answer: %q, partial %t", j.Members, j.Partial)
		}
	})
}
