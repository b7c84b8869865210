package chat

import "strconv"

// Kind tells the entries of a timeline apart.
type Kind uint8

const (
	KindMessage Kind = iota
	KindGap          // messages may be missing here
)

// State is how far a message of one's own has come.
type State uint8

const (
	Stored  State = iota // it stands in the room, for all to see
	Pending              // not acknowledged yet
	Acked                // stored, but its place in the room is not told yet
	Failed               // refused, or no answer for long
)

// Entry is one thing in a room's timeline.
type Entry struct {
	Key  string // unique in the room, the same from pending to stored
	Kind Kind
	Message
	Body   Body
	Own    bool
	State  State
	Reason string // why it failed
	Opened bool   // a long text, unfolded
	Day    int    // days since 1970, local

	revision int // counts changes to what is shown
}

// maxEntries is how much of a room is remembered. Older messages can be had from
// the relay again.
const maxEntries = 3000

// Timeline is what is known of a room's messages, in the room's order, followed
// by those of one's own that have no place in it yet.
type Timeline struct {
	// Self is one's own public id; set once the relay has told it.
	Self string
	// Zone gives the minutes by which local time was ahead of UTC at a moment.
	Zone func(at int64) int
	// More reports whether the room holds older messages than those here.
	More bool
	// Loading is set while older messages are being asked for.
	Loading bool

	Unread  int
	divider string // the key of the first unseen entry

	entries  []*Entry
	outgoing []*Entry
	known    map[string]*Entry
	gaps     int
	lo, hi   int  // the part of entries that is in the document
	follow   bool // the end of the room is what the reader looks at
}

// NewTimeline makes an empty one.
func NewTimeline(zone func(at int64) int) *Timeline {
	return &Timeline{Zone: zone, known: make(map[string]*Entry), follow: true}
}

// keyOf names a message within its room: ids are unique to their author only.
func (t *Timeline) keyOf(from, id string) string {
	if from == t.Self {
		return "own/" + id
	}
	return "by/" + from + "/" + id
}

func (t *Timeline) entryOf(m Message) *Entry {
	return &Entry{
		Key: t.keyOf(m.From.ID, m.ID), Message: m, Body: bodyOf(m),
		Own: m.From.ID == t.Self, Day: t.DayOf(m.At),
	}
}

// DayOf is the local day of a moment.
func (t *Timeline) DayOf(at int64) int {
	const day = 24 * 60 * 60 * 1000
	local := at + int64(t.Zone(at))*60*1000
	if local < 0 {
		local -= day - 1
	}
	return int(local / day)
}

// Append adds a message at the end of the room. One that is already there adds
// nothing; one of one's own takes its pending entry's place.
func (t *Timeline) Append(m Message) (*Entry, bool) {
	e := t.entryOf(m)
	if old := t.known[e.Key]; old != nil {
		if old.State == Stored {
			return old, false
		}
		t.dropOutgoing(old)
		e.Opened, e.revision = old.Opened, old.revision+1
	}
	t.known[e.Key] = e
	t.push(e)
	return e, true
}

// Gap marks that what follows may not follow on what stands before. Two gaps
// without a message between are one.
func (t *Timeline) Gap() {
	if n := len(t.entries); n == 0 || t.entries[n-1].Kind == KindGap {
		return
	}
	t.gaps++
	last := t.entries[len(t.entries)-1]
	t.push(&Entry{Key: "gap/" + strconv.Itoa(t.gaps), Kind: KindGap, Day: last.Day})
}

func (t *Timeline) push(e *Entry) {
	touching := t.hi == len(t.entries)
	t.entries = append(t.entries, e)
	switch {
	case !touching:
	case t.follow:
		t.hi++
		t.lo = max(t.lo, t.hi-maxShown)
	case t.hi-t.lo < maxShown:
		t.hi++
	}
	if len(t.entries) > maxEntries+maxEntries/4 {
		t.forget(len(t.entries) - maxEntries)
	}
}

// forget drops the oldest entries, but none that is in the document.
func (t *Timeline) forget(n int) {
	n = min(n, t.lo)
	for _, e := range t.entries[:n] {
		delete(t.known, e.Key)
	}
	t.entries = append([]*Entry(nil), t.entries[n:]...)
	t.lo, t.hi = t.lo-n, t.hi-n
	t.More = t.More || n > 0
}

// Prepend adds a page of older messages, oldest first. They join what is in the
// document only as [Timeline.Older] asks for them.
func (t *Timeline) Prepend(page []Message, more bool) {
	t.More = more
	older := make([]*Entry, 0, len(page)+len(t.entries))
	for _, m := range page {
		e := t.entryOf(m)
		if old := t.known[e.Key]; old != nil {
			if old.State == Stored {
				continue
			}
			t.dropOutgoing(old)
		}
		t.known[e.Key] = e
		older = append(older, e)
	}
	n := len(older)
	t.entries = append(older, t.entries...)
	t.lo, t.hi = t.lo+n, t.hi+n
}

// Oldest is the offset before which older messages are to be asked for.
func (t *Timeline) Oldest() string {
	for _, e := range t.entries {
		if e.Offset != "" {
			return e.Offset
		}
	}
	return ""
}

// Newest is the last message that has its place, or nil.
func (t *Timeline) Newest() *Entry {
	for i := len(t.entries) - 1; i >= 0; i-- {
		if t.entries[i].Kind == KindMessage {
			return t.entries[i]
		}
	}
	return nil
}

// Holds reports whether a message is here already.
func (t *Timeline) Holds(from, id string) bool {
	e := t.known[t.keyOf(from, id)]
	return e != nil && e.State == Stored
}

// Empty reports whether there is nothing to show.
func (t *Timeline) Empty() bool { return len(t.entries) == 0 && len(t.outgoing) == 0 }

// Find gives the entry with a key, or nil.
func (t *Timeline) Find(key string) *Entry { return t.known[key] }

// Toggle unfolds a long text, or folds it again.
func (t *Timeline) Toggle(key string) {
	if e := t.known[key]; e != nil {
		e.Opened = !e.Opened
		e.revision++
	}
}

// LastOwn is the text of one's own last message, or "".
func (t *Timeline) LastOwn() string {
	if n := len(t.outgoing); n > 0 {
		return t.outgoing[n-1].Body.Text
	}
	for i := len(t.entries) - 1; i >= 0; i-- {
		if e := t.entries[i]; e.Own && !e.Body.Raw {
			return e.Body.Text
		}
	}
	return ""
}
