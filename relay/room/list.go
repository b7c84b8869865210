package room

import (
	"bytes"
	"slices"

	"setu/relay/engineio"
	"setu/relay/socketio"
)

// stored is a message, encoded once: the frame that members get, and the object in it that lists
// are made of.
type stored struct {
	frame    *engineio.Frame
	object   []byte // a part of frame
	attached int    // how many attachments it has
}

// size is what the message takes in an answer, in bytes.
func (s stored) size() int {
	n := len(s.object)
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
func (l List) Append(dst []byte) []byte {
	dst = append(dst, '[')
	attached := 0
	for i, m := range l {
		if i > 0 {
			dst = append(dst, ',')
		}
		if m.attached == 0 || attached == 0 {
			dst = append(dst, m.object...)
		} else {
			dst = socketio.Renumber(dst, m.object, attached)
		}
		attached += m.attached
	}
	return append(dst, ']')
}

// Size is about how many bytes Append writes.
func (l List) Size() (n int) {
	for _, m := range l {
		n += len(m.object) + 1
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
	if !slices.ContainsFunc(l, func(m stored) bool { return m.attached > 0 }) {
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
