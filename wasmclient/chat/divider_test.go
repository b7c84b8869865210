package chat

import (
	"fmt"
	"strings"
	"testing"
)

// span returns messages first to last of Asha's, a second apart.
func span(first, last int64) (list []Message) {
	for i := first; i <= last; i++ {
		list = append(list, said(asha, i, i*1000))
	}
	return list
}

// around returns the numbers above and below the line, or 0 where there is none.
func around(t *Timeline) (above, below int64) {
	var last int64
	for i, r := range t.Rows() {
		if r.Kind == RowUnread {
			return last, t.Rows()[i+1].Entry.Seq
		}
		if r.Kind == RowMessage {
			last = r.Entry.Seq
		}
	}
	return 0, 0
}

// One reads a room up to its first message, leaves, and comes back when 100 more are there, of which the
// relay sends 60. (Seen: the line before the 42nd, 41 read ones above it.)
func TestDividerOlderThanWhatIsLoaded(t *testing.T) {
	r := newRoom("river")
	r.Seen, r.SeenAt = 1, 1000
	r.Enter(Snapshot{Messages: span(42, 101), HasMore: true})
	tl := r.Timeline
	tl.Open()
	if above, below := around(tl); above != 0 || below != 0 {
		t.Errorf("the line stands between %d and %d", above, below)
	}
	if tl.Unread != 100 || !tl.AtEnd() {
		t.Errorf("%d unread, at the end: %v", tl.Unread, tl.AtEnd())
	}
	r.MarkRead() // the end is in view
	if n, since, ok := tl.Above(); n != 100 || since != 1000 || !ok || !tl.WantsDivider() {
		t.Errorf("%d since %d, %v", n, since, ok)
	}
	tl.Prepend(span(2, 41), true)
	if above, below := around(tl); above != 0 || below != 0 {
		t.Errorf("not in the document: the line stands between %d and %d", above, below)
	}
	if _, _, ok := tl.Above(); !ok || tl.WantsDivider() || !tl.ShowDivider() {
		t.Error("the line is not found")
	}
	tl.Prepend(span(1, 1), false)
	tl.ShowDivider()
	if above, below := around(tl); above != 1 || below != 2 {
		t.Errorf("the line stands between %d and %d", above, below)
	}
	tl.PassDivider()
	if _, _, ok := tl.Above(); ok {
		t.Error("a line that was in view is still told of")
	}
}

// What was unread is no longer kept: the line stands before what is.
func TestDividerOlderThanTheHistory(t *testing.T) {
	r := newRoom("river")
	r.Seen = 5
	r.Enter(Snapshot{Messages: span(42, 101), HasMore: true})
	r.Timeline.Prepend(nil, false)
	if _, below := around(r.Timeline); below != 42 {
		t.Errorf("the line stands before %d", below)
	}
}

// One's own messages, also those of another tab, are not unread.
func TestDividerPassesOverOwnMessages(t *testing.T) {
	r := newRoom("river")
	r.Seen = 10
	r.Enter(Snapshot{Messages: []Message{said(asha, 10, 0), said(me, 11, 0), said(asha, 12, 0)}, HasMore: true})
	if above, below := around(r.Timeline); above != 11 || below != 12 || r.Timeline.Unread != 1 {
		t.Errorf("between %d and %d, %d unread", above, below, r.Timeline.Unread)
	}
}

func TestDividerWhileAway(t *testing.T) {
	r := newRoom("river")
	r.Enter(Snapshot{Messages: span(1, 1)})
	r.MarkRead()
	for _, m := range span(2, 101) {
		r.AddLive(m, false)
	}
	if n, since, ok := r.Timeline.Above(); n != 100 || since != 1000 || !ok {
		t.Errorf("%d since %d, %v", n, since, ok)
	}
	if above, below := around(r.Timeline); above != 1 || below != 2 {
		t.Errorf("between %d and %d", above, below)
	}
}

// Numbers begin again when all of a room's history has expired.
func TestUnreadInAHistoryThatBeganAgain(t *testing.T) {
	r := newRoom("river")
	r.Seen = 500
	r.Enter(Snapshot{})
	r.AddLive(said(asha, 1, 0), false)
	r.AddLive(said(asha, 2, 0), false)
	if r.Timeline.Unread != 2 || !r.MarkRead() || r.Seen != 2 {
		t.Errorf("%d unread, read up to %d", r.Timeline.Unread, r.Seen)
	}
	r.AddLive(said(asha, 1, 5), false)
	if r.Timeline.Contains("a", "1") && r.Timeline.Unread != 0 {
		t.Error("a message that is there already is unread")
	}
	m := said(asha, 1, 5)
	m.ID = "another"
	r.AddLive(m, false)
	if r.Timeline.Unread != 1 || !r.MarkRead() {
		t.Errorf("%d unread", r.Timeline.Unread)
	}
}

