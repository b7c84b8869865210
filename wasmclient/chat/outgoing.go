package chat

import "slices"

// Send puts a message of one's own at the end, waiting for its acknowledgement.
// At is when it was written; the time shown is the relay's, once there is one.
func (t *Timeline) Send(id, text string, at int64) *Entry {
	e := &Entry{
		Key:     "own/" + id,
		Message: Message{ID: id, At: at},
		Body:    Body{Text: text},
		Own:     true, State: Pending, Day: t.DayOf(at),
	}
	if old := t.known[e.Key]; old != nil {
		return old
	}
	t.known[e.Key] = e
	t.outgoing = append(t.outgoing, e)
	return e
}

// Acknowledge notes that a message is stored. Its place in the room comes with
// the message itself, which takes the same road as everyone's. It returns nil
// where there is no such message, or where it has its place already.
func (t *Timeline) Acknowledge(id string, seq, at int64, offset string) *Entry {
	e := t.unsettled(id)
	if e == nil {
		return nil
	}
	e.State, e.Reason, e.Seq, e.At, e.Offset = Acked, "", seq, at, offset
	e.Day = t.DayOf(at)
	e.revision++
	// A repeat of one that was stored long ago: its place is further up than what
	// is known here, and it will not be told again.
	if newest := t.Newest(); newest != nil && seq > 0 && seq < newest.Seq {
		t.dropOutgoing(e)
		delete(t.known, e.Key)
	}
	return e
}

// Fail notes that a message was refused, or that no answer came.
func (t *Timeline) Fail(id, reason string) *Entry {
	e := t.unsettled(id)
	if e == nil || e.State == Acked {
		return nil
	}
	e.State, e.Reason = Failed, reason
	e.revision++
	return e
}

// Retry makes a failed message wait again. At is the present time: a message that
// is sent later was said later.
func (t *Timeline) Retry(id string, at int64) *Entry {
	e := t.unsettled(id)
	if e == nil || e.State != Failed {
		return nil
	}
	e.State, e.Reason, e.At, e.Day = Pending, "", at, t.DayOf(at)
	e.revision++
	t.dropOutgoing(e)
	t.outgoing = append(t.outgoing, e)
	return e
}

// Discard forgets a message that was not stored, and gives back its text.
func (t *Timeline) Discard(id string) (text string, ok bool) {
	e := t.unsettled(id)
	if e == nil || e.State == Acked {
		return "", false
	}
	t.dropOutgoing(e)
	delete(t.known, e.Key)
	return e.Body.Text, true
}

// Outgoing lists those that wait or failed, in the order in which they were written.
func (t *Timeline) Outgoing() []*Entry { return slices.Clone(t.outgoing) }

func (t *Timeline) unsettled(id string) *Entry {
	if e := t.known["own/"+id]; e != nil && e.State != Stored {
		return e
	}
	return nil
}

func (t *Timeline) dropOutgoing(e *Entry) {
	t.outgoing = slices.DeleteFunc(t.outgoing, func(o *Entry) bool { return o == e })
}
