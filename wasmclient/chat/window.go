package chat

const (
	// maxShown bounds the entries in the document; with the rows between days that makes about 320
	// rows.
	maxShown = 300
	// firstShown is how many entries a room opens with, about ten screens.
	firstShown = 120
	// pageShown is by how many entries the document's part moves at a time.
	pageShown = 60
	// busyBatch is how many at a time are many.
	busyBatch = 6
)

// AtEnd reports whether the last entry is in the document.
func (t *Timeline) AtEnd() bool { return t.hi == len(t.entries) }

// Follow states whether the end is in view. If so, new messages push old ones out of the document;
// if not, they stay out once it is full.
func (t *Timeline) Follow(follow bool) { t.following = follow }

// Narrow takes all but the last entries out of the document if many have come since it was called last, and
// the end is in view: as many are left as fill the view, since what is farther up goes by before anybody could
// look, and costs as much as what is seen. Those that were never in there need not be written. It reports
// whether many have come.
func (t *Timeline) Narrow(fill int) bool {
	many := t.come >= busyBatch && t.following && t.AtEnd()
	if many {
		t.lo = max(t.lo, t.hi-fill)
	}
	t.come = 0
	return many
}

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
	t.following, t.come = true, 0
	t.hi = len(t.entries)
	t.lo = max(0, t.hi-firstShown)
	if at := t.dividerAt(); at >= 0 && at <= t.lo+pageShown/4 {
		t.showAround(at)
	}
}

// showAround brings the entry at an index into the document, with what is around it.
func (t *Timeline) showAround(at int) {
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
