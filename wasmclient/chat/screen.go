package chat

import "encoding/json"

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
}

// EncodeScreen returns a room's newest messages for the browser's storage, or "" if there are none, or none
// that this user may see next time without being asked who they are.
func (r *Room) EncodeScreen(at int64) string {
	if !r.Entered || r.Denied.Join || r.Denied.History || r.Refusal != "" {
		return ""
	}
	s := screen{At: at}
	entries, left := r.Timeline.entries, maxScreen
	first := len(entries)
	for first > 0 && len(entries)-first < screenMessages && entries[first-1].Kind == KindMessage {
		if left -= entries[first-1].storedSize(); left < 0 {
			break
		}
		first--
	}
	for _, e := range entries[first:] {
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
	for _, m := range s.Messages {
		r.Timeline.Append(m)
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

// StoredText returns the sentence for a room that is shown as it was at a time.
func StoredText(moment string) string {
	return "No connection. This is how the room was at " + moment + ". What you write is kept, and sent when there is one."
}
