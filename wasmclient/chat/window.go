package chat

import "slices"

const (
	// maxShown bounds the entries in the document; with the rows between days that makes about 320
	// rows.
	maxShown = 300
	// firstShown is how many entries a room opens with, about ten screens.
	firstShown = 120
	// pageShown is by how many entries the document's part moves at a time.
	pageShown = 60
)

// AtEnd reports whether the last entry is in the document.
func (t *Timeline) AtEnd() bool { return t.hi == len(t.entries) }

// Follow states whether the end is in view. If so, new messages push old ones out of the document;
// if not, they stay out once it is full.
func (t *Timeline) Follow(follow bool) { t.following = follow }

// ToEnd brings the last entries into the document.
func (t *Timeline) ToEnd() {
	t.following = true
	if !t.AtEnd() || t.hi-t.lo > maxShown {
		t.hi = len(t.entries)
		t.lo = max(0, t.hi-firstShown)
	}
}

// Open resets the document's part, for a room that is shown anew: to the first unread message,
// unless that is among the last ones, or else to the end.
func (t *Timeline) Open() {
	t.following = true
	t.hi = len(t.entries)
	t.lo = max(0, t.hi-firstShown)
	at := slices.IndexFunc(t.entries, func(e *Entry) bool { return e.Key == t.divider })
	if t.divider == "" || at < 0 || at > t.lo+pageShown/4 {
		return
	}
	t.lo = max(0, at-pageShown/2)
	t.hi = min(len(t.entries), t.lo+maxShown)
	t.following = t.AtEnd()
}

// Older brings a page of older entries into the document, and takes newer ones out beyond maxShown.
// It reports whether there were any.
func (t *Timeline) Older() bool {
	if t.lo == 0 {
		return false
	}
	t.lo = max(0, t.lo-pageShown)
	t.hi = min(t.hi, t.lo+maxShown)
	return true
}

// Newer is like Older, towards the end.
func (t *Timeline) Newer() bool {
	if t.AtEnd() {
		return false
	}
	t.hi = min(len(t.entries), t.hi+pageShown)
	t.lo = max(t.lo, t.hi-maxShown)
	return true
}

// WantsOlder reports whether older messages should be requested from the relay: those that
// [Timeline.Older] can show are running out.
func (t *Timeline) WantsOlder() bool {
	return t.lo < pageShown/2 && t.More && !t.Loading && t.Oldest() != ""
}

// AddUnread counts an entry that came while the end was not in view. The divider stands before the
// first of them.
func (t *Timeline) AddUnread(e *Entry) {
	if t.Unread == 0 {
		t.divider = e.Key
	}
	t.Unread++
}

// SetUnread sets the number of unread messages, for a room that has just been entered. They are
// those with a sequence number above seen.
func (t *Timeline) SetUnread(seen int64, count int) {
	t.Unread, t.divider = count, ""
	if count == 0 {
		return
	}
	for _, e := range t.entries {
		if e.Kind == KindMessage && !e.Own && e.Seq > seen {
			t.divider = e.Key
			return
		}
	}
}

// ClearUnread records that all messages have been read. The divider stays.
func (t *Timeline) ClearUnread() { t.Unread = 0 }

// CloseDivider removes the divider if all messages have been read, for a room that is no longer
// shown.
func (t *Timeline) CloseDivider() {
	if t.Unread == 0 {
		t.divider = ""
	}
}

// HasDivider reports whether there is a divider.
func (t *Timeline) HasDivider() bool { return t.divider != "" }
