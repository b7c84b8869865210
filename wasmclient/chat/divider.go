package chat

// divider is the line above the first unread message.
type divider struct {
	key    string // of the message below it; empty: there is no line, or its place is not known yet
	by     int64  // the sequence number of the last message that was read
	bySeq  bool   // by tells the place; else key alone does
	count  int    // how many unread messages there were, read since or not
	since  int64  // when the last message that was read was written, in milliseconds since 1970; 0: not known
	passed bool   // it has been in view
}

// AddUnread counts an entry that came while the end was not in view. The divider stands before the
// first of them.
func (t *Timeline) AddUnread(e *Entry) {
	if t.Unread == 0 {
		t.divider = divider{key: e.Key}
		if last := t.messageBefore(len(t.entries) - 1); last != nil {
			t.divider.since = last.At
			t.divider.by, t.divider.bySeq = last.Seq, last.Seq < e.Seq
		}
	}
	t.Unread++
	if e.Concerns {
		t.Mentions++
	}
	t.divider.count++
}

// SetUnread sets the number of unread messages, for a room that has just been entered. They are
// those with a sequence number above seen, which was written at since.
func (t *Timeline) SetUnread(seen, since int64, count int) {
	t.Unread, t.divider = count, divider{}
	if count > 0 {
		t.divider = divider{by: seen, bySeq: true, count: count, since: since}
		t.placeDivider()
	}
	t.countMentions(seen)
}

// placeDivider finds the first unread message. It may be older than those that are known.
func (t *Timeline) placeDivider() {
	d := &t.divider
	if !d.bySeq {
		return
	}
	d.key = ""
	reached, first := !t.More, ""
	for i := len(t.entries) - 1; i >= 0; i-- {
		e := t.entries[i]
		if e.Kind != KindMessage {
			continue
		}
		if e.Seq <= d.by {
			reached = true
			break
		}
		if !e.Own {
			first = e.Key
		}
		reached = reached || e.Seq == d.by+1
	}
	if reached {
		d.key = first
	}
}

// addUnreadInGap counts the messages that are missing before the last one as unread, too.
func (t *Timeline) addUnreadInGap() {
	at := len(t.entries) - 2
	if at < 0 || t.entries[at].Kind != KindGap {
		return
	}
	n := t.missing(at)
	t.Unread += n
	t.divider.count += n
}

// readUpTo counts the unread messages anew: those above a sequence number.
func (t *Timeline) readUpTo(seq int64) {
	n := 0
	for i := len(t.entries) - 1; i >= 0; i-- {
		e := t.entries[i]
		if e.Kind == KindMessage && e.Seq <= seq {
			break
		}
		if e.Kind == KindMessage && !e.Own {
			n++
		}
	}
	t.Unread = min(t.Unread, n)
	t.countMentions(seq)
}

// countMentions counts the messages that speak to this user anew: those above a sequence number.
func (t *Timeline) countMentions(seq int64) {
	t.Mentions = 0
	for i := len(t.entries) - 1; i >= 0 && t.Mentions < t.Unread; i-- {
		e := t.entries[i]
		if e.Kind == KindMessage && e.Seq <= seq {
			break
		}
		if e.Concerns {
			t.Mentions++
		}
	}
}

// ClearUnread records that all messages have been read. The divider stays.
func (t *Timeline) ClearUnread() { t.Unread, t.Mentions = 0, 0 }

// CloseDivider removes the divider if all messages have been read, for a room that is no longer
// shown.
func (t *Timeline) CloseDivider() {
	if t.Unread == 0 {
		t.divider = divider{}
	}
}

// PassDivider notes that the divider has been in view.
func (t *Timeline) PassDivider() { t.divider.passed = true }

// Above returns how many unread messages there were and since when, in milliseconds since 1970 or 0, if
// the line above the first of them has not been in view, and is not among the rows in the document or
// above them.
func (t *Timeline) Above() (count int, since int64, ok bool) {
	d := t.divider
	if d.passed || d.count == 0 || d.key == "" && !d.bySeq {
		return 0, 0, false
	}
	at := t.dividerAt()
	return d.count, d.since, d.key == "" && t.WantsDivider() || at >= 0 && at < t.hi
}

// WantsDivider reports whether the first unread message is older than those that are known, and may be
// had from the relay.
func (t *Timeline) WantsDivider() bool {
	return t.divider.bySeq && t.divider.key == "" && t.divider.count > 0 && t.More && t.Oldest() != ""
}

// ShowDivider brings the divider into the document. It reports whether there is one.
func (t *Timeline) ShowDivider() bool {
	at := t.dividerAt()
	if at < 0 {
		return false
	}
	if at <= t.lo && t.lo > 0 || at >= t.hi {
		t.showAround(at)
	}
	return true
}

// dividerAt returns the index of the entry below the divider, or -1.
func (t *Timeline) dividerAt() int {
	if t.divider.key == "" {
		return -1
	}
	for i, e := range t.entries {
		if e.Key == t.divider.key {
			return i
		}
	}
	return -1
}

// messageBefore returns the last message before an index, or nil.
func (t *Timeline) messageBefore(at int) *Entry {
	for i := at - 1; i >= 0; i-- {
		if t.entries[i].Kind == KindMessage {
			return t.entries[i]
		}
	}
	return nil
}

// messageFrom returns the first message at an index or after it, or nil.
func (t *Timeline) messageFrom(at int) *Entry {
	for _, e := range t.entries[at:] {
		if e.Kind == KindMessage {
			return e
		}
	}
	return nil
}
