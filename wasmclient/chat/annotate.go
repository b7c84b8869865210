package chat

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
)

// Annotations is how what was said of a message stands.
type Annotations struct {
	Rev       int64 // of the newest one
	Reactions []Reaction
	EditedAt  int64 // in milliseconds since 1970; 0: never
	Deleted   bool
}

// Reaction is a reaction that somebody has given to a message: any text.
type Reaction struct {
	Value string
	Count int  // how many users have given it
	Me    bool // this user is one of them
}

// AnnotationKind is the kind of an annotation.
type AnnotationKind uint8

const (
	UnknownAnnotation AnnotationKind = iota // of a relay that knows more
	ReactionGiven                           // or taken back
	MessageEdited
	MessageDeleted
)

// Annotation is what somebody says of a message: a reaction, an edit, or that it is deleted.
type Annotation struct {
	Offset string // of the message
	Kind   AnnotationKind
	By     string // this user's public id, or another's
	At     int64
	Rev    int64 // counts the message's annotations from 1

	Value  string // of a reaction
	Remove bool   // it is taken back
	Count  int    // how many have given it, with this one

	Data        []byte // of an edit: what the message's data is now
	Attachments [][]byte
}

// QuickReactions are those that are offered, in order. public/index.html has the same.
var QuickReactions = []string{"👍", "❤️", "😂", "🎉", "😮", "🙏"}

// SortReactions puts reactions into the order in which they are shown: those that are offered, then others
// by what they say. How many have given one does not count, so that none moves away under a finger.
func SortReactions(list []Reaction) {
	for i := range list { // there are few, and the sorting of package slices takes 2 kB of the program
		for j := i; j > 0 && isBefore(list[j].Value, list[j-1].Value); j-- {
			list[j], list[j-1] = list[j-1], list[j]
		}
	}
}

func isBefore(a, b string) bool {
	if x, y := rank(a), rank(b); x != y {
		return x < y
	}
	return a < b
}

func rank(value string) int {
	if at := slices.Index(QuickReactions, value); at >= 0 {
		return at
	}
	return len(QuickReactions)
}

// with returns how the annotations stand after one more. One that is no newer changes nothing, and nothing
// comes after a delete. me is this user's id.
func (n Annotations) with(a Annotation, me string) Annotations {
	if a.Rev <= n.Rev || n.Deleted {
		return n
	}
	n.Rev = a.Rev
	switch a.Kind {
	case ReactionGiven:
		r := Reaction{Value: a.Value, Count: a.Count, Me: n.Mine(a.Value)}
		if a.By == me {
			r.Me = !a.Remove
		}
		n.Reactions = n.without(a.Value)
		if r.Count > 0 {
			n.Reactions = append(n.Reactions, r)
			SortReactions(n.Reactions)
		}
	case MessageEdited:
		n.EditedAt = a.At
	case MessageDeleted:
		n = Annotations{Rev: a.Rev, Deleted: true}
	}
	return n
}

// Mine reports whether this user has given a reaction.
func (n Annotations) Mine(value string) bool {
	at := n.Index(value)
	return at >= 0 && n.Reactions[at].Me
}

// Index returns which of the reactions says this, or -1.
func (n Annotations) Index(value string) int {
	for i := range n.Reactions {
		if n.Reactions[i].Value == value {
			return i
		}
	}
	return -1
}

// maxChips is how many of a message's reactions are shown at first. public/style.css has the same.
const maxChips = 6

// Folded returns how many of the reactions are shown only when that is asked for: none, or two and more.
func (n Annotations) Folded() int {
	if more := len(n.Reactions) - maxChips; more > 1 {
		return more
	}
	return 0
}

func (n Annotations) without(value string) (rest []Reaction) {
	for _, r := range n.Reactions {
		if r.Value != value {
			rest = append(rest, r)
		}
	}
	return rest
}

// Shown returns what is shown of a reaction's value.
func (r Reaction) Shown() string { return cmp.Or(oneLine(r.Value), "…") }

// Label returns what a reaction is called.
func (r Reaction) Label() string {
	label := r.Shown() + ", " + strconv.Itoa(r.Count)
	if r.Me {
		label += ", you too"
	}
	return label
}

// Annotate applies what somebody has said of a message. It reports whether that changes what is known here:
// of a message that is not, it does not.
func (t *Timeline) Annotate(a Annotation) bool {
	e := t.byOffset(a.Offset)
	if e == nil {
		return false
	}
	m := e.Message
	if m.Annotations = m.Annotations.with(a, t.Self); m.Annotations.Rev == e.Annotations.Rev {
		return false
	}
	switch a.Kind {
	case MessageEdited:
		m.Data, m.Attachments = a.Data, a.Attachments
	case MessageDeleted:
		m.Data, m.Attachments = nil, nil
	}
	t.restate(e, m)
	return true
}

// update has a message that is known say what a list says of it, if that is newer. After a gap the list is
// right in any case: of what a store has lost, annotations are, too.
func (t *Timeline) update(m Message, afterGap bool) {
	e := t.byKey[t.Key(m.From.ID, m.ID)]
	if e == nil || e.State != Stored {
		return
	}
	if known, rev := e.Annotations.Rev, m.Annotations.Rev; rev > known || rev < known && afterGap {
		t.restate(e, m)
	}
}

// restate has an entry of a timeline say something else. What was drawn of it is compared with the entry
// itself, so there is another one then.
func (t *Timeline) restate(e *Entry, m Message) {
	next := t.entryOf(m)
	next.Unfolded, next.took, next.revision, next.said = e.Unfolded, e.took, e.revision+1, e.said
	was, is := &e.Annotations, &m.Annotations
	anew := is.Deleted != was.Deleted || is.EditedAt != was.EditedAt || !bytes.Equal(m.Data, e.Data)
	if anew {
		next.said++
	} else {
		next.Attachments, next.Body = e.Attachments, e.Body // they may have been let go of
	}
	for i := len(t.entries) - 1; i >= 0; i-- {
		switch other := t.entries[i]; {
		case other == e:
			t.entries[i], t.byKey[e.Key] = next, next
		case anew && other.Body != nil && other.Body.Reply != nil && other.Body.Reply.Offset == m.Offset:
			quotes := *other
			quotes.revision++
			quotes.said++
			t.entries[i], t.byKey[other.Key] = &quotes, &quotes
		}
	}
	t.limitAttachments()
}

// SaysAnew reports whether what a message says, or what it quotes, was written otherwise before.
func (e *Entry) SaysAnew(before *Entry) bool {
	return e.said != before.said || !before.Body.Same(e.Body)
}

// Annotatable reports whether something may be said of a message.
func (e *Entry) Annotatable() bool {
	return e != nil && e.Kind == KindMessage && e.State == Stored && e.Offset != "" && !e.Annotations.Deleted
}

// Deletable reports whether a message is this user's, to be deleted.
func (e *Entry) Deletable() bool { return e.Annotatable() && e.Own }

// Editable reports whether a message is this user's, to be edited: a text alone. A picture is sent anew.
func (e *Entry) Editable() bool { return e.Deletable() && e.Body.Kind == BodyText }

// Annotate applies what somebody has said of a message of the room; before the join is answered that waits.
// It reports whether anything is shown otherwise.
func (r *Room) Annotate(a Annotation) bool {
	if !r.Entered {
		r.heldOf = append(r.heldOf, a)
		return false
	}
	return r.Timeline.Annotate(a)
}
