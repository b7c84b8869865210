package room

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"setu/relay/broker"
)

// as returns a user under a name.
func as(name string) broker.User { return broker.User{ID: "u", Name: name, Guest: true} }

// changeOf reads a change of the user: "+A" joined, "-A" left, "=A" renamed, ">A" moved, as A.
func changeOf(s string) broker.Change {
	return broker.Change{Joined: s[0] == '+', Renamed: s[0] == '=' || s[0] == '>', Moved: s[0] == '>', Count: 1, User: userJSON(as(s[1:]))}
}

// What members are told is how a user's state after a moment differs from the state before it.
func TestChangesOfAMoment(t *testing.T) {
	for _, row := range []struct{ known, changes, want string }{
		{"", "+A", "+A"},
		{"", "-A", "-A"},
		{"", "=B", "=B"},
		{"A", "=B", "=B"},
		{"", "+A -A", ""},
		{"", "-A +A", ""},
		{"", "-A +B", "=B"},
		{"", "+A =B", "+B"},
		{"", "+A =B -B", ""},
		{"", "=B =C", "=C"},
		{"A", "=B =A", ""},
		{"", "=B =A", "=A"}, // nobody knows here that it was A before
		{"A", "=B =C =A", ""},
		{"A", "=B -B", "-B"},
		{"A", "=B -B +A", ""},
		{"A", "=B -B +B", "=B"},
		{"", "-A +B =A", ""},
		{"", "+A -A +B", "+B"},
		{"", ">A", ">A"},
		{"A", ">A", ""},
		{"A", ">B >C", ">C"},
		{"", ">A =B", "=B"},
		{"", "=B >B", "=B"},
		{"", "+A >A", "+A"},
		{"", ">A -A", "-A"},
	} {
		var c changes
		for _, s := range strings.Fields(row.changes) {
			was := ""
			if row.known != "" {
				was = userJSON(as(row.known))
			}
			c.add("u", changeOf(s), was)
		}
		net := c.take()
		var got []string
		for sign, list := range map[string][]netChange{"+": net.joined, "-": net.left, "=": net.renamed, ">": net.moved} {
			for _, n := range list {
				u, _ := parseUser(n.user)
				got = append(got, sign+u.Name)
			}
		}
		if strings.Join(got, " ") != row.want || net.withMoves().empty() != (row.want == "") || net.empty() != (row.want == "" || row.want[0] == '>') {
			t.Errorf("%s, known as %q: %v, want %q", row.changes, row.known, got, row.want)
		}
		if again := c.take(); !again.empty() {
			t.Error("taken once: ", again)
		}
	}
}

func TestRenameInAList(t *testing.T) {
	other := userJSON(broker.User{ID: "v", Name: "V"})
	for _, row := range []struct {
		list    []string
		changes string
		want    []string
	}{
		{[]string{userJSON(as("A")), other}, "=B", []string{userJSON(as("B")), other}},
		{[]string{userJSON(as("B")), other}, "=B", []string{userJSON(as("B")), other}},
		{[]string{other}, "=B", []string{other}}, // left since
		{[]string{other}, "+A =B", []string{other, userJSON(as("B"))}},
		{[]string{userJSON(as("A")), other}, "=B -B", []string{other}},
	} {
		var heard []broker.Change
		for _, s := range strings.Fields(row.changes) {
			heard = append(heard, changeOf(s))
		}
		if got := applyChanges(row.list, heard); !slices.Equal(got, row.want) {
			t.Errorf("%v after %s: %v", row.list, row.changes, got)
		}
	}
}

// told returns the names in one list of the only presence event, "" if there is no event.
func told(t *testing.T, m *member, list string) string {
	t.Helper()
	packets := m.got("presence")
	if len(packets) == 0 {
		return ""
	}
	var args []json.RawMessage
	var body map[string]json.RawMessage
	var users []broker.User
	if len(packets) > 1 || json.Unmarshal([]byte(packets[0][2:]), &args) != nil || json.Unmarshal(args[1], &body) != nil ||
		len(body) != 3 || json.Unmarshal(body[list], &users) != nil {
		t.Fatal(packets)
	}
	var names []string
	for _, u := range users {
		names = append(names, u.Name)
	}
	return strings.Join(names, " ")
}

