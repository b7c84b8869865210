package chat

import (
	"strconv"
	"strings"
)

// Target is a message to which a link or a quote leads. The zero value is none.
type Target struct {
	Seq    int64
	Offset string // "" if it is not known; numbers may have begun again, offsets are for ever
}

// MessageAddress returns the path and the fragment of a link to a message.
func MessageAddress(room string, p Target) string { return RoomAddress(room) + "#" + p.String() }

// String returns p as it stands in a fragment.
func (p Target) String() string {
	return "m=" + strconv.FormatInt(p.Seq, 10) + "." + escape(p.Offset)
}

// TargetAt returns the message to which an address's fragment leads, or the zero value.
func TargetAt(fragment string) Target {
	for part := range strings.SplitSeq(strings.TrimPrefix(fragment, "#"), "&") {
		rest, ok := strings.CutPrefix(part, "m=")
		if !ok {
			continue
		}
		number, offset, _ := strings.Cut(rest, ".")
		if seq, err := strconv.ParseInt(number, 10, 64); err == nil && seq > 0 && len(offset) <= maxOffset {
			return Target{Seq: seq, Offset: unescape(offset)}
		}
	}
	return Target{}
}

// Seek has a message brought into the document, and marked there. It may have to be requested first.
func (t *Timeline) Seek(p Target) { t.sought, t.marked = p, "" }

// WantsSought reports whether the message that is sought is older than those that are known, and may be had
// from the relay.
func (t *Timeline) WantsSought() bool {
	if t.sought == (Target{}) || !t.More || t.Oldest() == "" || t.soughtAt() >= 0 {
		return false
	}
	first := t.messageFrom(0)
	return first != nil && first.Seq > t.sought.Seq
}

// WantsOlderPage reports whether what is looked for in the history is older than what is known.
func (t *Timeline) WantsOlderPage() bool {
	if t.Sought() {
		return t.WantsSought()
	}
	return t.WantsDivider()
}

// soughtAt returns the index of the message that is sought, or -1.
func (t *Timeline) soughtAt() int {
	for i, e := range t.entries {
		if e.Kind == KindMessage && (e.Offset == t.sought.Offset || t.sought.Offset == "" && e.Seq == t.sought.Seq) {
			return i
		}
	}
	return -1
}

// ShowSought brings the message that was sought into the document, marks it, and returns its key. If it is
// not known, it returns "", and brings what stands next to its place.
func (t *Timeline) ShowSought() (key, beside string) {
	if t.sought == (Target{}) {
		return "", ""
	}
	at := t.soughtAt()
	if at >= 0 {
		key = t.entries[at].Key
		t.marked = key
	} else {
		for i, e := range t.entries {
			if at = i; e.Kind == KindMessage && e.Seq >= t.sought.Seq {
				break
			}
		}
	}
	t.sought = Target{}
	if at < 0 {
		return "", ""
	}
	if at <= t.lo && t.lo > 0 || at >= t.hi {
		t.showAround(at)
	}
	return key, t.entries[at].Key
}

// Sought reports whether a message is sought.
func (t *Timeline) Sought() bool { return t.sought != Target{} }

// Unmark takes the mark from the message that was sought. It reports whether there was one.
func (t *Timeline) Unmark() bool {
	had := t.marked != ""
	t.marked = ""
	return had
}
