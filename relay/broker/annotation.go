package broker

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Kind is what an annotation does to its message.
type Kind byte

// Kinds of annotations.
const (
	Reaction Kind = 'r' // adds a user's reaction to the message, or takes it back
	Edit     Kind = 'e' // replaces its body
	Delete   Kind = 'd' // replaces its body for good, and takes its reactions away
)

// MaxReaction bounds the text of a reaction, in bytes.
const MaxReaction = 64

// Bounds of what is kept of a message's annotations, if Limits does not say.
const (
	DefaultReactions     = 1000 // of one message, of all users together
	DefaultReactionKinds = 20   // different ones of one message
)

// AnnotationsKept is how many annotations a room keeps, given how many messages its history may have. If
// it has more, its oldest messages go, with their annotations; of the newest message no more are taken.
func AnnotationsKept(history int) int { return 4*history + 100 }

// ErrDeleted: the message was deleted, and takes no annotations any more.
var ErrDeleted = errors.New("broker: the message was deleted")

// ErrCrowded: the message has as many reactions, or as many different ones, as it may, or the room's only
// message as many annotations.
var ErrCrowded = errors.New("broker: too many reactions")

// Annotation is something that is to be said of a message.
type Annotation struct {
	Room   string
	Target Offset // the message
	User   string // public id of who says it
	ID     string // of an edit: the same user's repeat under it changes nothing
	Kind   Kind
	Value  string // of a reaction: what it is, up to MaxReaction bytes without control characters
	Remove bool   // of a reaction: it is taken back
	Body   string // of an edit and a delete: what the message's body is from then on
	About  string // what subscribers are told besides; opaque, and kept when the message is deleted
}

// Annotated says what became of an annotation.
type Annotated struct {
	Offset    Offset // of the annotation; zero for a Duplicate
	At        int64
	Rev       uint64 // how many annotations the message has had
	Count     int    // of a reaction: how many users have given it
	Duplicate bool   // it was so already, and nobody is told
}

// Annotations stores what is said of messages beside them.
//
// An annotation stands in the order of its room's messages, and in the chain of their digests: it has a
// position and an offset as they have, and is delivered, caught up with and vouched for as they are. It
// has no sequence of its own, but that of the room's newest message. It goes with the message that it is
// about, and keeps the room's history from expiring as a message does.
type Annotations interface {
	// Annotate stores a and fans it out, in one step. ErrGap: the message is not kept any more, or is
	// of another history. ErrDeleted and ErrCrowded: nothing was changed.
	//
	// What an edit or a delete replaces is gone when it returns, from all that is stored.
	Annotate(ctx context.Context, a Annotation) (Annotated, error)
}

// Note is an annotation that was stored: what its Message is instead of a message.
type Note struct {
	Target Offset // the message; of the same epoch, which is not said
	Kind   Kind
	Value  string
	Remove bool
	Mark   string // of the user: Mark
	Rev    uint64
	Count  int
	About  string

	// Body is what the message's body is now: a later edit may have replaced it, or a delete. Empty: it
	// is a reaction, or the message is kept no more.
	Body string
}

// Notes is how a message's annotations stand. It is never changed once made.
type Notes struct {
	Rev       uint64 // of the newest annotation
	Edited    int64  // when its body was last replaced by an edit, ms; 0: never
	Deleted   bool
	Reactions []Reactions // in the order in which each was first given

	edits string // marks of the newest edits
}

// Reactions is one reaction of a message, with who has given it.
type Reactions struct {
	Value string
	Marks string // of the users, each markLength long
}

const (
	markLength = 12
	editsKept  = 8
)