// A second connection of a user under another name renames the first, and all who asked are told:
// once for a moment, and not if nothing has changed in the end.
func TestRename(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, f := newTestHub(t)
		defer f.Memory.Close(context.Background())
		watcher, quiet, first := guest("watcher"), guest("quiet"), guest("a")
		join(t, h, "room", watcher, JoinOptions{Presence: true})
		join(t, h, "room", quiet, JoinOptions{})
		join(t, h, "room", first, JoinOptions{Presence: true})
		<-time.After(time.Second)
		watcher.got("")
		first.got("")
		tab := func(name string) *member {
			m := guest("a")
			m.id, m.user.Name = "conn-"+name, name
			return m
		}

		second := tab("anna")
		if j := join(t, h, "room", second, JoinOptions{Presence: true}); j.Count != 3 || strings.Count(fmt.Sprint(j.Members), "anna") != 1 {
			t.Errorf("%+v", j)
		}
		if first.User() != second.user || watcher.User() != watcher.user || quiet.User() != quiet.user {
			t.Error(first.User(), watcher.User(), quiet.User())
		}
		<-time.After(time.Second)
		for _, m := range []*member{watcher, first, second} {
			if got := told(t, m, "renamed"); got != "anna" {
				t.Errorf("%s was told of %q", m.id, got)
			}
		}
		if got := quiet.got("presence"); len(got) > 0 {
			t.Error("did not ask: ", got)
		}

		// The name stays, and joining again does not bring back the old one.
		h.Leave("room", second)
		<-time.After(time.Second)
		join(t, h, "room", first, JoinOptions{Presence: true})
		if u, _ := h.room("room").lookup(first.user.ID); u != second.user {
			t.Error(u)
		}

		join(t, h, "room", tab("anne"), JoinOptions{})
		join(t, h, "room", tab("ann"), JoinOptions{})
		<-time.After(time.Second)
		if got := told(t, watcher, "renamed"); got != "ann" {
			t.Errorf("twice in a moment: told of %q", got)
		}
		join(t, h, "room", tab("other"), JoinOptions{})
		join(t, h, "room", tab("ann"), JoinOptions{})
		<-time.After(time.Second)
		if got := told(t, watcher, "renamed"); got != "" {
			t.Errorf("there and back: told of %q", got)
		}
		if u := first.User(); u.Name != "ann" || u.ID != first.user.ID {
			t.Error(u)
		}

		b := guest("b")
		join(t, h, "room", b, JoinOptions{})
		b2 := guest("b")
		b2.id, b2.user.Name = "conn-b2", "bob"
		join(t, h, "room", b2, JoinOptions{})
		<-time.After(time.Second)
		if got := told(t, watcher, "joined"); got != "bob" {
			t.Errorf("joined and renamed: told of %q", got)
		}
	})
}

// Who is at other places is told to whoever asked for that, and to nobody else.
func TestMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newTestHub(t)
		plain, moves := guest("plain"), guest("moves")
		moves.moves = true
		for _, m := range []*member{plain, moves} {
			join(t, h, "room", m, JoinOptions{Presence: true})
		}
		<-time.After(time.Second)
		plain.got("")
		moves.got("")
		moved := broker.User{ID: "~far", Name: "far", Guest: true}
		h.room("room").Presence(broker.Change{Renamed: true, Moved: true, Count: 3, User: userJSON(moved)})
		<-time.After(time.Second)
		if got := told(t, moves, "renamed"); got != "far" {
			t.Errorf("told of %q", got)
		}
		if got := plain.got("presence"); len(got) > 0 {
			t.Error("did not ask: ", got)
		}
	})
}

// If a user is renamed over another relay, this one's connections are too, whether anybody asks or
// not.
func TestRenameFromElsewhere(t *testing.T) {
	h, _ := newTestHub(t)
	m := guest("a")
	join(t, h, "room", m, JoinOptions{})
	renamed := m.user
	renamed.Name = "anna"
	r := h.room("room")
	r.Presence(broker.Change{Renamed: true, Count: 1, User: userJSON(renamed)})
	r.Presence(broker.Change{Renamed: true, Count: 1, User: "nonsense"})
	r.Presence(broker.Change{Renamed: true, Count: 1, User: userJSON(as("nobody here"))})
	if u, here := r.lookup(m.user.ID); u != renamed || !here || m.User() != renamed {
		t.Error(u, here, m.User())
	}
	if users, _ := r.localUsers(); !slices.Equal(users, []string{userJSON(renamed)}) {
		t.Error(users)
	}
}

// A rename that was missed is found in the list that is read then.
func TestRenameMissed(t *testing.T) {
	h, f := newTestHub(t)
	m, watcher := guest("a"), guest("watcher")
	join(t, h, "room", m, JoinOptions{})
	join(t, h, "room", watcher, JoinOptions{Presence: true})
	r := h.room("room")
	renamed := m.user
	renamed.Name = "anna"
	// The broker knows, and this relay has missed it.
	if _, err := f.Memory.Enter(t.Context(), "room", renamed); err != nil {
		t.Fatal(err)
	}
	m.Rename(m.user)
	r.mu.Lock()
	r.roster.enter(m.user, userJSON(m.user), true)
	r.mu.Unlock()
	r.Presence(broker.Change{Missed: true})
	h.Wait()
	if u, _ := r.lookup(m.user.ID); u != renamed || m.User() != renamed || watcher.User() != watcher.user {
		t.Error(u, m.User(), watcher.User())
	}
}

// A room that is too large to list its users tells of no names either.
func TestRenameInALargeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, f := newTestHub(t)
		defer f.Memory.Close(context.Background())
		watcher := guest("watcher")
		join(t, h, "room", watcher, JoinOptions{Presence: true})
		<-time.After(time.Second)
		r := h.room("room")
		r.Presence(broker.Change{Renamed: true, Count: MaxMembers + 1, User: userJSON(as("A"))})
		<-time.After(time.Second)
		if got := watcher.got("presence"); len(got) > 0 {
			t.Error(got)
		}
	})
}
