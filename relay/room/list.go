package room

import (
	"bytes"
	"slices"

	"setu/relay/broker"
	"setu/relay/engineio"
	"setu/relay/socketio"
)

// stored is a message, encoded once: the frame that members get, and the object in it that lists
// are made of.
type stored struct {
	frame    *engineio.Frame
	object   []byte    // a part of frame; of a named event its arguments
	attached int       // how many attachments it has
	envelope *envelope // nil: it is no named event

	at     int64         // when it was stored, ms
	note   *broker.Note  // nil: it is a message, or a named event
	notes  *broker.Notes // how a message's annotations stand; nil: there are none. Never a part of frame
	viewer string        // the mark of the user for whom a list is made; empty: for nobody
}

// length is how many bytes the message takes in a list.
func (s stored) length() int {
	n := len(s.object) + s.notesSize()
	if s.envelope == nil {
		return n
	}
	return len(s.envelope.head) + n + len(s.envelope.tail)
}

// append writes the message as part of a list, the numbers of its attachments raised by so many.
func (s stored) append(dst []byte, by int) []byte {
	if s.envelope != nil {
		dst = append(dst, s.envelope.head...)
	}
	if s.attached == 0 {
		dst = append(dst, s.object...)
	} else {
		dst = socketio.Renumber(dst, s.object, by)
	}
	if s.envelope != nil {
		dst = append(dst, s.envelope.tail...)
	}
	if s.notes != nil {
		dst = append(dst[:len(dst)-1], notesMember...)
		dst = append(appendNotes(dst, s.notes, s.viewer), '}')
	}
	return dst
}

// size is what the message takes in an answer, in bytes.
func (s stored) size() int {
	n := s.length()
	if s.attached > 0 {
		for a := range s.frame.Attachments() {
			n += len(a)
		}
	}
	return n
}

// literal reports whether the message, which has no attachments, may hold text that reads as a
// reference to one.
func (s stored) literal() bool {
	if s.envelope != nil {
		return socketio.MayHold(s.object)
	}
	if _, data, found := bytes.Cut(s.object, []byte(dataMember)); found {
		return socketio.MayHold(data) // names are escaped, too, but hold no objects
	}
	return socketio.MayHold(s.object)
}

// List is some messages of a room, oldest first, for one packet: JSON, and the attachments of all
// of them.
type List []stored

// Append writes the list as JSON. The numbers of the attachments go on from message to message;
// all else stays byte for byte.
func (l List) Append(dst []byte) []byte { return l.appendAfter(dst, 0) }

// appendAfter is Append to a packet that has so many attachments already.
func (l List) appendAfter(dst []byte, attached int) []byte {
	dst = append(dst, '[')
	for i, m := range l {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = m.append(dst, attached)
		attached += m.attached
	}
	return append(dst, ']')
}

// Size is about how many bytes Append writes.
func (l List) Size() (n int) {
	for _, m := range l {
		n += m.length() + 1
	}
	return n
}

// Attachments returns what follows the packet, in the order that the numbers in the JSON count.
func (l List) Attachments() (all [][]byte) {
	for _, m := range l {
		if m.attached > 0 {
			all = slices.AppendSeq(all, m.frame.Attachments())
		}
	}
	return all
}

// attachments is how many attachments the messages have.
func (l List) attachments() (n int) {
	for _, m := range l {
		n += m.attached
	}
	return n
}

// weight is how many bytes the list takes with its attachments.
func (l List) weight() (n int) {
	for _, m := range l {
		n += m.size() + 1
	}
	return n
}

// light keeps the newest messages that fit into MaxReplay.
func (l List) light() List {
	size := 0
	for i := len(l) - 1; i >= 0; i-- {
		if size += l[i].size() + 1; size > MaxReplay {
			return l[i+1:]
		}
	}
	return l
}

// fit keeps the newest messages that one packet can carry: in bytes, and in attachments, of which
// stock clients accept no more than that. In a packet with attachments no message may hold a
// literal placeholder, which would read as a reference: the stock client disconnects if a
// reference leads nowhere, so one member could keep all others from joining.
func (l List) fit() List {
	l = l.light()
	if !l.isBinary() {
		return l
	}
	attached, literal := 0, false
	for i := len(l) - 1; i >= 0; i-- {
		attached += l[i].attached
		literal = literal || l[i].attached == 0 && l[i].literal()
		if attached > socketio.MaxAttachments || literal && attached > 0 {
			return l[i+1:]
		}
	}
	return l
}

// isBinary reports whether a message of the list has attachments.
func (l List) isBinary() bool {
	return slices.ContainsFunc(l, func(m stored) bool { return m.attached > 0 })
}

// without returns the list without what the connection of that ID is not to hear.
func (l List) without(id string) List {
	isExcepted := func(m stored) bool { return m.isExcepted(id) }
	if !slices.ContainsFunc(l, isExcepted) {
		return l
	}
	return slices.DeleteFunc(slices.Clone(l), isExcepted)
}
