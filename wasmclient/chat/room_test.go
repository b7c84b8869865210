package chat

import (
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newRoom(name string) *Room {
	return &Room{Name: name, Timeline: newTimeline()}
}

func TestUnread(t *testing.T) {
	r := newRoom("river")
	r.Enter(Snapshot{Messages: []Message{said(asha, 1, 0)}})
	if r.Timeline.Unread != 0 {
		t.Error("a room that one enters for the first time is unread")
	}
	r.AddLive(said(asha, 2, 0), true)
	r.AddLive(said(me, 3, 0), false)
	r.AddLive(said(asha, 4, 0), false)
	r.AddLive(said(asha, 5, 0), false)
	if r.Timeline.Unread != 2 {
		t.Errorf("%d unread", r.Timeline.Unread)
	}
	expect(t, r.Timeline, "start day (1 2) (3) new (4 5)")

	rooms := Rooms{All: []*Room{r}, Current: r}
	if got := rooms.Title(); got != "(2) river" {
		t.Errorf("title %q", got)
	}
	if !r.MarkRead() || r.Seen != 5 || r.MarkRead() {
		t.Error("reading is not noted once")
	}
	if got := rooms.Title(); got != "river" {
		t.Errorf("title %q", got)
	}
	// The divider stays until another room is shown.
	expect(t, r.Timeline, "start day (1 2) (3) new (4 5)")
	r.Timeline.CloseDivider()
	expect(t, r.Timeline, "start day (1 2) (3) (4 5)")
}

func TestUnreadSinceTheLastVisit(t *testing.T) {
	page := []Message{said(asha, 10, 0), said(me, 11, 0), said(asha, 12, 0)}
	for _, c := range []struct {
		name   string
		seen   int64
		unread int
		rows   string
	}{
		{"some", 10, 1, "start day (10) (11) new (12)"},
		{"all seen", 12, 0, "start day (10) (11) (12)"},
		{"more than the page", 3, 8, "start day new (10) (11) (12)"},
		{"the room began again", 500, 11, "start day new (10) (11) (12)"},
	} {
		r := newRoom("river")
		r.Seen = c.seen
		r.Enter(Snapshot{Messages: page})
		if r.Timeline.Unread != c.unread {
			t.Errorf("%s: %d unread", c.name, r.Timeline.Unread)
		}
		expect(t, r.Timeline, c.rows)
	}
}

func TestMessagesBeforeTheAnswerToJoin(t *testing.T) {
	r := newRoom("river")
	r.AddLive(said(asha, 3, 0), true)
	r.Enter(Snapshot{Messages: []Message{said(asha, 1, 0), said(asha, 2, 0), said(asha, 3, 0)}})
	r.AddLive(said(asha, 4, 0), true)
	expect(t, r.Timeline, "start day (1 2 3 4)")
}

func TestReturn(t *testing.T) {
	r := newRoom("river")
	r.Enter(Snapshot{Messages: []Message{said(asha, 1, 0)}})
	if n := r.Resync(Snapshot{Messages: []Message{said(asha, 2, 0)}, Recovered: true}, true); n != 1 {
		t.Errorf("%d new", n)
	}
	expect(t, r.Timeline, "start day (1 2)")
	// A message that comes twice is shown once.
	r.Resync(Snapshot{Messages: []Message{said(asha, 2, 0), said(asha, 9, 0)}}, true)
	r.Resync(Snapshot{Messages: []Message{said(asha, 9, 0)}, Recovered: true}, true)
	expect(t, r.Timeline, "start day (1 2) gap (9)")
	r.Resync(Snapshot{}, true)
	expect(t, r.Timeline, "start day (1 2) gap (9) gap")
}

func TestRemove(t *testing.T) {
	a, b, c := newRoom("a"), newRoom("b"), newRoom("c")
	rooms := Rooms{All: []*Room{a, b, c}, Current: b}
	if next := rooms.Remove(a); next != b {
		t.Error("another room is shown")
	}
	if next := rooms.Remove(b); next != c {
		t.Error("the next room is not shown")
	}
	rooms.Current = c
	if next := rooms.Remove(c); next != nil || rooms.Title() != "Setu" {
		t.Error("a room is left")
	}
}

func TestTyping(t *testing.T) {
	var ty Typing
	read := func() string {
		out := ""
		for _, s := range ty.Sentence() {
			out += s.Text
		}
		return out
	}
	want := func(s string) {
		t.Helper()
		if got := read(); got != s {
			t.Errorf("got %q, want %q", got, s)
		}
	}
	want("")
	for i, name := range []string{"Asha", "Ben", "Chandra", "Dora", "Emil"} {
		ty.Started(User{ID: name, Name: name}, noon.Add(time.Duration(i)*time.Second))
		want([]string{"Asha is typing", "Asha and Ben are typing", "Asha, Ben and Chandra are typing",
			"Asha, Ben and 2 others are typing", "Asha, Ben and 3 others are typing"}[i])
	}
	ty.Started(User{ID: "Asha", Name: "Asha"}, noon.Add(4*time.Second)) // still the first
	want("Asha, Ben and 3 others are typing")
	ty.Stopped("Ben")
	if next := ty.Expire(noon.Add(7 * time.Second)); !next.Equal(noon.Add(8 * time.Second)) {
		t.Errorf("next at %v", next)
	}
	want("Asha, Dora and Emil are typing")
	if next := ty.Expire(noon.Add(time.Minute)); !next.IsZero() {
		t.Errorf("next at %v", next)
	}
	want("")
}

func TestPeople(t *testing.T) {
	var p People
	names := func() []string {
		var out []string
		for _, u := range p.List(me.ID) {
			out = append(out, u.Name)
		}
		return out
	}
	at := func(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }
	want := func(list ...string) {
		t.Helper()
		if got := names(); !slices.Equal(got, list) {
			t.Errorf("got %q, want %q", got, list)
		}
	}
	p.Set([]User{ben, me, asha}, 3, at(0))
	want("Mira", "Asha", "Ben")

	// A person who leaves and comes back within Grace causes no change.
	p.Change(nil, []User{ben}, 2, at(1))
	p.ApplyDue(at(5))
	p.Change([]User{ben}, nil, 3, at(5.5))
	p.ApplyDue(at(20))
	want("Mira", "Asha", "Ben")

	// Nor does one who comes and leaves within it.
	dora := User{ID: "d", Name: "Dora"}
	p.Change([]User{dora}, nil, 4, at(21))
	p.Change(nil, []User{dora}, 3, at(22))
	p.ApplyDue(at(40))
	want("Mira", "Asha", "Ben")

	// A person who stays is shown after Grace, and one who leaves is gone after it.
	p.Change([]User{dora}, []User{asha}, 3, at(41))
	if changed, next := p.ApplyDue(at(45)); changed || !next.Equal(at(46)) {
		t.Errorf("changed %v, next %v", changed, next)
	}
	if changed, next := p.ApplyDue(at(46)); !changed || !next.IsZero() {
		t.Errorf("changed %v, next %v", changed, next)
	}
	want("Mira", "Ben", "Dora")

	// A person who sends something is present, under the name that came with it.
	p.Change([]User{asha}, nil, 4, at(50))
	if !p.SetPresent(asha) || p.SetPresent(asha) || !p.SetPresent(User{ID: "b", Name: "Bennie"}) {
		t.Error("speaking does not show who is here")
	}
	want("Mira", "Asha", "Bennie", "Dora")

	// A new name is shown at once, and that of a person not shown yet when they are.
	emil := User{ID: "e", Name: "Emil"}
	p.Change([]User{emil}, nil, 5, at(52))
	p.Rename([]User{{ID: "e", Name: "Emily"}, {ID: "d", Name: "Dorothy"}, {ID: "x", Name: "Nobody"}})
	want("Mira", "Asha", "Bennie", "Dorothy")
	p.ApplyDue(at(57))
	want("Mira", "Asha", "Bennie", "Dorothy", "Emily")
	p.Change(nil, []User{{ID: "e", Name: "Emily"}, {ID: "d", Name: "Dorothy"}}, 3, at(57))
	p.Rename([]User{{ID: "d", Name: "Dora"}})
	p.Change([]User{{ID: "d", Name: "Dora"}}, nil, 4, at(58))
	p.ApplyDue(at(59))
	p.ApplyDue(at(62))
	want("Mira", "Asha", "Bennie", "Dora")

	// The changes in a list after a reconnect wait for Grace, too.
	p.Set([]User{me, asha}, 2, at(60))
	want("Mira", "Asha", "Bennie", "Dora")
	p.ApplyDue(at(66))
	want("Mira", "Asha")

	p.Set(nil, 5000, at(70))
	if p.Known() || p.Number() != 5000 {
		t.Error("a large room is not told by its count")
	}
}

func TestPill(t *testing.T) {
	var p Pill
	at := func(d time.Duration) time.Time { return noon.Add(d) }
	label := func(d time.Duration, want string) {
		t.Helper()
		if got := p.Label(at(d)); got != want {
			t.Errorf("after %v: got %q, want %q", d, got, want)
		}
	}
	label(0, "Connecting…")
	if said := p.Update(Pill{Status: Connected, Relay: "r1", Region: "fra"}, at(0)); said != "Connected" {
		t.Errorf("said %q", said)
	}
	label(0, "fra")
	p.Update(Pill{Status: Connected, Relay: "r1", Region: "fra", RTT: 23 * time.Millisecond}, at(1))
	label(1, "fra · 23 ms")

	s := time.Second
	if said := p.Update(Pill{Status: Waiting, RetryAt: at(13 * s)}, at(10*s)); said != "Connection lost, reconnecting" {
		t.Errorf("said %q", said)
	}
	label(10*s, "Reconnecting in 3 s")
	if next := p.Next(at(10 * s)); !next.Equal(at(11 * s)) {
		t.Errorf("next %v", next)
	}
	label(11*s, "Reconnecting in 2 s")
	p.Update(Pill{Status: Connecting}, at(13*s))
	label(13*s, "Reconnecting…")
	if p.Banner(at(14*s)) != "" || p.Banner(at(15*s)) == "" {
		t.Error("the banner does not come after five seconds")
	}
	if next := p.Next(at(13 * s)); !next.Equal(at(15 * s)) {
		t.Errorf("next %v", next)
	}
	if said := p.Update(Pill{Status: Connected, RTT: s}, at(16*s)); said != "Connected again" || p.Banner(at(16*s)) != "" {
		t.Errorf("said %q, banner %q", said, p.Banner(at(16*s)))
	}
	p.Recovered(12, at(16*s))
	label(17*s, "Recovered 12 messages")
	label(23*s, "fra · 1000 ms")
	p.Update(Pill{Status: Closed, Reason: "no"}, at(30*s))
	label(30*s, "Disconnected")
	if p.Banner(at(30*s)) != "Disconnected: no." {
		t.Error("the reason is not told")
	}
}
