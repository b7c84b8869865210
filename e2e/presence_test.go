package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"setu/e2e/client"
	"setu/e2e/cluster"
)

func seePresence(t *testing.T, f *fleet) {
	asha := f.join("asha", f.dublin)
	ben := f.connect("ben", f.tokyo)
	joined := ben.Join(f.room, client.JoinOptions{Presence: true})
	if joined.Count != 2 || names(joined.Members) != "asha ben" {
		t.Errorf("ben found %d: %s", joined.Count, names(joined.Members))
	}
	awaitPresence(f, asha, "presence 2 +ben")
	for _, m := range []*client.Client{asha, ben} {
		if count, members := m.Members(f.room); count != 2 || names(members) != "asha ben" {
			t.Errorf("%s sees %d: %s", m.Name(), count, names(members))
		}
	}
	for _, u := range joined.Members {
		if !u.Guest || u.ID == "" || u.ID != map[string]string{"asha": asha.User().ID, "ben": ben.User().ID}[u.Name] {
			t.Errorf("listed as %+v", u)
		}
	}
	// Cleo did not ask, and so is not told.
	cleo := f.connect("cleo", f.tokyo)
	if joined := cleo.Join(f.room, client.JoinOptions{}); joined.Count != 3 || joined.Members != nil {
		t.Errorf("cleo was given %+v", joined)
	}
	awaitPresence(f, asha, "presence 3 +cleo")
	ben.Leave(f.room)
	awaitPresence(f, asha, "presence 2 -ben")
	cleo.Quit()
	awaitPresence(f, asha, "presence 1 -cleo")
	if told := cleo.Presence(f.room); len(told) > 0 {
		t.Errorf("cleo was told %v", told)
	}
	f.conclude(asha)
}

func openTwoTabs(t *testing.T, f *fleet) {
	ben := f.join("ben", f.dublin)
	open := func(as string, relay *cluster.Relay) *client.Client {
		m := client.Connect(t, client.Options{Name: "asha", As: as, History: f.history, Relays: []string{relay.WS()}})
		m.Join(f.room, client.JoinOptions{Presence: true})
		return m
	}
	// Three tabs over two relays are one person.
	first, second, third := open("asha 1", f.dublin), open("asha 2", f.tokyo), open("asha 3", f.tokyo)
	awaitPresence(f, ben, "presence 2 +asha")
	if first.User() != second.User() || first.User() != third.User() {
		t.Errorf("users are %v, %v and %v", first.User(), second.User(), third.User())
	}
	if count, members := ben.Members(f.room); count != 2 || names(members) != "asha ben" {
		t.Errorf("ben sees %d: %s", count, names(members))
	}
	// Her own messages reach all her tabs.
	said := first.Say(f.room, "from the first")
	for _, m := range []*client.Client{first, second, third, ben} {
		m.AwaitMessage(f.room, said.ID)
	}
	first.Quit()
	third.Quit()
	if count, _ := second.Members(f.room); count != 2 {
		t.Errorf("with one tab left, asha sees %d", count)
	}
	second.Quit()
	awaitPresence(f, ben, "presence 1 -asha")
	if told := ben.Presence(f.room); len(told) != 2 {
		t.Errorf("ben was told %v", told)
	}
	f.conclude(ben)
}

func signal(t *testing.T, f *fleet) {
	asha, ben, cleo := f.join("asha", f.dublin), f.join("ben", f.tokyo), f.join("cleo", f.dublin)
	// Signals may be dropped, so she types until they have seen it.
	for _, m := range []*client.Client{ben, cleo} {
		cluster.Eventually(t, patience, m.Name()+" sees her type", func() error {
			asha.Signal(f.room, map[string]bool{"typing": true})
			if len(m.Signals()) == 0 {
				return fmt.Errorf("saw nothing")
			}
			return nil
		})
	}
	heard := ben.Signals()[0]
	if !strings.Contains(heard, `"data":{"typing":true}`) || !strings.Contains(heard, asha.User().ID) {
		t.Errorf("ben heard %s", heard)
	}
	if own := asha.Signals(); len(own) > 0 {
		t.Errorf("asha heard herself: %v", own)
	}
	if verdict := f.conclude(asha, ben, cleo); verdict.Stored != 1 {
		t.Errorf("signals were stored: %s", verdict)
	}
}

// awaitPresence waits until a client was told of a change.
func awaitPresence(f *fleet, m *client.Client, want string) {
	f.t.Helper()
	cluster.Eventually(f.t, patience, m.Name()+" is told "+want, func() error {
		told := m.Presence(f.room)
		if slices.ContainsFunc(told, func(p client.Presence) bool { return p.String() == want }) {
			return nil
		}
		return fmt.Errorf("was told %v", told)
	})
}

// names are those of users, in order.
func names(users []client.User) string {
	var all []string
	for _, u := range users {
		all = append(all, u.Name)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}
