package chat

import (
	"testing"
	"time"
)

// One's own message tells its way, whatever comes first: the ack, the message, or that it was heard.
func TestWay(t *testing.T) {
	own := Message{Seq: 7, ID: "m", From: User{ID: "self"}}
	steps := map[string]func(*Timeline){
		"ack":     func(tl *Timeline) { tl.Acknowledge("m", 7, 1, "o"); tl.Took("m", 34*time.Millisecond) },
		"message": func(tl *Timeline) { tl.Append(own) },
		"heard":   func(tl *Timeline) { tl.HeardIn("nrt", 7) },
	}
	for _, order := range [][]string{{"ack", "message", "heard"}, {"message", "ack", "heard"}, {"heard", "message", "ack"}, {"message", "heard", "ack"}} {
		tl := NewTimeline(func(int64) int { return 0 })
		tl.Self = "self"
		tl.Send("m", &Body{Text: "hi"}, 1)
		for _, step := range order {
			steps[step](tl)
		}
		rows := tl.Rows()
		if got := rows[len(rows)-1].Way; got != "Stored in 34 ms · heard in Tokyo · no. 7" {
			t.Errorf("%v: %q", order, got)
		}
	}
}

// It is told of one's newest, if this page has sent it, and of no other's; and what was heard before numbers
// began again says nothing of those after.
func TestWayOfOthers(t *testing.T) {
	tl := NewTimeline(func(int64) int { return 0 })
	tl.Self = "self"
	send := func(id string, seq int64) {
		tl.Send(id, &Body{Text: "hi"}, 1)
		tl.Append(Message{Seq: seq, ID: id, From: User{ID: "self"}})
		tl.Took(id, time.Millisecond)
	}
	send("1", 1)
	send("2", 2)
	tl.Append(Message{Seq: 3, ID: "x", From: User{ID: "ben"}})
	if !tl.HeardIn("nrt", 1) || tl.HeardIn("nrt", 1) || tl.HeardIn("nrt", 0) {
		t.Error("what is news, and what is not")
	}
	told := func() (ways []string) {
		for _, r := range tl.Rows() {
			if r.Way != "" {
				ways = append(ways, r.Entry.ID+" "+r.Way)
			}
		}
		return ways
	}
	if ways := told(); len(ways) != 1 || ways[0] != "2 Stored in 1 ms · no. 2" {
		t.Errorf("%q", ways)
	}
	if got := tl.Way(tl.Find("own/1")); got != "Stored in 1 ms · heard in Tokyo · no. 1" {
		t.Error(got)
	}
	tl.Append(Message{Seq: 4, ID: "other tab", From: User{ID: "self"}})
	if ways := told(); len(ways) != 0 {
		t.Errorf("beside a newer one of another tab's: %q", ways)
	}
	tl.HeardIn("nrt", 9)
	send("again", 1)
	if ways := told(); len(ways) != 1 || ways[0] != "again Stored in 1 ms · no. 1" {
		t.Errorf("%q", ways)
	}
}

// What was written without a connection tells how long it waited, as people say it.
func TestWayAfterWaiting(t *testing.T) {
	for took, want := range map[time.Duration]string{
		999 * time.Millisecond:    "Stored in 999 ms",
		time.Second:               "Stored after 1 s",
		17_258 * time.Millisecond: "Stored after 17 s",
		150 * time.Second:         "Stored after 2 min",
		5 * time.Hour:             "Stored after 5 h",
	} {
		if got := NewTimeline(nil).Way(&Entry{took: took}); got != want {
			t.Errorf("%v: %q", took, got)
		}
	}
}

// What is heard is told at most once a second, and the last of it for certain.
func TestHearing(t *testing.T) {
	var h Hearing
	now := time.Now()
	h.Heard(1)
	if seq, _ := h.Due(now); seq != 1 {
		t.Error("the first at once:", seq)
	}
	h.Heard(2)
	h.Heard(3)
	seq, next := h.Due(now.Add(time.Millisecond))
	if seq != 0 || !next.Equal(now.Add(time.Second)) {
		t.Error("then a second later:", seq, next)
	}
	if seq, _ = h.Due(next); seq != 3 {
		t.Error("the newest:", seq)
	}
	if seq, next = h.Due(next.Add(time.Hour)); seq != 0 || !next.IsZero() {
		t.Error("once:", seq, next)
	}
}

// Of a region's people one tells, and nobody in a room without a list.
func TestWhoTellsWhatIsHeard(t *testing.T) {
	var p People
	now := time.Now()
	if p.SpeaksFor("a", "nrt") {
		t.Error("without a list")
	}
	p.Set([]User{{ID: "a", At: At(Place{"iad", "r"})}, {ID: "b", At: At(Place{"nrt", "r"})}, {ID: "c", At: At(Place{"nrt", "r"})}}, 3, now)
	if p.SpeaksFor("c", "nrt") || !p.SpeaksFor("b", "nrt") || !p.SpeaksFor("a", "iad") {
		t.Error("who comes first does")
	}
	p.Change(nil, []User{{ID: "b"}}, nil, 2, now)
	if !p.SpeaksFor("c", "nrt") {
		t.Error("who leaves does not")
	}
	both := At(Place{"iad", "q"}, Place{"nrt", "r"})
	// What is said tells one place, and leaves the others.
	p.Set([]User{{ID: "a", Name: "Ann", At: both}}, 1, now)
	if p.SetPresent(User{ID: "a", Name: "Anna", At: At(Place{"iad", "r"})}); p.here["a"] != (User{ID: "a", Name: "Anna", At: both}) {
		t.Errorf("%+v", p.here["a"])
	}
}