// What one tab has read is read in all.
func TestSeenElsewhere(t *testing.T) {
	r := newRoom("river")
	r.Enter(Snapshot{Messages: span(1, 1)})
	r.MarkRead()
	for _, m := range span(2, 5) {
		r.AddLive(m, false)
	}
	if !r.SeenElsewhere(4, 4000) || r.Timeline.Unread != 1 {
		t.Errorf("%d unread", r.Timeline.Unread)
	}
	// It may know of messages that have not come here yet.
	if !r.SeenElsewhere(6, 6000) || r.Timeline.Unread != 0 {
		t.Errorf("%d unread", r.Timeline.Unread)
	}
	if r.AddLive(said(asha, 6, 6000), false); r.Timeline.Unread != 0 {
		t.Error("a message that was read elsewhere is unread")
	}
	if r.SeenElsewhere(3, 3000) || r.MarkRead() || r.Seen != 6 {
		t.Errorf("read up to %d", r.Seen)
	}
	if r.AddLive(said(asha, 7, 7000), false); r.Timeline.Unread != 1 {
		t.Error("a message after that is not")
	}
}

func TestStart(t *testing.T) {
	for first, want := range map[int64]string{
		1:    "This is where the room's history begins.",
		2:    "1 older message is no longer kept.",
		2046: "2,045 older messages are no longer kept.",
	} {
		tl := newTimeline()
		tl.Append(said(asha, first, 0))
		if got := tl.Rows()[0].Text; got != want {
			t.Errorf("before message %d: %q", first, got)
		}
	}
}

// gapRow returns the first gap's row.
func gapRow(t *Timeline) (row Row) {
	for _, r := range t.Rows() {
		if r.Kind == RowGap {
			return r
		}
	}
	return row
}

// 300 are missed of which the relay keeps 256, and sends 60.
func TestFillGap(t *testing.T) {
	r := newRoom("river")
	r.Enter(Snapshot{Messages: span(1, 10)})
	r.MarkRead()
	tl := r.Timeline
	if n := r.Resync(Snapshot{Messages: span(251, 310)}, false); n != 60 || tl.Unread != 300 {
		t.Errorf("%d came, %d unread", n, tl.Unread)
	}
	var texts []string
	more := true
	for first := int64(251); more; {
		row := gapRow(tl)
		before, ok := tl.BeginFill(row.Key)
		if !ok || before != fmt.Sprint("o", first) || !row.Fillable {
			t.Fatalf("before %q, %v", before, ok)
		}
		texts = append(texts, row.Text)
		if again := gapRow(tl); again.Fillable || again == row {
			t.Error("it is requested twice")
		}
		next := max(55, first-60)
		more = next > 55
		tl.EndFill(row.Key, span(next, first-1), more)
		first = next
	}
	row := gapRow(tl)
	if texts = append(texts, row.Text); strings.Join(texts, "; ") != "240 messages were missed here; 180 messages were missed here; "+
		"120 messages were missed here; 60 messages were missed here; 44 messages are no longer kept" || row.Fillable {
		t.Errorf("said %q", texts)
	}
	if above, below := around(tl); above != 10 || below != 55 {
		t.Errorf("the line stands between %d and %d", above, below)
	}
	if n := len(tl.entries); n != 10+1+256 {
		t.Errorf("%d entries", n)
	}
}

// A gap that has been filled whole is none.
func TestGapCloses(t *testing.T) {
	tl := newTimeline()
	for _, m := range span(1, 3) {
		tl.Append(m)
	}
	tl.Send("6", &Body{Text: "6"}, 6000)
	tl.Gap()
	for _, m := range span(8, 9) {
		tl.Append(m)
	}
	row := gapRow(tl)
	tl.BeginFill(row.Key)
	if got := gapRow(tl).Text; got != "Loading what you missed…" {
		t.Errorf("said %q", got)
	}
	tl.FailFill(row.Key, false)
	if !gapRow(tl).Fillable {
		t.Error("it is not tried again")
	}
	page := span(2, 7)
	page[4] = said(me, 6, 6000)
	tl.EndFill(row.Key, page, true)
	expect(t, tl, "start day (1 2 3 4 5) (6) (7 8 9)")
	if len(tl.Outgoing()) != 0 {
		t.Error("what was sent is still on its way")
	}
}

// What comes in where one reads does not push that out of the document.
func TestFillGapKeepsTheWindow(t *testing.T) {
	for _, c := range []struct {
		name        string
		older       int // pages that the reader has gone up
		first, last int64
	}{
		{"the end is in view", 0, 241, 540},
		{"the gap is in view", 3, 62, 360},
		{"the gap is farther up", 1, 122, 420},
	} {
		tl := newTimeline()
		for _, m := range append(span(1, 240), span(301, 540)...) {
			if m.Seq == 301 {
				tl.Gap()
			}
			tl.Append(m)
		}
		tl.Follow(c.older == 0)
		for range c.older {
			tl.Older()
		}
		key := tl.entries[240].Key
		tl.BeginFill(key)
		tl.EndFill(key, span(241, 300), true)
		var seqs []int64
		for _, r := range tl.Rows() {
			if r.Kind == RowMessage {
				seqs = append(seqs, r.Entry.Seq)
			}
		}
		if first, last := seqs[0], seqs[len(seqs)-1]; first != c.first || last != c.last || len(seqs) > maxShown {
			t.Errorf("%s: %d messages, from %d to %d", c.name, len(seqs), first, last)
		}
	}
}