// Mark stands for a user, or for something that a user has said, where many have to be kept: 72 bits, of
// which two alike do not come about by chance.
func Mark(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

// EditMark stands for one edit of a user's.
func EditMark(a Annotation) string { return Mark(a.User + "\x00" + a.ID) }

// Count is how many users have given it.
func (r Reactions) Count() int { return len(r.Marks) / markLength }

// Has reports whether the user with that mark has given it.
func (r Reactions) Has(mark string) bool { return findMark(r.Marks, mark) >= 0 }

func findMark(marks, mark string) int {
	for i := 0; i+markLength <= len(marks); i += markLength {
		if marks[i:i+markLength] == mark {
			return i
		}
	}
	return -1
}

// IsZero reports whether nothing was said.
func (n *Notes) IsZero() bool { return n == nil || n.Rev == 0 }

// all is how many reactions there are.
func (n *Notes) all() (sum int) {
	for _, r := range n.Reactions {
		sum += r.Count()
	}
	return sum
}

// With returns how the annotations stand after one more, which was stored at so many ms. Of one that is
// in them already nothing changes.
func (n *Notes) With(note *Note, at int64) *Notes {
	var out Notes
	if n != nil {
		out = *n
	}
	if note.Rev <= out.Rev {
		return n
	}
	out.Rev = note.Rev
	switch note.Kind {
	case Reaction:
		out.Reactions = react(out.Reactions, note)
	case Edit:
		out.Edited = at
	case Delete:
		out = Notes{Rev: note.Rev, Deleted: true}
	}
	return &out
}

func react(was []Reactions, note *Note) []Reactions {
	out := slices.Clone(was)
	i := slices.IndexFunc(out, func(r Reactions) bool { return r.Value == note.Value })
	if i < 0 {
		if note.Remove {
			return out
		}
		return append(out, Reactions{note.Value, note.Mark})
	}
	switch at := findMark(out[i].Marks, note.Mark); {
	case note.Remove && at >= 0:
		out[i].Marks = out[i].Marks[:at] + out[i].Marks[at+markLength:]
	case !note.Remove && at < 0:
		out[i].Marks += note.Mark
	}
	if out[i].Marks == "" {
		out = slices.Delete(out, i, i+1)
	}
	return out
}

// of returns the reaction of a value.
func (n *Notes) of(value string) Reactions {
	if n != nil {
		for _, r := range n.Reactions {
			if r.Value == value {
				return r
			}
		}
	}
	return Reactions{Value: value}
}

var errNotes = errors.New("not how annotations stand")

// Append writes n as text: "<rev> <edited> <1 if deleted> <marks of edits>" and a line for each reaction,
// "<value><tab><marks>", each line ended.
func (n *Notes) Append(dst []byte) []byte {
	dst = strconv.AppendUint(dst, n.Rev, 10)
	dst = strconv.AppendInt(append(dst, ' '), n.Edited, 10)
	deleted := " 0 "
	if n.Deleted {
		deleted = " 1 "
	}
	dst = append(append(append(dst, deleted...), n.edits...), '\n')
	for _, r := range n.Reactions {
		dst = append(append(append(append(dst, r.Value...), '\t'), r.Marks...), '\n')
	}
	return dst
}

// ParseNotes reads what Append wrote.
func ParseNotes(text string) (*Notes, error) {
	lines := strings.Split(text, "\n")
	head := strings.Split(lines[0], " ")
	if len(lines) < 2 || lines[len(lines)-1] != "" || len(head) != 4 || len(head[3])%markLength != 0 {
		return nil, errNotes
	}
	n := &Notes{Deleted: head[2] == "1", edits: head[3]}
	var err1, err2 error
	n.Rev, err1 = strconv.ParseUint(head[0], 10, 63)
	n.Edited, err2 = strconv.ParseInt(head[1], 10, 64)
	if err1 != nil || err2 != nil || n.Rev == 0 {
		return nil, errNotes
	}
	for _, line := range lines[1 : len(lines)-1] {
		value, marks, ok := strings.Cut(line, "\t")
		if !ok || marks == "" || len(marks)%markLength != 0 {
			return nil, errNotes
		}
		n.Reactions = append(n.Reactions, Reactions{value, marks})
	}
	return n, nil
}
