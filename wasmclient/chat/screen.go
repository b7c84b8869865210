package chat

import (
	"encoding/json"
	"slices"
	"strconv"
)

const (
	// screenMessages is how many of a room's messages are stored, to be shown when there is no connection.
	screenMessages = 20
	// maxScreen bounds what is stored of a room, in bytes of its messages' data.
	maxScreen = 16_000
)

// screen is what is stored of a room: its newest messages, as they were at a time in milliseconds since
// 1970.
type screen struct {
	At       int64     `json:"at"`
	Messages []Message `json:"messages"`
	Gaps     []int     `json:"gaps,omitempty"` // before which of the messages there is one
}

// EncodeScreen returns a room's newest messages for the browser's storage, or "" if there are none, or none
// that this user may see next time without being asked who they are.
func (r *Room) EncodeScreen(at int64) string {
	if !r.Entered || r.Denied.Join || r.Denied.History || r.Refusal != "" {
		return ""
	}
	s := screen{At: at}
	for _, e := range r.Timeline.newest(screenMessages, maxScreen) {
		if e.Kind == KindGap {
			s.Gaps = append(s.Gaps, len(s.Messages))
			continue
		}
		s.Messages = append(s.Messages, e.Message)
	}
	if len(s.Messages) == 0 {
		return ""
	}
	b, err := json.Marshal(s)
	if err != nil {
		return "" // cannot happen: strings, numbers and bytes
	}
	return string(b)
}

// newest returns the last n messages, with the gaps between them, or as many as have no more than a number of
// bytes together.
func (t *Timeline) newest(n, bytes int) []*Entry {
	first := len(t.entries)
	for ; first > 0; first-- {
		e := t.entries[first-1]
		if e.Kind == KindGap {
			continue
		}
		if n, bytes = n-1, bytes-e.storedSize(); n < 0 || bytes < 0 {
			break
		}
	}
	return t.entries[first:]
}

// storedSize returns how much a message takes of maxScreen.
func (e *Entry) storedSize() int {
	size := len(e.Data)
	for _, r := range e.Annotations.Reactions {
		size += len(r.Value)
	}
	return size
}

// ShowStored shows what EncodeScreen returned, until the room is entered.
func (r *Room) ShowStored(text string) {
	var s screen
	if r.Entered || json.Unmarshal([]byte(text), &s) != nil || s.At <= 0 || len(s.Messages) > screenMessages {
		return
	}
	for i, m := range s.Messages {
		if slices.Contains(s.Gaps, i) {
			r.Timeline.Gap()
		}
		r.Timeline.Append(m)
	}
	if slices.Contains(s.Gaps, len(s.Messages)) {
		r.Timeline.Gap()
	}
	r.StoredAt, r.Timeline.More = s.At, true
}

// precedes reports whether the relay's answer to the join knows nothing of what is stored, though it tells all
// since then: the history was lost, or has expired, and began again.
func (t *Timeline) precedes(a Snapshot) bool {
	last := t.Newest()
	if last == nil || len(a.Messages) == 0 && a.HasMore {
		return false
	}
	for _, m := range a.Messages {
		if m.ID == last.ID && m.From.ID == last.From.ID {
			return false
		}
	}
	return len(a.Messages) == 0 || a.Messages[0].Seq <= last.Seq
}

// HideStored removes what ShowStored has shown.
func (r *Room) HideStored() {
	if r.StoredAt == 0 {
		return
	}
	r.StoredAt = 0
	t := r.Timeline
	for _, e := range t.entries {
		delete(t.byKey, e.Key)
	}
	t.entries, t.lo, t.hi = nil, 0, 0
	t.divider = divider{}
}

// setAside removes what ShowStored has shown, and keeps what the relay's answer does not reach for when it
// turns out that the relay has nothing older.
func (r *Room) setAside(answer []Message) {
	stored := r.Timeline.entries
	r.HideStored()
	for i, e := range stored {
		if slices.ContainsFunc(answer, func(m Message) bool { return e.Kind == KindMessage && m.ID == e.ID && m.From.ID == e.From.ID }) {
			stored = stored[:i]
			break
		}
	}
	if len(answer) > 0 {
		r.Timeline.aside = stored
	}
}

// recall puts what was set aside before the oldest message, if the relay has nothing older: it was seen on
// this page, and does not go without a word. What the relay no longer has of what came after it is a gap.
func (t *Timeline) recall() {
	aside := t.aside
	if t.More || len(aside) == 0 {
		return
	}
	t.aside = nil
	for i, e := range aside {
		if e.Kind == KindMessage && t.byKey[e.Key] != nil {
			aside = aside[:i] // the relay has told the rest
			break
		}
	}
	n := len(aside)
	if n == 0 {
		return
	}
	last, first := aside[n-1], t.messageFrom(0)
	if last.Kind != KindGap && (first == nil || first.Seq != last.Seq+1) {
		t.gaps++
		if t.lapse = (Lapse{Last: last.Seq}); first != nil {
			t.lapse.Next = first.Seq
		}
		aside = append(aside[:n:n], &Entry{Key: "gap/" + strconv.Itoa(t.gaps), Kind: KindGap, Day: last.Day, gap: gap{done: true}})
		n++
	}
	for _, e := range aside {
		if e.Kind == KindMessage {
			t.byKey[e.Key] = e
		}
	}
	t.entries, t.lo, t.hi = append(aside[:n:n], t.entries...), t.lo+n, t.hi+n
	t.lost = false
}

// Lapse is a gap in a room's history between two sequence numbers, of which 0 is not known.
type Lapse struct{ Last, Next int64 }

// TakeLapse returns the gap below what an earlier page had stored, if one was found since TakeLapse was called
// last; else the zero Lapse.
func (t *Timeline) TakeLapse() Lapse {
	found := t.lapse
	t.lapse = Lapse{}
	return found
}

// StoredText returns the sentence for a room that is shown as it was at a time.
func StoredText(moment string) string {
	return "No connection. This is how the room was at " + moment + ". What you write is kept, and sent when there is one."
}
