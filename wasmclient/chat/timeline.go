package chat

import "time"

// Kind is the kind of a timeline's entry.
type Kind uint8

const (
	KindMessage Kind = iota
	KindGap          // messages may be missing here
)

// State is how far the sending of a message has come.
type State uint8

const (
	Stored  State = iota // it has its place in the room
	Pending              // not acknowledged yet
	Acked                // stored, but its place in the room is not known yet
	Failed               // refused, or not answered in time
)

// Entry is an entry of a room's timeline: a message or a gap.
type Entry struct {
	Key  string // unique in the room, the same from pending to stored
	Kind Kind
	Message
	Body     *Body
	Own      bool
	State    State
	Reason   string // why it has failed
	Unfolded bool   // all of a long text is shown
	Concerns bool   // it is another's, and speaks to this user
	Day      int    // days since 1970, local

	gap      gap           // for KindGap
	took     time.Duration // from sending it to its ack; 0: another page has sent it
	revision int           // counts changes to what is shown
	said     int           // counts changes to what it says or quotes
}

// maxEntries is how many entries of a room are kept, give or take a quarter. Older messages can be
// requested from the relay again.
const maxEntries = 3000

// Timeline is the known part of a room's messages, in the room's order, followed by this user's
// messages that have no place in it yet.
type Timeline struct {
	// Self is this user's public id; empty until the relay has sent it.
	Self string
	// Zone returns the minutes by which local time is ahead of UTC at a time in milliseconds since
	// 1970.
	Zone func(at int64) int
	// More reports whether the relay may have older messages than these.
	More bool
	// Loading reports whether older messages have been requested.
	Loading bool

	// Seeking reports whether older messages are requested until the divider, or the message that is
	// sought, is among them.
	Seeking bool

	Unread   int
	Mentions int // how many of the unread messages speak to this user
	divider  divider
	lost     bool // what was here before has expired, or the relay has lost it

	aside []*Entry // what was shown without a connection, and is older than what the relay has told

	lapse Lapse // see TakeLapse

	sought Target // to be shown when it is known
	marked string // the key of the message that was
	aimed  string // the key of the message that is being edited or answered

	unsaved map[string]string // how edits stand that are set aside, by their messages' keys

	entries   []*Entry
	outgoing  []*Entry          // own messages that have no place yet
	byKey     map[string]*Entry // messages, from entries and outgoing
	gaps      int               // number of gaps so far, for their keys
	lo, hi    int               // entries[lo:hi] is in the document
	following bool              // the end of the room is in view
	come      int               // entries at the end since Narrow
	notes     []note
	heard     []heard // up to where pages in other regions have heard the room
}

// NewTimeline returns an empty timeline.
func NewTimeline(zone func(at int64) int) *Timeline {
	return &Timeline{Zone: zone, byKey: make(map[string]*Entry), following: true}
}

// Key returns the key of a message. Its author is part of it, because ids are unique among one
// author's messages only.
func (t *Timeline) Key(from, id string) string {
	if from == t.Self {
		return "own/" + id
	}
	return "by/" + from + "/" + id
}

func (t *Timeline) entryOf(m Message) *Entry {
	e := &Entry{
		Key: t.Key(m.From.ID, m.ID), Message: m, Body: bodyOf(&m),
		Own: m.From.ID == t.Self, Day: t.DayOf(m.At),
	}
	e.Concerns = !e.Own && e.Body.Concerns(t.Self)
	return e
}

// DayOf returns the local day of a time in milliseconds since 1970, as days since then.
func (t *Timeline) DayOf(at int64) int {
	const day = 24 * 60 * 60 * 1000
	local := at + int64(t.Zone(at))*60*1000
	if local < 0 {
		local -= day - 1
	}
	return int(local / day)
}

// Append adds a message at the end of the room, and reports whether it was new. A message of this
// user replaces its pending entry.
func (t *Timeline) Append(m Message) (*Entry, bool) {
	e := t.entryOf(m)
	if old := t.byKey[e.Key]; old != nil {
		if old.State == Stored {
			return old, false
		}
		t.dropOutgoing(old)
		e.Unfolded, e.took, e.revision = old.Unfolded, old.took, old.revision+1
	}
	if newest := t.Newest(); newest != nil && m.Seq <= newest.Seq {
		t.heard = nil
		t.divider.bySeq = false // numbers have begun again, and say no more what is older
	}
	t.byKey[e.Key] = e
	t.add(e)
	return e, true
}

