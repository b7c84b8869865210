package chat

import (
	"slices"
	"strconv"
)

// Send adds a message of this user at the end, where it waits for its acknowledgement. At is when
// it was written, in milliseconds since 1970, until the relay's time is known.
func (t *Timeline) Send(id string, body *Body, at int64) *Entry {
	e := &Entry{
		Key:     "own/" + id,
		Message: Message{ID: id, At: at},
		Body:    body,
		Own:     true, State: Pending, Day: t.DayOf(at),
	}
	if old := t.byKey[e.Key]; old != nil {
		return old
	}
	t.byKey[e.Key] = e
	t.outgoing = append(t.outgoing, e)
	return e
}

// Acknowledge records that a message is stored. Its place in the room is known when the relay
// delivers the message, as it does to every member. It returns nil if there is no such message, or
// it has its place already.
func (t *Timeline) Acknowledge(id string, seq, at int64, offset string) *Entry {
	e := t.unstored(id)
	if e == nil {
		return nil
	}
	e.State, e.Reason, e.Seq, e.At, e.Offset = Acked, "", seq, at, offset
	e.Day = t.DayOf(at)
	e.revision++
	// It repeats a message that was stored long ago: its place is before what is known here, and it
	// will not be delivered again.
	if newest := t.Newest(); newest != nil && seq > 0 && seq < newest.Seq {
		t.dropOutgoing(e)
		delete(t.byKey, e.Key)
	}
	return e
}

// Fail records that a message was refused or not answered. It returns nil if there is no such
// message, or it is stored.
func (t *Timeline) Fail(id, reason string) *Entry {
	e := t.unstored(id)
	if e == nil || e.State == Acked {
		return nil
	}
	e.State, e.Reason = Failed, reason
	e.revision++
	return e
}

// Retry makes a failed message wait again. At becomes its time, since it is sent later than it was
// written. It returns nil if there is no such message.
func (t *Timeline) Retry(id string, at int64) *Entry {
	e := t.unstored(id)
	if e == nil || e.State != Failed {
		return nil
	}
	e.State, e.Reason, e.At, e.Day = Pending, "", at, t.DayOf(at)
	e.revision++
	t.dropOutgoing(e)
	t.outgoing = append(t.outgoing, e)
	return e
}

// Discard removes a message that was not stored, and returns its text. ok reports whether there was
// one.
func (t *Timeline) Discard(id string) (text string, ok bool) {
	e := t.unstored(id)
	if e == nil || e.State == Acked {
		return "", false
	}
	t.dropOutgoing(e)
	delete(t.byKey, e.Key)
	return e.Body.Written(), true
}

// Outgoing returns this user's messages that have no place in the room yet, in the order in which
// they were sent.
func (t *Timeline) Outgoing() []*Entry { return slices.Clone(t.outgoing) }

// Unsent returns the number of this user's messages of which it is not known that they are stored.
func (t *Timeline) Unsent() int {
	n := 0
	for _, e := range t.outgoing {
		if e.State != Acked {
			n++
		}
	}
	return n
}

// KeptUnsent returns the sentence for n messages that another user has not sent.
func KeptUnsent(n int) string {
	if n == 1 {
		return "1 message was not sent. It is kept for its author."
	}
	return strconv.Itoa(n) + " messages were not sent. They are kept for their author."
}

// LeftText returns the sentence for a room that this user has left, with n messages that are not sent.
func LeftText(room string, n int) string {
	switch text := "Left " + room; n {
	case 0:
		return text
	case 1:
		return text + ". 1 message is not sent; it is kept until you are back."
	default:
		return text + ". " + Thousands(n) + " messages are not sent; they are kept until you are back."
	}
}

// unstored returns this user's message with an id, or nil if it has its place in the room.
func (t *Timeline) unstored(id string) *Entry {
	if e := t.byKey["own/"+id]; e != nil && e.State != Stored {
		return e
	}
	return nil
}

func (t *Timeline) dropOutgoing(e *Entry) {
	t.outgoing = slices.DeleteFunc(t.outgoing, func(o *Entry) bool { return o == e })
}
