package chat

import (
	"fmt"
	"strings"
	"testing"
)

const minute = 60 * 1000

var (
	asha = User{ID: "a", Name: "Asha"}
	ben  = User{ID: "b", Name: "Ben"}
	me   = User{ID: "me", Name: "Mira"}
)

func newTimeline() *Timeline {
	t := NewTimeline(func(int64) int { return 0 })
	t.Self = me.ID
	return t
}

// said returns message seq of a user, with its number as id and text.
func said(u User, seq int64, at int64) Message {
	return Message{
		Seq: seq, ID: fmt.Sprint(seq), From: u, At: at,
		Data: fmt.Appendf(nil, `{"text":"%d"}`, seq), Offset: fmt.Sprintf("o%d", seq),
	}
}

// sketch describes rows: texts, with ( and ) around groups, and the other rows by their kind.
func sketch(t *Timeline) string {
	var out []string
	for _, r := range t.Rows() {
		switch r.Kind {
		case RowMessage:
			s := r.Entry.Body.Text
			if r.Head {
				s = "(" + s
			}
			if r.Tail {
				s += ")"
			}
			switch r.Entry.State {
			case Pending:
				s += "~"
			case Acked:
				s += "+"
			case Failed:
				s += "!"
			}
			out = append(out, s)
		default:
			out = append(out, [...]string{"", "day", "new", "gap", "start", "loading"}[r.Kind])
		}
	}
	return strings.Join(out, " ")
}

