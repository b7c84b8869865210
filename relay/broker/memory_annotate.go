package broker

import (
	"context"
	"slices"
	"time"
)

// Annotate implements Broker.
func (b *Memory) Annotate(_ context.Context, a Annotation) (Annotated, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return Annotated{}, ErrClosed
	}
	if b.rooms[a.Room] == nil {
		return Annotated{}, ErrGap
	}
	r := b.room(a.Room)
	i := slices.IndexFunc(r.messages, func(m Message) bool { return m.Pos == a.Target.Pos })
	if i < 0 || r.messages[i].Note != nil || r.messages[i].Offset() != a.Target {
		return Annotated{}, ErrGap
	}
	next, note, err := b.limits.judge(r.messages[i].Notes, a)
	if note == nil || err != nil {
		return next, err
	}
	if len(r.messages)-r.notes == 1 && r.notes >= AnnotationsKept(b.limits.History) && a.Kind != Delete {
		return Annotated{}, ErrCrowded
	}
	return b.annotate(r, i, a, note), nil
}

// judge decides what comes of an annotation: a note without its revision's moment, or none if nothing is to
// change, and what its sender is told then.
func (l Limits) judge(was *Notes, a Annotation) (Annotated, *Note, error) {
	note := &Note{Target: a.Target, Kind: a.Kind, Value: a.Value, Remove: a.Remove, Mark: Mark(a.User), Rev: 1, About: a.About, Body: a.Body}
	note.Target.Epoch = ""
	if was == nil {
		was = &Notes{}
	}
	note.Rev = was.Rev + 1
	same := Annotated{Rev: was.Rev, Duplicate: true}
	switch {
	case was.Deleted && a.Kind == Delete, a.Kind == Edit && findMark(was.edits, EditMark(a)) >= 0:
		return same, nil, nil
	case was.Deleted:
		return Annotated{}, nil, ErrDeleted
	case a.Kind != Reaction:
		return same, note, nil
	}
	given := was.of(a.Value)
	same.Count = given.Count()
	switch has := given.Has(note.Mark); {
	case has != a.Remove:
		return same, nil, nil
	case a.Remove:
		note.Count = same.Count - 1
		return same, note, nil
	case was.all() >= l.Reactions || same.Count == 0 && len(was.Reactions) >= l.ReactionKinds:
		return Annotated{}, nil, ErrCrowded
	}
	note.Count = same.Count + 1
	return same, note, nil
}

// WithDefaults returns l, its bounds of reactions as they hold.
func (l Limits) WithDefaults() Limits {
	if l.Reactions <= 0 {
		l.Reactions = DefaultReactions
	}
	if l.ReactionKinds <= 0 {
		l.ReactionKinds = DefaultReactionKinds
	}
	return l
}

// annotate stores and delivers a note about r.messages[i]. b.mu is held.
func (b *Memory) annotate(r *memoryRoom, i int, a Annotation, note *Note) Annotated {
	now := time.Now()
	b.pos++
	m := Message{Room: a.Room, Epoch: b.epoch, Pos: b.pos, Seq: r.seq, At: now.UnixMilli(), Prev: r.digest, Note: note}
	m.Digest = digest(m.Prev, a.User+"\x00"+a.ID, m.At)
	about := &r.messages[i]
	about.Notes = about.Notes.With(note, m.At)
	if a.Kind == Edit {
		edits := about.Notes.edits + EditMark(a)
		about.Notes.edits = edits[max(0, len(edits)-editsKept*markLength):]
	}
	if a.Kind != Reaction {
		about.Body = a.Body
		for j, other := range r.messages[i:] {
			if n := other.Note; n != nil && n.Kind == Edit && n.Target.Pos == a.Target.Pos {
				now := *n
				now.Body = a.Body
				r.messages[i+j].Note = &now
			}
		}
	}
	r.digest = m.Digest
	r.expires = now.Add(b.limits.TTL)
	r.messages = append(r.messages, m)
	r.notes++
	r.trim(b.limits.History)
	if r.sub != nil {
		r.sub.Deliver(m)
	}
	return Annotated{Offset: m.Offset(), At: m.At, Rev: note.Rev, Count: note.Count}
}
