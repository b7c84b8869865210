package chat

import "strconv"

// RowKind tells the rows of the document apart.
type RowKind uint8

const (
	RowMessage RowKind = iota
	RowDay             // the day changes
	RowUnread          // from here on unseen
	RowGap             // messages may be missing
	RowStart           // the room begins here
	RowLoading         // older messages are on their way
)

// groupWithin is how soon somebody's next message belongs to the same group.
const groupWithin = 5 * 60 * 1000

// Row is one row of the document. Two equal rows look the same.
type Row struct {
	Key   string
	Kind  RowKind
	Entry *Entry
	Head  bool  // a group's first: the author is named
	Tail  bool  // a group's last
	At    int64 // of a day: any moment of it

	revision int
}

// Rows are what the document shall hold now.
func (t *Timeline) Rows() []Row {
	rows := make([]Row, 0, t.hi-t.lo+len(t.outgoing)+4)
	if t.lo == 0 && len(t.entries) > 0 {
		switch {
		case t.Loading:
			rows = append(rows, Row{Key: "loading", Kind: RowLoading})
		case !t.More:
			rows = append(rows, Row{Key: "start", Kind: RowStart})
		}
	}
	var before *Entry // the message that a next one might be grouped with
	day := -1
	add := func(e *Entry) {
		if e.Kind == KindGap {
			rows = append(rows, Row{Key: e.Key, Kind: RowGap})
			before = nil
			return
		}
		if e.Day != day {
			rows = append(rows, Row{Key: "day/" + strconv.Itoa(e.Day), Kind: RowDay, At: e.At})
			day, before = e.Day, nil
		}
		if e.Key == t.divider {
			rows = append(rows, Row{Key: "unread", Kind: RowUnread})
			before = nil
		}
		row := Row{Key: e.Key, Kind: RowMessage, Entry: e, Head: true, Tail: true, revision: e.revision}
		if before != nil && sameGroup(before, e) {
			rows[len(rows)-1].Tail, row.Head = false, false
		}
		rows = append(rows, row)
		before = e
	}
	for _, e := range t.entries[t.lo:t.hi] {
		add(e)
	}
	if t.AtEnd() {
		for _, e := range t.outgoing {
			add(e)
		}
	}
	return unique(rows)
}

func sameGroup(a, b *Entry) bool {
	return a.Own == b.Own && (a.Own || a.From.ID == b.From.ID && a.From.Name == b.From.Name) &&
		b.At-a.At < groupWithin && a.At-b.At < groupWithin
}

// unique renames days that come twice, as they may where clocks disagree: every
// row needs a key of its own.
func unique(rows []Row) []Row {
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

// SameRevision reports whether two rows show their entry in the same state.
func (r Row) SameRevision(other Row) bool { return r.revision == other.revision }
