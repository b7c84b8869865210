package chat

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Room is a room that this user has joined.
type Room struct {
	Name     string
	Timeline *Timeline
	People   People
	Typing   Typing
	Far      Far
	Hearing  Hearing

	// Entered reports whether a join has been answered on this page.
	Entered bool
	// Refusal is why the relay refuses to let this user in, or "". Retried states that it is asked again.
	Refusal string
	Retried bool
	// Denied is what this user may not do here.
	Denied Denied
	// Seen is the sequence number of the last message that was read, 0 before the first visit, and
	// SeenAt when that was written, in milliseconds since 1970, or 0.
	Seen, SeenAt int64
	// StoredAt is when what is shown was stored, in milliseconds since 1970, or 0 if it is not what an
	// earlier page has stored.
	StoredAt int64

	// Reply is the message that the one being written answers, and Attached its picture, if any.
	Reply    *Reply
	Attached *Picture
	// Preparing states that a picture is being made ready for it, and SendPrepared that it is to be sent then.
	Preparing, SendPrepared bool
	// Edit is the message that is being edited instead, if any.
	Edit  *Edit
	aside []*Edit // those that wait for their answer, or for this user to go on with them

	toldAt time.Time // when a notification told of it last
	held   []Message // that came before the join was answered
	heldOf []Annotation
}

// Shown returns the room's name as it is to be shown.
func (r *Room) Shown() string { return Shown(r.Name) }

// Snapshot is a room's state as the relay gives it on a join, a rejoin or a reset.
type Snapshot struct {
	Messages  []Message
	Recovered bool // nothing is missing after what was known
	HasMore   bool // there may be older messages than these
}

// Enter applies the answer to the first join, and what has come before it. It reports whether what an earlier
// page has stored stays, and is followed by a gap.
func (r *Room) Enter(a Snapshot) (gap bool) {
	held := r.held
	r.held, r.Entered, r.Refusal = nil, true, ""
	if r.StoredAt > 0 && r.Timeline.precedes(a) {
		r.goOnFromStored(a, held)
		return true
	}
	r.setAside(a.Messages)
	t, before := r.Timeline, r.Seen
	for _, m := range append(a.Messages, held...) {
		t.Append(m)
	}
	r.annotateHeld()
	if t.More = a.HasMore; len(a.Messages) == 0 && !a.HasMore {
		r.Seen, r.SeenAt = 0, 0 // all of the history has expired
	}
	r.countUnread()
	t.lost = before > 0 && r.Seen == 0
	t.recall()
	return false
}

// goOnFromStored leaves what an earlier page has stored where it stands, of which the relay has nothing any
// more, and goes on after a gap: as a page does that was there all the time.
func (r *Room) goOnFromStored(a Snapshot, held []Message) {
	r.StoredAt, r.Timeline.More = 0, false
	r.Seen, r.SeenAt = 0, 0
	r.Resync(Snapshot{Messages: append(a.Messages, held...)}, false)
	r.annotateHeld()
}

func (r *Room) annotateHeld() {
	for _, a := range r.heldOf {
		r.Timeline.Annotate(a)
	}
	r.heldOf = nil
}

// countUnread counts the messages since the last visit. Sequence numbers begin again when all of a
// room's history has expired: then all messages are new.
func (r *Room) countUnread() {
	t := r.Timeline
	newest := t.Newest()
	if newest == nil || r.Seen == 0 {
		return
	}
	since, count := r.SeenAt, newest.Seq-r.Seen
	if count < 0 {
		r.Seen, r.SeenAt, since, count = 0, 0, 0, newest.Seq
	}
	for _, e := range t.entries {
		if e.Own && e.Seq > r.Seen {
			count--
		}
	}
	t.SetUnread(r.Seen, since, int(max(count, 0)))
}

// Resync applies the state after a reconnect or a reset. It adds the new messages, after a gap if
// some may be missing, and returns their number. Seen is as for AddLive.
func (r *Room) Resync(a Snapshot, seen bool) int {
	t := r.Timeline
	added := 0
	for _, m := range a.Messages {
		if t.Contains(m.From.ID, m.ID) {
			t.update(m, !a.Recovered)
			continue
		}
		if !a.Recovered && added == 0 {
			t.Gap()
		}
		added++
		if r.AddMissed(m, seen) && added == 1 && !seen && t.Unread > 0 {
			t.addUnreadInGap()
		}
	}
	if !a.Recovered && added == 0 {
		t.Gap()
	}
	return added
}