// add adds an entry at the end, and to the document if the end is in there.
func (t *Timeline) add(e *Entry) {
	t.come++
	touching := t.hi == len(t.entries)
	t.entries = append(t.entries, e)
	switch {
	case !touching:
	case t.following:
		t.hi++
		t.lo = max(t.lo, t.hi-maxShown)
	case t.hi-t.lo < maxShown:
		t.hi++
	}
	if len(t.entries) > maxEntries+maxEntries/4 {
		t.dropOldest(len(t.entries) - maxEntries)
	}
	if e.Attachments != nil {
		t.limitAttachments()
	}
}

// maxHeld bounds the attachments of a room that are kept, in bytes.
const maxHeld = 24 << 20

// limitAttachments lets go of the attachments of the oldest messages beyond maxHeld.
func (t *Timeline) limitAttachments() {
	held := 0
	for i := len(t.entries) - 1; i >= 0; i-- {
		e := t.entries[i]
		if e.Attachments == nil {
			continue
		}
		for _, a := range e.Attachments {
			held += len(a)
		}
		if held > maxHeld {
			less := *e // what is drawn is compared with it
			less.Attachments, less.Body = nil, e.Body.withoutAttachments()
			less.revision++
			t.entries[i], t.byKey[e.Key] = &less, &less
		}
	}
}

// dropOldest removes the oldest n entries, but none that is in the document.
func (t *Timeline) dropOldest(n int) {
	n = min(n, t.lo)
	for _, e := range t.entries[:n] {
		delete(t.byKey, e.Key)
	}
	t.entries = append([]*Entry(nil), t.entries[n:]...)
	t.lo, t.hi = t.lo-n, t.hi-n
	t.More = t.More || n > 0
}

// Prepend adds a page of older messages, oldest first. They come into the document only by
// [Timeline.Older].
func (t *Timeline) Prepend(page []Message, more bool) {
	t.More = more
	older := make([]*Entry, 0, len(page)+len(t.entries))
	for _, m := range page {
		e := t.entryOf(m)
		if old := t.byKey[e.Key]; old != nil {
			if old.State == Stored {
				t.update(m, false)
				continue
			}
			t.dropOutgoing(old)
		}
		t.byKey[e.Key] = e
		older = append(older, e)
	}
	n := len(older)
	t.entries = append(older, t.entries...)
	t.lo, t.hi = t.lo+n, t.hi+n
	t.recall()
	t.limitAttachments()
	t.placeDivider()
}

// Oldest returns the offset before which older messages are to be requested, or "".
func (t *Timeline) Oldest() string {
	for _, e := range t.entries {
		if e.Offset != "" {
			return e.Offset
		}
	}
	return ""
}

// Newest returns the last message that has its place in the room, or nil.
func (t *Timeline) Newest() *Entry {
	for i := len(t.entries) - 1; i >= 0; i-- {
		if t.entries[i].Kind == KindMessage {
			return t.entries[i]
		}
	}
	return nil
}

// Contains reports whether a message has its place already.
func (t *Timeline) Contains(from, id string) bool {
	e := t.byKey[t.Key(from, id)]
	return e != nil && e.State == Stored
}

// Empty reports whether the timeline has no entries.
func (t *Timeline) Empty() bool { return len(t.entries) == 0 && len(t.outgoing) == 0 }

// Find returns the message with a key, or nil.
func (t *Timeline) Find(key string) *Entry { return t.byKey[key] }

// Toggle unfolds a long text or folds it again.
func (t *Timeline) Toggle(key string) {
	if e := t.byKey[key]; e != nil {
		e.Unfolded = !e.Unfolded
		e.revision++
	}
}

// LastOwn returns the text of the last message that this user has sent and of which something is seen, or "":
// as the message reads now, so that what an edit has put right does not come back wrong.
func (t *Timeline) LastOwn() string {
	for i := len(t.outgoing) - 1; i >= 0; i-- {
		if text := t.outgoing[i].Body.Written(); text != "" {
			return text
		}
	}
	for i := len(t.entries) - 1; i >= 0; i-- {
		if e := t.entries[i]; e.Own && e.Body.Written() != "" {
			return e.Body.Written()
		}
	}
	return ""
}