func expect(t *testing.T, tl *Timeline, want string) {
	t.Helper()
	if got := sketch(tl); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestGroups(t *testing.T) {
	tl := newTimeline()
	const day = 24 * 60 * minute
	for _, m := range []Message{
		said(asha, 1, 0), said(asha, 2, 4*minute), said(asha, 3, 10*minute), said(ben, 4, 10*minute),
		said(ben, 5, 11*minute), said(me, 6, 11*minute), said(ben, 7, day-1), said(ben, 8, day),
	} {
		tl.Append(m)
	}
	expect(t, tl, "start day (1 2) (3) (4 5) (6) (7) day (8)")
}

func TestDayIsLocal(t *testing.T) {
	tl := NewTimeline(func(at int64) int { return 330 })
	const day = 24 * 60 * minute
	for _, c := range []struct {
		at   int64
		want int
	}{{0, 0}, {day - 330*minute - 1, 0}, {day - 330*minute, 1}, {-331 * minute, -1}} {
		if got := tl.DayOf(c.at); got != c.want {
			t.Errorf("%d: got day %d, want %d", c.at, got, c.want)
		}
	}
}

func TestSendAndConfirm(t *testing.T) {
	tl := newTimeline()
	tl.Append(said(asha, 1, 0))
	tl.Send("x", &Body{Text: "mine"}, minute)
	expect(t, tl, "start day (1) (mine)~")
	key := tl.Rows()[3].Key

	// Another user's message comes first: the own one stays at the end until it has a place.
	tl.Append(said(asha, 2, minute))
	expect(t, tl, "start day (1 2) (mine)~")

	tl.Acknowledge("x", 3, 2*minute, "o3")
	expect(t, tl, "start day (1 2) (mine)+")
	tl.Append(Message{Seq: 3, ID: "x", From: me, At: 2 * minute, Data: []byte(`{"text":"mine"}`)})
	expect(t, tl, "start day (1 2) (mine)")
	if rows := tl.Rows(); rows[len(rows)-1].Key != key {
		t.Error("the row has another key once it is stored")
	}
	if _, added := tl.Append(Message{Seq: 3, ID: "x", From: me, At: 2 * minute, Data: []byte(`{}`)}); added {
		t.Error("a message is there twice")
	}
	if len(tl.Outgoing()) != 0 {
		t.Error("it still waits")
	}
}

func TestConfirmBeforeAcknowledgement(t *testing.T) {
	tl := newTimeline()
	tl.Send("x", &Body{Text: "mine"}, 0)
	tl.Append(Message{Seq: 1, ID: "x", From: me, Data: []byte(`{"text":"mine"}`)})
	if tl.Acknowledge("x", 1, 0, "o") != nil {
		t.Error("the acknowledgement found something to do")
	}
	expect(t, tl, "start day (mine)")
}

func TestIdsBelongToTheirAuthor(t *testing.T) {
	tl := newTimeline()
	tl.Send("x", &Body{Text: "mine"}, 0)
	tl.Append(Message{Seq: 1, ID: "x", From: asha, Data: []byte(`{"text":"hers"}`)})
	expect(t, tl, "start day (hers) (mine)~")
}

func TestFailRetryDiscard(t *testing.T) {
	tl := newTimeline()
	tl.Send("x", &Body{Text: "one"}, 0)
	tl.Send("y", &Body{Text: "two"}, 0)
	tl.Fail("x", "because")
	expect(t, tl, "day (one! two)~")
	tl.Retry("x", minute)
	expect(t, tl, "day (two~ one)~")
	tl.Fail("x", "again")
	if text, ok := tl.Discard("x"); !ok || text != "one" {
		t.Errorf("got %q, %v", text, ok)
	}
	expect(t, tl, "day (two)~")
	if tl.Retry("y", 0) != nil {
		t.Error("a message that waits was sent again")
	}
	// It had been stored after all, as the relay's delivery shows.
	tl.Fail("y", "no answer")
	tl.Append(Message{Seq: 1, ID: "y", From: me, Data: []byte(`{"text":"two"}`)})
	expect(t, tl, "start day (two)")
}

func TestAcknowledgedLongAgo(t *testing.T) {
	tl := newTimeline()
	tl.Append(said(asha, 50, 0))
	tl.Send("x", &Body{Text: "old"}, 0)
	tl.Acknowledge("x", 7, 0, "o7")
	if len(tl.Outgoing()) != 0 {
		t.Error("a message from further up stands at the end")
	}
}

func TestGap(t *testing.T) {
	tl := newTimeline()
	tl.Gap()
	tl.Append(said(asha, 1, 0))
	tl.Gap()
	tl.Gap()
	tl.Append(said(asha, 2, 0))
	tl.Gap()
	expect(t, tl, "start day (1) gap (2) gap")
	seen := map[string]bool{}
	for _, r := range tl.Rows() {
		if seen[r.Key] {
			t.Errorf("key %q twice", r.Key)
		}
		seen[r.Key] = true
	}
}

func TestWindow(t *testing.T) {
	tl := newTimeline()
	for i := range 1000 {
		tl.Append(said(asha, int64(i), 0))
	}
	shown := func() (first, last string, n int) {
		rows := tl.Rows()
		for _, r := range rows {
			if r.Kind == RowMessage {
				if first == "" {
					first = r.Entry.Body.Text
				}
				last = r.Entry.Body.Text
				n++
			}
		}
		if len(rows) > 320 {
			t.Errorf("%d rows", len(rows))
		}
		return first, last, n
	}
	if first, last, n := shown(); first != "700" || last != "999" || n != maxShown {
		t.Errorf("following: %s to %s, %d", first, last, n)
	}
	tl.Follow(false)
	tl.Older()
	if first, last, n := shown(); first != "640" || last != "939" || n != maxShown {
		t.Errorf("older: %s to %s, %d", first, last, n)
	}
	tl.Append(said(asha, 1000, 0))
	if _, last, _ := shown(); last != "939" || tl.AtEnd() {
		t.Errorf("a new message moved the reader: %s", last)
	}
	tl.Newer()
	tl.Newer()
	if first, last, _ := shown(); first != "701" || last != "1000" || !tl.AtEnd() {
		t.Errorf("newer: %s to %s", first, last)
	}
	for tl.Older() {
	}
	tl.ToEnd()
	if first, last, n := shown(); first != "881" || last != "1000" || n != firstShown {
		t.Errorf("to the end: %s to %s, %d", first, last, n)
	}
}

func TestPrependKeepsTheWindow(t *testing.T) {
	tl := newTimeline()
	tl.More = true
	for i := 100; i < 110; i++ {
		tl.Append(said(asha, int64(i), 0))
	}
	if !tl.WantsOlder() || tl.Oldest() != "o100" {
		t.Fatal("no older messages are wanted")
	}
	before := sketch(tl)
	tl.Prepend([]Message{said(ben, 98, 0), said(ben, 99, 0), said(asha, 100, 0)}, false)
	expect(t, tl, before)
	tl.Older()
	expect(t, tl, "start day (98 99) (100 101 102 103 104 105 106 107 108 109)")
}

func TestForget(t *testing.T) {
	tl := newTimeline()
	for i := range maxEntries * 2 {
		tl.Append(said(asha, int64(i), 0))
	}
	if len(tl.entries) > maxEntries*3/2 || len(tl.byKey) != len(tl.entries) || !tl.More {
		t.Errorf("%d entries, %d known, more %v", len(tl.entries), len(tl.byKey), tl.More)
	}
	if newest := tl.Newest(); newest.Seq != maxEntries*2-1 {
		t.Errorf("newest is %d", newest.Seq)
	}
}

func TestToggleChangesTheRow(t *testing.T) {
	tl := newTimeline()
	tl.Append(said(asha, 1, 0))
	rows := tl.Rows()
	tl.Toggle(rows[2].Key)
	if again := tl.Rows(); again[2] == rows[2] {
		t.Error("an unfolded text looks as before")
	}
}
