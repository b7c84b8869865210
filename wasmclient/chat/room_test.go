package chat

import (
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
		{"the line before the page", 9, 2, "start day new (10) (11) (12)"},
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
	if said := p.Update(Pill{Status: Connected, Relay: "r1", Region: "Frankfurt"}, at(0)); said != "Connected" {
		t.Errorf("said %q", said)
	}
	label(0, "Frankfurt")
	p.Update(Pill{Status: Connected, Relay: "r1", Region: "Frankfurt", RTT: 23 * time.Millisecond}, at(1))
	label(1, "Frankfurt · 23 ms")

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
	label(23*s, "Frankfurt · 1000 ms")
	p.Update(Pill{Status: Closed, Reason: "no"}, at(30*s))
	label(30*s, "Disconnected")
	if p.Banner(at(30*s)) != "Disconnected: no." {
		t.Error("the reason is not told")
	}
}

func TestTwin(t *testing.T) {
	rooms := Rooms{All: []*Room{newRoom("Lobby"), newRoom("quay")}}
	for name, want := range map[string]string{"lobby": "Lobby", "LOBBY": "Lobby", "Lobby": "", "lobby2": ""} {
		got := ""
		if twin := rooms.Twin(name); twin != nil {
			got = twin.Name
		}
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestDiffer(t *testing.T) {
	rooms := Rooms{All: []*Room{newRoom("a"), newRoom("b")}}
	come, gone := rooms.Differ([]string{"b", "c"})
	if len(come) != 1 || come[0] != "c" || len(gone) != 1 || gone[0].Name != "a" {
		t.Errorf("%q come, %d gone", come, len(gone))
	}
}

// What takes an answer is refused without a connection; that there is none is told once it is more than a moment's.
func TestPillRefuses(t *testing.T) {
	began := time.Unix(1000, 0)
	for _, step := range []struct {
		status  Status
		after   time.Duration
		refusal string
		lasting bool
	}{
		{Connecting, 0, "Not deleted: there is no connection. Try again.", false},
		{Connected, time.Second, "", false},
		{Connecting, 2 * time.Second, "Not deleted: there is no connection. Try again.", false},
		{Waiting, 3 * time.Second, "Not deleted: there is no connection. Try again.", true},
		{Connecting, 8 * time.Second, "Not deleted: there is no connection. Try again.", true},
		{Closed, 9 * time.Second, "Not deleted: there is no connection. Try again.", true},
	} {
		var p Pill
		p.Update(Pill{Status: Connected}, began)
		p.Update(Pill{Status: Connecting}, began.Add(2*time.Second))
		p.Update(Pill{Status: step.status}, began.Add(step.after))
		if got := p.Refusal("Not deleted", "Try again."); got != step.refusal || p.Lasting(began.Add(step.after)) != step.lasting {
			t.Errorf("%s after %v: %q, lasting: %t", step.status, step.after, got, p.Lasting(began.Add(step.after)))
		}
	}
}

// Who is away stays so while it is tried again: what the page says of it neither goes nor is said anew by each try.
func TestPillStaysAway(t *testing.T) {
	var p Pill
	for i, step := range []struct {
		status Status
		away   bool
	}{
		{Connecting, false}, {Waiting, true}, {Connecting, true}, {Waiting, true}, {Connected, false},
		{Connecting, false}, {Waiting, true}, {Connecting, true}, {Connected, false}, {Waiting, true}, {Closed, false},
	} {
		p.Update(Pill{Status: step.status}, noon)
		if lasting := step.away || step.status == Closed; p.Away() != step.away || p.Lasting(noon) != lasting {
			t.Errorf("step %d, %s: away: %t, lasting: %t", i, step.status, p.Away(), p.Lasting(noon))
		}
	}
}

// Where there is little room the pill tells the round trip alone, or when the next try is.
func TestPillIsShort(t *testing.T) {
	var p Pill
	p.Update(Pill{Status: Connected, Relay: "r", Region: "nrt"}, noon)
	for _, want := range []string{"Tokyo", "165 ms", "in 3 s", "Disconnected"} {
		if got := p.Short(noon); got != want {
			t.Errorf("%q instead of %q", got, want)
		}
		switch want {
		case "Tokyo":
			p.RTT = 165 * time.Millisecond
		case "165 ms":
			p.Recovered(12, noon)
			if got := p.Short(noon); got != want {
				t.Errorf("%q in the place of the round trip", got)
			}
			p.Update(Pill{Status: Waiting, RetryAt: noon.Add(3 * time.Second)}, noon)
		default:
			p.Update(Pill{Status: Closed}, noon)
		}
	}
}

// A relay that hears nothing of Redis can't let anybody in, nor store what is written: the page says so, until it
// does again.
func TestPillOfASilentStore(t *testing.T) {
	var p Pill
	tell := func(status Status, store time.Duration) {
		p.Update(Pill{Status: status, Relay: "r", Region: "nrt", RTT: 8 * time.Millisecond, Store: store}, noon)
	}
	check := func(silent bool, label, short string) {
		t.Helper()
		if p.StoreSilent() != silent || p.Label(noon) != label || p.Short(noon) != short {
			t.Errorf("silent %v, %q, %q", p.StoreSilent(), p.Label(noon), p.Short(noon))
		}
		if got := p.Refusal("Not deleted", "Try again."); got != "Not deleted: the relay has no connection to Redis. Try again." && silent || got != "" && !silent {
			t.Errorf("refused: %q", got)
		}
		if (p.Banner(noon) != "") != silent || (p.PeopleNote(noon) != "") != silent {
			t.Errorf("banner %q, of people %q", p.Banner(noon), p.PeopleNote(noon))
		}
	}
	tell(Connected, 4999*time.Millisecond)
	check(false, "Tokyo · 8 ms", "8 ms")
	tell(Connected, 5*time.Second)
	p.Note("Recovered 2 messages", noon)
	check(true, "Redis is silent", "Redis is silent")
	p.note = ""
	tell(Connected, time.Millisecond)
	check(false, "Tokyo · 8 ms", "8 ms")
	tell(Waiting, 9*time.Second)
	if p.StoreSilent() || p.Refusal("x", "") != "x: there is no connection. " {
		t.Error("silent without a connection")
	}
}

// Who is here is told as long as that is known, and as it was for as long as a connection may be away that comes
// back by itself.
func TestPeopleNoteOfConnection(t *testing.T) {
	const unknown = "Not connected: who is here now isn’t known."
	var p Pill
	at := noon
	for _, c := range []struct {
		after  time.Duration
		status Status
		want   string
	}{
		{0, Connecting, "Connecting…"},
		{4 * time.Second, Connecting, "Connecting…"},
		{2 * time.Second, Connecting, unknown},
		{0, Waiting, unknown},
		{0, Connected, ""},
		{time.Hour, Connecting, ""},
		{0, Waiting, ""},
		{4 * time.Second, Waiting, ""},
		{2 * time.Second, Waiting, unknown},
		{0, Connected, ""},
		{0, Closed, unknown},
	} {
		at = at.Add(c.after)
		p.Update(Pill{Status: c.status}, at)
		if got := p.PeopleNote(at); got != c.want {
			t.Errorf("%v after %v: %q", c.status, c.after, got)
		}
	}
}
