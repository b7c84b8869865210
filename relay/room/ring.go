package room

import (
	"slices"
	"time"

	"setu/relay/broker"
)

// ring holds a live room's newest messages, without holes, from base (not included) to tail. It
// answers the joins, resumes and pages of history that it covers without the broker. It is part of
// a Room, and guarded by Room.mu.
type ring struct {
	// immutable
	count int           // messages at most; of annotations broker.AnnotationsKept of it
	bytes int           // of their objects and attachments at most; the newest stays in any case
	ttl   time.Duration // all expire this long after the newest
	enc   encoder       // of messages that annotations change
	room  string        // its name as JSON

	// guarded by Room.mu
	base    broker.Offset // what precedes the oldest entry
	tail    broker.Offset // the newest message, or the moment that stands for an empty room
	entries []entry
	size    int       // bytes of the entries
	notes   int       // how many of the entries are annotations
	whole   bool      // nothing older is stored anywhere
	newest  time.Time // when the newest message came
}

type entry struct {
	broker.Offset
	stored
}

// verdict is what a ring finds of an offset to resume from.
type verdict int

const (
	covered verdict = iota // all that was missed is here
	lost                   // it is gone, or of another history
	gone                   // it is, as the store has just said
	older                  // the store may have it
	ahead                  // the offset is of a message that has not arrived here yet, or of another epoch
)

func (r *ring) load(s broker.Snapshot, messages List, now time.Time) {
	r.entries, r.size, r.notes = nil, 0, 0
	r.tail, r.base, r.whole, r.newest = s.Tail, s.Tail, !s.More, now
	if len(s.Messages) == 0 {
		return
	}
	first := s.Messages[0]
	r.base = broker.Offset{Epoch: first.Epoch, Pos: first.Pos - 1, Seq: first.Seq - 1, Digest: first.Prev}
	if first.Note != nil {
		r.base.Seq = first.Seq
	}
	for i, m := range s.Messages {
		r.add(entry{m.Offset(), messages[i]})
		if m.Note != nil { // it may have come after its message was read
			r.take(messages[i])
		}
	}
	r.newest = now.Add(-s.Age)
}

func (r *ring) append(e entry, now time.Time) {
	if e.Seq == 1 && r.tail.Seq > 0 && e.note == nil { // the history had expired whole
		r.entries, r.size, r.notes, r.base, r.whole = nil, 0, 0, r.tail, true
	}
	r.newest = now
	r.add(e)
}

func (r *ring) add(e entry) {
	r.entries = append(r.entries, e)
	r.size += e.size()
	r.tail = e.Offset
	if e.note != nil {
		r.notes++
	}
	for len(r.entries)-r.notes > r.count || (r.size > r.bytes || r.notes > broker.AnnotationsKept(r.count)) && len(r.entries) > 1 {
		r.drop()
	}
}

// drop lets go of the oldest entry.
func (r *ring) drop() {
	first := &r.entries[0]
	if first.note != nil {
		r.notes--
	}
	r.base, r.whole = first.Offset, false
	r.size -= first.size()
	*first = entry{}
	r.entries = r.entries[1:]
}

// expire drops what has expired in the store by now. The tail stays: a member that was here knows
// that nothing came after it.
func (r *ring) expire(now time.Time) {
	if len(r.entries) > 0 && now.Sub(r.newest) >= r.ttl {
		r.entries, r.size, r.notes, r.base, r.whole = nil, 0, 0, r.tail, true
	}
}

// since finds what came after o. A moment, which names no message, is the client's own claim that the
// room was empty then, unless it is vouched for: then it stands for all up to it.
func (r *ring) since(o broker.Offset, vouched bool, now time.Time) ([]entry, verdict) {
	bare := o.Seq == 0 && !vouched
	switch {
	case o.Epoch != r.tail.Epoch, o.Pos > r.tail.Pos && o.Seq > 0:
		return nil, ahead
	case o.Seq > 0 && o.Seq == r.base.Seq && o.Digest == r.base.Digest:
		return r.entries, covered // the predecessor, whose position a snapshot does not have
	case bare && len(r.entries) > 0 && r.entries[0].Pos <= o.Pos:
		return nil, lost // it was not empty: that is another history, or another room
	case bare && !r.whole:
		return nil, older
	case bare && len(r.entries) > 0 && r.entries[0].Seq > 1:
		return nil, lost // what came first was trimmed
	case o.Pos < r.base.Pos:
		if v := r.before(o, now); v != covered {
			return nil, v
		}
		return r.entries, covered
	}
	i := len(r.entries)
	for i > 0 && r.entries[i-1].Pos > o.Pos {
		i--
	}
	at := r.base
	if i > 0 {
		at = r.entries[i-1].Offset
	}
	if o.Seq > 0 && (at.Seq != o.Seq || at.Digest != o.Digest) {
		return nil, lost
	}
	return r.entries[i:], covered
}

// before judges an offset that lies before the ring. A moment, which names no message, is covered
// if nothing can have come and expired since, and nothing was trimmed that may have come after it.
func (r *ring) before(o broker.Offset, now time.Time) verdict {
	fresh := o.Seq == 0 && r.base.Seq == 0 && now.UnixMilli() < o.At+r.ttl.Milliseconds()
	switch {
	case !r.whole:
		return older
	case fresh:
		return covered
	}
	return lost
}

// last returns the newest n messages. It reports whether the store may have older ones, if there are
// fewer than n.
func (r *ring) last(n int) (newest []entry, short bool) {
	messages := onlyMessages(r.entries, r.notes)
	if n >= len(messages) {
		return messages, n > len(messages) && !r.whole
	}
	return messages[len(messages)-n:], false
}

// onlyMessages returns the entries without annotations, of which there are so many at most.
func onlyMessages(entries []entry, notes int) []entry {
	if notes == 0 {
		return entries
	}
	return slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return e.note != nil })
}

// page returns at most n messages before o. The verdict is older if the store has to be asked, and lost if
// o is of a message that is not in this room, since the ring has no holes.
func (r *ring) page(o broker.Offset, n int) (page []entry, more bool, v verdict) {
	end := len(r.entries)
	if !o.IsZero() {
		if o.Epoch != r.tail.Epoch || o.Pos <= r.base.Pos || o.Seq > 0 && o.Pos > r.tail.Pos {
			return nil, false, older
		}
		for end > 0 && r.entries[end-1].Pos >= o.Pos {
			end--
		}
		if o.Seq > 0 && (end == len(r.entries) || r.entries[end].Offset != o) {
			return nil, false, lost
		}
	}
	page = onlyMessages(r.entries[:end], r.notes)
	if len(page) < n && !r.whole {
		return nil, false, older
	}
	start := max(0, len(page)-n)
	return page[start:], start > 0 || !r.whole, covered
}

func list(entries []entry) List {
	out := make(List, len(entries))
	for i, e := range entries {
		out[i] = e.stored
	}
	return out
}
