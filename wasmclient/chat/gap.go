package chat

import (
	"slices"
	"strconv"
)

// gap is what is known of a gap besides its place.
type gap struct {
	loading bool // what the relay still has of it has been requested
	done    bool // the relay has no more of it
}

// Gap adds a gap: messages may be missing between the last one and the next. Two gaps without a
// message between them are one.
func (t *Timeline) Gap() {
	if n := len(t.entries); n == 0 || t.entries[n-1].Kind == KindGap {
		return
	}
	t.gaps++
	last := t.entries[len(t.entries)-1]
	t.add(&Entry{Key: "gap/" + strconv.Itoa(t.gaps), Kind: KindGap, Day: last.Day})
}

func (t *Timeline) gapAt(key string) int {
	for i, e := range t.entries {
		if e.Kind == KindGap && e.Key == key {
			return i
		}
	}
	return -1
}

// BeginFill returns the offset before which a gap's messages are to be requested, and notes that they
// are. ok is false if there is nothing to request.
func (t *Timeline) BeginFill(key string) (before string, ok bool) {
	at := t.gapAt(key)
	if at < 0 || !t.fillable(at) {
		return "", false
	}
	t.entries[at].gap.loading = true
	return t.messageFrom(at).Offset, true
}

// fillable reports whether the relay may have messages of the gap at an index.
func (t *Timeline) fillable(at int) bool {
	g, next := t.entries[at].gap, t.messageFrom(at)
	return !g.done && !g.loading && next != nil && next.Offset != ""
}

// EndFill adds a page of messages, oldest first, at a gap's end: those before what stands below it. More
// states whether the relay has older ones. The gap closes when it reaches what was known before, and
// stays for what the relay no longer has.
func (t *Timeline) EndFill(key string, page []Message, more bool) {
	at := t.gapAt(key)
	if at < 0 {
		return
	}
	t.entries[at].gap = gap{done: !more}
	closed := false
	var found []*Entry // newest first
	for i := len(page) - 1; i >= 0; i-- {
		e := t.entryOf(page[i])
		if old := t.byKey[e.Key]; old != nil {
			if closed = old.State == Stored; closed {
				t.update(page[i], false)
				break
			}
			t.dropOutgoing(old)
		}
		t.byKey[e.Key] = e
		found = append(found, e)
	}
	slices.Reverse(found)
	t.insert(at+1, found)
	if closed {
		t.removeEntry(at)
	}
	t.placeDivider()
}

// FailFill notes that a gap's messages could not be had. They may be requested again, unless gone states
// that the relay has none.
func (t *Timeline) FailFill(key string, gone bool) {
	if at := t.gapAt(key); at >= 0 {
		t.entries[at].gap = gap{done: gone}
	}
}

// insert puts entries in before an index that is not the end. If that is within the document's part, so
// are they, and what is farthest from them goes out of it.
func (t *Timeline) insert(at int, list []*Entry) {
	n := len(list)
	t.entries = append(t.entries[:at:at], append(list, t.entries[at:]...)...)
	switch {
	case at <= t.lo:
		t.lo, t.hi = t.lo+n, t.hi+n
	case at >= t.hi:
	default:
		t.hi += n
		most := t.hi - maxShown
		if !t.following {
			most = min(most, at+n/2-maxShown/2)
		}
		t.lo = max(t.lo, most)
		t.hi = min(t.hi, t.lo+maxShown)
	}
}

func (t *Timeline) removeEntry(at int) {
	t.entries = append(t.entries[:at], t.entries[at+1:]...)
	if at < t.lo {
		t.lo--
	}
	if at < t.hi {
		t.hi--
	}
}

// missing returns how many messages are missing at a gap, or 0 if the numbers beside it don't tell.
func (t *Timeline) missing(at int) int {
	before, after := t.messageBefore(at), t.messageFrom(at)
	if before == nil || after == nil {
		return 0
	}
	return int(max(0, after.Seq-before.Seq-1))
}

// gapText says what is known of the gap at an index.
func (t *Timeline) gapText(at int) string {
	g, n := t.entries[at].gap, t.missing(at)
	switch {
	case g.loading:
		return "Loading what you missed…"
	case n > 0 && g.done:
		return countOf(n, "message", "is", "are") + " no longer kept"
	case n > 0:
		return countOf(n, "message", "was", "were") + " missed here"
	}
	return "Some messages may be missing here"
}

// startText says what is before the first entry, if the relay has nothing older.
func (t *Timeline) startText() string {
	first := t.messageFrom(0)
	switch {
	case (first == nil || first.Seq <= 1) && t.lost:
		return "What was here before is no longer kept."
	case first == nil || first.Seq <= 1:
		return "This is where the room's history begins."
	}
	return countOf(int(first.Seq-1), "older message", "is", "are") + " no longer kept."
}

// countOf returns "1 message is" or "2,000 messages are".
func countOf(n int, noun, one, many string) string {
	if n == 1 {
		return "1 " + noun + " " + one
	}
	return Thousands(n) + " " + noun + "s " + many
}
