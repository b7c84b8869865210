package chat

import "strconv"

// RowKind is the kind of a row.
type RowKind uint8

const (
	RowMessage RowKind = iota
	RowDay             // the day changes
	RowUnread          // the messages below are unread
	RowGap             // messages may be missing here
	RowStart           // the relay has nothing older
	RowLoading         // older messages have been requested
	RowNote            // a line about somebody
)

// groupWithin is the time, in milliseconds, within which a person's next message belongs to the
// same group.
const groupWithin = 5 * 60 * 1000

// Row is one row of the document. Equal rows look the same.
type Row struct {
	Key   string
	Kind  RowKind
	Entry *Entry
	Head  bool  // the first of a group, which shows the author
	Tail  bool  // the last of a group
	Mark  bool  // a link or a quote has led here
	Aim   bool  // it is being edited or answered
	At    int64 // for RowDay, any time on that day, in milliseconds since 1970

	Text     string // for RowGap and RowStart: what is known of what is not here; for RowNote the line
	Way      string // for RowMessage: how one's own newest message went
	Unsaved  string // for RowMessage: how an edit of it stands that is set aside
	Fillable bool   // for RowGap: the relay may have some of what is missing

	revision int
}

// Rows returns the rows that the document is to show now.
func (t *Timeline) Rows() []Row {
	rows := make([]Row, 0, t.hi-t.lo+len(t.outgoing)+4)
	if t.lo == 0 && len(t.entries) > 0 {
		switch {
		case t.Loading:
			rows = append(rows, Row{Key: "loading", Kind: RowLoading})
		case !t.More:
			rows = append(rows, Row{Key: "start", Kind: RowStart, Text: t.startText()})
		}
	}
	if t.lo == 0 && !t.Empty() {
		rows = append(rows, t.notesAfter("")...)
	}
	last := t.lastWay()
	var before *Entry // the message with which the next one may be grouped
	day := -1
	add := func(at int, e *Entry) {
		if e.Kind == KindGap {
			rows = append(rows, Row{Key: e.Key, Kind: RowGap, Text: t.gapText(at), Fillable: t.fillable(at)})
			before = nil
			return
		}
		if e.Day != day {
			rows = append(rows, Row{Key: "day/" + strconv.Itoa(e.Day), Kind: RowDay, At: e.At})
			day, before = e.Day, nil
		}
		if e.Key == t.divider.key {
			rows = append(rows, Row{Key: "unread", Kind: RowUnread})
			before = nil
		}
		row := Row{Key: e.Key, Kind: RowMessage, Entry: e, Head: true, Tail: true, Mark: e.Key == t.marked, Aim: e.Key == t.aimed, Unsaved: t.unsaved[e.Key], revision: e.revision}
		if before != nil && sameGroup(before, e) {
			rows[len(rows)-1].Tail, row.Head = false, false
		}
		if e == last {
			row.Way = t.Way(e)
		}
		rows = append(rows, row)
		before = e
		if notes := t.notesAfter(e.Key); notes != nil {
			rows, before = append(rows, notes...), nil
		}
	}
	for i, e := range t.entries[t.lo:t.hi] {
		add(t.lo+i, e)
	}
	if t.AtEnd() {
		for i, e := range t.outgoing {
			add(t.hi+i, e)
		}
	}
	return makeKeysUnique(rows)
}

func sameGroup(a, b *Entry) bool {
	return a.Own == b.Own && (a.Own || a.From.ID == b.From.ID && a.From.Name == b.From.Name) &&
		b.At-a.At < groupWithin && a.At-b.At < groupWithin
}

// makeKeysUnique changes the keys of days that occur twice, which happens if clocks disagree: every
// row needs a key of its own.
func makeKeysUnique(rows []Row) []Row {
	seen := make(map[string]int)
	for i := range rows {
		if rows[i].Kind != RowDay {
			continue
		}
		n := seen[rows[i].Key]
		seen[rows[i].Key]++
		if n > 0 {
			rows[i].Key += "/" + strconv.Itoa(n)
		}
	}
	return rows
}

// SameRevision reports whether two rows of one entry show it in the same state.
func (r Row) SameRevision(other Row) bool { return r.revision == other.revision }

// IsPlain reports whether a row is the message of somebody else that says a text and nothing more: all of it
// is shown, in one way, and nobody has said anything of it.
func (r Row) IsPlain() bool {
	e := r.Entry
	if r.Kind != RowMessage || r.Way != "" || e.Own || e.State != Stored || e.revision != 0 {
		return false
	}
	n, b := e.Annotations, e.Body
	return b.Kind == BodyText && b.Reply == nil && !b.Long() && n.EditedAt == 0 && len(n.Reactions) == 0 && b.isPlain()
}
