package room

import (
	"slices"
	"testing"

	"setu/relay/broker"
)

// A reader is given what was heard between its begin and its end, whoever else reads.
func TestChangeLog(t *testing.T) {
	var l changeLog
	add := func(counts ...int) {
		for _, n := range counts {
			l.add(broker.Change{Count: n})
		}
	}
	check := func(what string, heard []broker.Change, want ...int) {
		t.Helper()
		var got []int
		for _, ch := range heard {
			got = append(got, ch.Count)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	add(1)
	a := l.begin()
	add(2)
	b := l.begin()
	add(3, 4)
	end := func(m mark) []broker.Change {
		heard, whole := l.end(m)
		if !whole {
			t.Error("not whole")
		}
		return heard
	}
	check("the first", end(a), 2, 3, 4)
	add(5)
	check("the second", end(b), 3, 4, 5)
	if add(6); len(l.changes) != 0 {
		t.Error("kept for nobody: ", l.changes)
	}
	check("the next", end(l.begin()))

	// Readers that overlap without an end don't keep what none of them needs.
	last := l.begin()
	for i := range 10 * maxLogged {
		next := l.begin()
		add(i)
		check("one of many", end(last), i)
		last = next
		if len(l.changes) > 2 {
			t.Fatal("kept ", len(l.changes))
		}
		last = l.begin()
		end(next)
	}
	end(last)

	slow := l.begin()
	for i := range maxLogged + 1 {
		add(i)
	}
	if heard, whole := l.end(slow); whole || len(heard) != maxLogged {
		t.Errorf("a slow reader has %d changes, all of them: %v", len(heard), whole)
	}
}

// What changes while a join reads who is in the room is in its answer, too.
func TestMembersChangeDuringJoin(t *testing.T) {
	text := func(name string) string { return userJSON(guest(name).user) }
	shared := []string{text("a"), text("b"), `{"id":"x","name":"user-c","guest":true}`}
	heard := []broker.Change{{Joined: true, User: text("c")}, {User: text("a")}, {User: text("d")}, {Joined: true, User: text("b")}, {User: "nonsense"}}
	got := applyChanges(shared, heard)
	if want := []string{shared[2], text("c"), text("b")}; !slices.Equal(got, want) {
		t.Error(got)
	}
	if shared[0] != text("a") || shared[1] != text("b") {
		t.Error("the broker's own list was changed")
	}
	if got := withUser(shared, "user-c", text("c")); len(got) != 4 {
		t.Error("a name is no id: ", got)
	}
	if got := withUser(shared, "user-a", text("a")); len(got) != 3 {
		t.Error(got)
	}
	if applyChanges(nil, heard) != nil {
		t.Error("too many to list stays so")
	}

	h, _ := newTestHub(t)
	join(t, h, "room", guest("a"), JoinOptions{})
	r := h.room("room")
	r.mu.Lock()
	from := r.roster.log.begin()
	r.mu.Unlock()
	b := guest("b")
	join(t, h, "room", b, JoinOptions{})
	h.Leave("room", b)
	r.mu.Lock()
	changes, _ := r.roster.log.end(from)
	r.mu.Unlock()
	if len(changes) != 2 || r.roster.log.changes != nil {
		t.Error(changes)
	}
}
