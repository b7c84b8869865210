package chat

import (
	"slices"
	"strconv"
)

// Room is one room that this person takes part in.
type Room struct {
	Name     string
	Timeline *Timeline
	People   People
	Typing   Typing

	// Entered is set once the relay has answered the first join.
	Entered bool
	// Refused says why the relay will not let one in.
	Refused string
	// Seen is the sequence number of the last message that was read, as far as an
	// earlier visit left it.
	Seen int64

	early []Message // came between asking to join and the answer
}

// Arrival is a room's state on arrival, or on coming back, as the relay tells it.
type Arrival struct {
	Messages  []Message
	Recovered bool // nothing is missing since what was known
	Full      bool // as many messages as were asked for: there may be older ones
}

// Enter takes the answer to the first join.
func (r *Room) Enter(a Arrival) {
	t := r.Timeline
	for _, m := range a.Messages {
		t.Append(m)
	}
	for _, m := range r.early {
		t.Append(m)
	}
	r.early = nil
	r.Entered, r.Refused = true, ""
	t.More = a.Full
	r.countUnread()
}

// countUnread finds what came since the last visit. Sequence numbers begin again
// when a room's history has expired whole: then all that there is, is new.
func (r *Room) countUnread() {
	t := r.Timeline
	newest := t.Newest()
	if newest == nil || r.Seen == 0 {
		return
	}
	seen, count := r.Seen, newest.Seq-r.Seen
	if count < 0 {
		seen, count = 0, newest.Seq
	}
	for _, e := range t.entries {
		if e.Own && e.Seq > seen {
			count--
		}
	}
	t.SetUnread(seen, int(max(count, 0)))
}

// Return takes the state after a reconnect or a reset: what is new is added, and
// where something may be missing there will be a line. It returns how many
// messages were new.
func (r *Room) Return(a Arrival, seen bool) int {
	t := r.Timeline
	added := 0
	for _, m := range a.Messages {
		if t.Holds(m.From.ID, m.ID) {
			continue
		}
		if !a.Recovered && added == 0 {
			t.Gap()
		}
		added++
		r.CatchUp(m, seen)
	}
	if !a.Recovered && added == 0 {
		t.Gap()
	}
	return added
}

// Take adds a message that has just been written. Seen says whether the reader
// looks at the end of this room at this moment. It reports whether the message
// was new.
func (r *Room) Take(m Message, seen bool) bool {
	added := r.CatchUp(m, seen)
	if added {
		r.Typing.Stopped(m.From.ID)
		r.People.Heard(m.From)
	}
	return added
}

// CatchUp adds a message that was missed: whoever wrote it may have left since.
func (r *Room) CatchUp(m Message, seen bool) bool {
	if !r.Entered {
		r.early = append(r.early, m)
		return false
	}
	e, added := r.Timeline.Append(m)
	if !added {
		return false
	}
	if !e.Own && !seen {
		r.Timeline.Unseen(e)
	}
	return true
}

// Read notes that everything here has been seen. It reports whether that is news,
// to be remembered for the next visit.
func (r *Room) Read() bool {
	r.Timeline.Seen()
	newest := r.Timeline.Newest()
	if newest == nil || newest.Seq == r.Seen {
		return false
	}
	r.Seen = newest.Seq
	return true
}

// Rooms are all of them, in the order in which they were joined.
type Rooms struct {
	All     []*Room
	Current *Room
}

// Find gives the room of a name, or nil.
func (rs *Rooms) Find(name string) *Room {
	for _, r := range rs.All {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// Add puts a room at the end of the list.
func (rs *Rooms) Add(r *Room) { rs.All = append(rs.All, r) }

// Remove takes a room out, and gives the one to show instead: the next, else the
// one before, else nil.
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

// Names lists the rooms.
func (rs *Rooms) Names() []string {
	names := make([]string, len(rs.All))
	for i, r := range rs.All {
		names[i] = r.Name
	}
	return names
}

// Unread sums over all rooms.
func (rs *Rooms) Unread() int {
	sum := 0
	for _, r := range rs.All {
		sum += r.Timeline.Unread
	}
	return sum
}

// Title is the document's.
func (rs *Rooms) Title() string {
	name := "Setu"
	if rs.Current != nil {
		name = rs.Current.Name
	}
	if n := rs.Unread(); n > 0 {
		return "(" + Count(n) + ") " + name
	}
	return name
}

// Count writes a number of unread messages; beyond 999 nobody counts.
func Count(n int) string {
	if n > 999 {
		return "999+"
	}
	return strconv.Itoa(n)
}
