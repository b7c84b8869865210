package room

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"setu/relay/broker"
)

func userJSON(u broker.User) string {
	text, _ := json.Marshal(u)
	return string(text)
}

// A user is in the room once, with as many connections as have entered, under the newest name.
func TestRosterCountsConnections(t *testing.T) {
	r := newRoster()
	asha, renamed := guest("asha").user, guest("asha").user
	renamed.Name = "Asha B"
	r.enter(asha, userJSON(asha), false)
	r.enter(asha, userJSON(asha), true) // joined again
	r.enter(renamed, userJSON(renamed), false)
	if u, here := r.lookup(asha.ID); !here || u != renamed {
		t.Error(u, here)
	}
	if users, n := r.localUsers(); n != 1 || !slices.Equal(users, []string{userJSON(renamed)}) {
		t.Error(users, n)
	}
	_, one := r.leave(asha.ID)
	if text, two := r.leave(asha.ID); one || !two || text != userJSON(renamed) {
		t.Errorf("the second of two connections is the last, of %s: %v, %v", text, one, two)
	}
	if u, here := r.lookup(asha.ID); here || u != (broker.User{}) {
		t.Error("has left: ", u)
	}
	if users, n := r.localUsers(); n != 0 || users == nil || len(users) != 0 {
		t.Error("a list of nobody is a list: ", users, n)
	}
}

func TestRosterListsAtMost(t *testing.T) {
	r := newRoster()
	for i := range MaxMembers + 1 {
		if users, n := r.localUsers(); len(users) != i || n != i {
			t.Fatalf("%d of %d users, %d counted", len(users), i, n)
		}
		r.enter(broker.User{ID: fmt.Sprint(i)}, "{}", false)
	}
	if users, n := r.localUsers(); users != nil || n != MaxMembers+1 {
		t.Error(len(users), n)
	}
}

// The room has as many users as were last heard of, and at least those that are here.
func TestRosterTotal(t *testing.T) {
	r := newRoster()
	r.enter(broker.User{ID: "a"}, "{}", false)
	r.enter(broker.User{ID: "b"}, "{}", false)
	for _, row := range []struct {
		what string
		do   func()
		want int
	}{
		{"before anything was heard", func() {}, 2},
		{"a change", func() { r.hear(broker.Change{Joined: true, Count: 5}) }, 5},
		{"a change that others had before this relay's", func() { r.hear(broker.Change{Count: 1}) }, 2},
		{"a count that was read", func() { r.counted(7, nil) }, 7},
		{"one that a change overtook", func() { r.counted(9, []broker.Change{{}}) }, 7},
	} {
		if row.do(); r.total() != row.want {
			t.Errorf("%s: %d, want %d", row.what, r.total(), row.want)
		}
	}
}

// Changes are news only for as long as some member asks.
func TestRosterHears(t *testing.T) {
	r := newRoster()
	m := &membership{}
	joined := broker.Change{Joined: true, Count: 3, User: userJSON(guest("a").user)}
	news := func(ch broker.Change) bool {
		_, news, _ := r.hear(ch)
		return news
	}
	if news(joined) {
		t.Error("nobody asks")
	}
	r.ask(m, true)
	r.ask(m, true) // joined again
	if r.asking != 1 || !m.presence || !news(joined) {
		t.Error("one member asks: ", r.asking)
	}
	if news(broker.Change{Joined: true, Count: 4, User: "nonsense"}) || r.count != 4 {
		t.Error("no user, but a count: ", r.count)
	}
	if net := r.pending.take(); len(net.joined) != 1 || net.joined[0].id != "user-a" || net.left != nil || net.renamed != nil {
		t.Error(net)
	}
	r.ask(m, false)
	if r.asking != 0 || m.presence || news(joined) {
		t.Error("nobody asks any more: ", r.asking)
	}
	if net := r.pending.take(); !net.empty() {
		t.Error(net)
	}
}

// A refresh is complete if no changes were missed since it began; else one more is to be made.
func TestRosterRefresh(t *testing.T) {
	r := newRoster()
	if r.miss() {
		t.Error("nobody asks")
	}
	r.ask(&membership{}, true)
	if !r.miss() {
		t.Error("nobody refreshes yet")
	}
	first := r.beginRefresh()
	r.hear(broker.Change{Count: 1, User: userJSON(guest("a").user)})
	if r.miss() {
		t.Error("one refresh at a time")
	}
	if heard, complete := r.endRefresh(first); complete || heard != nil {
		t.Error("changes were missed: ", heard)
	}
	second := r.beginRefresh()
	r.hear(broker.Change{Count: 2, User: userJSON(guest("b").user)})
	if heard, complete := r.endRefresh(second); !complete || len(heard) != 1 || heard[0].Count != 2 {
		t.Error(complete, heard)
	}
	if !r.miss() {
		t.Error("the next begins anew")
	}
}
