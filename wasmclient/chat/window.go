package chat

import "slices"

const (
	// maxShown bounds the entries in the document; with the lines between days
	// that makes about 320 rows.
	maxShown = 300
	// firstShown is what a room opens with; a screen holds a tenth of it.
	firstShown = 120
	// pageShown is by how much the part in the document moves.
	pageShown = 60
)

// AtEnd reports whether the last message is in the document.
func (t *Timeline) AtEnd() bool { return t.hi == len(t.entries) }

// Follow says whether the reader looks at the end, so that new messages push old
// ones out of the document, and not the other way.
func (t *Timeline) Follow(follow bool) { t.follow = follow }

// ToEnd brings the last messages into the document.
func (t *Timeline) ToEnd() {
	t.follow = true
	if !t.AtEnd() || t.hi-t.lo > maxShown {
		t.hi = len(t.entries)
		t.lo = max(0, t.hi-firstShown)
	}
}

// Open sets the document's part afresh, as when a room is entered: at the first
// unseen message, if that is not among the last, else at the end.
func (t *Timeline) Open() {
	t.follow = true
	t.hi = len(t.entries)
	t.lo = max(0, t.hi-firstShown)
	at := slices.IndexFunc(t.entries, func(e *Entry) bool { return e.Key == t.divider })
	if t.divider == "" || at < 0 || at > t.lo+pageShown/4 {
		return
	}
	t.lo = max(0, at-pageShown/2)
	t.hi = min(len(t.entries), t.lo+maxShown)
	t.follow = t.AtEnd()
}

// Older brings a page of older messages into the document, and takes as many
// newer ones out as are too many. It reports whether it had any.
func (t *Timeline) Older() bool {
	if t.lo == 0 {
		return false
	}
	t.lo = max(0, t.lo-pageShown)
	t.hi = min(t.hi, t.lo+maxShown)
	return true
}

// Newer is the same towards the end.
func (t *Timeline) Newer() bool {
	if t.AtEnd() {
		return false
	}
	t.hi = min(len(t.entries), t.hi+pageShown)
	t.lo = max(t.lo, t.hi-maxShown)
	return true
}

// WantsOlder reports whether older messages have to be asked for before
// [Timeline.Older] can show any.
func (t *Timeline) WantsOlder() bool {
	return t.lo < pageShown/2 && t.More && !t.Loading && t.Oldest() != ""
}

// Unseen notes that an entry came while nobody looked. The line stands before the
// first of them.
func (t *Timeline) Unseen(e *Entry) {
	if t.Unread == 0 {
		t.divider = e.Key
	}
	t.Unread++
}

// SetUnread is what is known on entering: how many are unseen, and after which.
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

// Seen notes that the reader has seen everything. The line stays.
func (t *Timeline) Seen() { t.Unread = 0 }

// Leave takes the line away: the reader went to another room.
func (t *Timeline) Leave() {
	if t.Unread == 0 {
		t.divider = ""
	}
}

// Divided reports whether the line stands in the room.
func (t *Timeline) Divided() bool { return t.divider != "" }