// AddLive adds a message that has just been written. Seen states whether the end of this room is in
// view at this moment. It reports whether the message was new.
func (r *Room) AddLive(m Message, seen bool) bool {
	added := r.AddMissed(m, seen)
	if added {
		r.Typing.Stopped(m.From.ID)
		r.People.SetPresent(m.From)
	}
	return added
}

// AddMissed adds a message that was missed. Unlike AddLive it does not show its author as present,
// because they may have left since.
func (r *Room) AddMissed(m Message, seen bool) bool {
	if !r.Entered {
		r.held = append(r.held, m)
		return false
	}
	newest := int64(0)
	if last := r.Timeline.Newest(); last != nil {
		newest = last.Seq
	}
	e, added := r.Timeline.Append(m)
	if !added {
		return false
	}
	if e.Seq <= newest { // numbers have begun again: all of the history before has expired
		r.Seen, r.SeenAt = 0, 0
	}
	if !e.Own && !seen && e.Seq > r.Seen {
		r.Timeline.AddUnread(e)
	}
	return true
}

// SeenElsewhere takes over what has been read in another tab. It reports whether that changes what is
// unread here.
func (r *Room) SeenElsewhere(seq, at int64) bool {
	if seq <= r.Seen {
		return false
	}
	r.Seen, r.SeenAt = seq, at
	had := r.Timeline.Unread
	r.Timeline.readUpTo(seq)
	return r.Timeline.Unread != had
}

// MarkRead records that all messages have been read. It reports whether Seen has changed, and is to
// be saved for the next visit.
func (r *Room) MarkRead() bool {
	r.Timeline.ClearUnread()
	newest := r.Timeline.Newest()
	if newest == nil || newest.Seq <= r.Seen { // more has been read in another tab
		return false
	}
	r.Seen, r.SeenAt = newest.Seq, newest.At
	return true
}

// Rooms is the list of rooms, in the order in which they were joined.
type Rooms struct {
	All     []*Room
	Current *Room
}

// Find returns the room with a name, or nil.
func (rs *Rooms) Find(name string) *Room {
	for _, r := range rs.All {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// Has reports whether r is on the list. A room that was left and entered again is another Room: what is answered
// of the one before is not of this one.
func (rs *Rooms) Has(r *Room) bool { return rs.Find(r.Name) == r }

// Twin returns a room whose name differs from another by capital letters alone, or nil.
func (rs *Rooms) Twin(name string) *Room {
	for _, r := range rs.All {
		if r.Name != name && strings.EqualFold(r.Name, name) {
			return r
		}
	}
	return nil
}

// Differ compares the list with another tab's. Come are the names that it lacks, and gone are the rooms
// that the other list lacks.
func (rs *Rooms) Differ(names []string) (come []string, gone []*Room) {
	for _, name := range names {
		if rs.Find(name) == nil {
			come = append(come, name)
		}
	}
	for _, r := range rs.All {
		if !slices.Contains(names, r.Name) {
			gone = append(gone, r)
		}
	}
	return come, gone
}

// Add adds a room at the end of the list.
func (rs *Rooms) Add(r *Room) { rs.All = append(rs.All, r) }

// Remove removes a room, and returns the one to show: the current one, or if that was removed, the
// next, else the one before, else nil.
func (rs *Rooms) Remove(r *Room) *Room {
	at := slices.Index(rs.All, r)
	if at < 0 {
		return rs.Current
	}
	rs.All = slices.Delete(rs.All, at, at+1)
	if rs.Current != r {
		return rs.Current
	}
	rs.Current = nil
	if len(rs.All) == 0 {
		return nil
	}
	return rs.All[min(at, len(rs.All)-1)]
}

// Names returns the names of the rooms.
func (rs *Rooms) Names() []string {
	names := make([]string, len(rs.All))
	for i, r := range rs.All {
		names[i] = r.Name
	}
	return names
}

// Unread returns the number of unread messages in all rooms.
func (rs *Rooms) Unread() int {
	sum := 0
	for _, r := range rs.All {
		sum += r.Timeline.Unread
	}
	return sum
}

// Title returns the document's title.
func (rs *Rooms) Title() string {
	name := "Setu"
	if rs.Current != nil {
		name = rs.Current.Shown()
	}
	if n := rs.Unread(); n > 0 {
		return "(" + Count(n) + ") " + name
	}
	return name
}

// Count formats a number of unread messages, as "999+" beyond 999.
func Count(n int) string {
	if n > 999 {
		return "999+"
	}
	return strconv.Itoa(n)
}
