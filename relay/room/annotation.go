package room

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"

	"setu/relay/broker"
	"setu/relay/engineio"
	"setu/relay/metrics"
)

// Subject is a message that somebody wants to say something of.
type Subject struct {
	ID      string // of its publish
	From    broker.User
	Event   bool // it is a named event
	Deleted bool
}

// Message finds a message that is kept. ErrGap: it is not, or the offset is of something else.
func (h *Hub) Message(ctx context.Context, name string, at broker.Offset) (Subject, error) {
	if at.Seq == 0 {
		return Subject{}, ErrGap
	}
	if r := h.room(name); r != nil {
		if s, ok := r.find(at); ok {
			return s.subject()
		}
	}
	upTo := broker.Offset{Epoch: at.Epoch, Pos: at.Pos, At: 1}
	page, _, err := h.broker.History(ctx, name, upTo, 1)
	if err != nil {
		return Subject{}, err
	}
	for _, m := range page {
		if m.Offset() == at && m.Note == nil {
			return h.encode(quote(name), m).subject()
		}
	}
	return Subject{}, ErrGap
}

// find looks for a message in the ring.
func (r *Room) find(at broker.Offset) (stored, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := r.ring.indexOf(at.Pos); i >= 0 && r.ring.entries[i].Offset == at && r.ring.entries[i].note == nil {
		return r.ring.entries[i].stored, true
	}
	return stored{}, false
}

// subject reads who has published a message, from its object.
func (s stored) subject() (Subject, error) {
	var in struct {
		ID   string      `json:"id"`
		From broker.User `json:"from"`
	}
	if err := json.Unmarshal(s.append(nil, 0), &in); err != nil {
		return Subject{}, err
	}
	return Subject{ID: in.ID, From: in.From, Event: s.envelope != nil, Deleted: s.notes != nil && s.notes.Deleted}, nil
}

// Annotate stores an annotation and fans it out. It counts as a publish.
func (h *Hub) Annotate(ctx context.Context, a broker.Annotation) (broker.Annotated, error) {
	done, err := h.broker.Annotate(ctx, a)
	count := outcome(broker.Receipt{Err: err, Duplicate: done.Duplicate})
	if errors.Is(err, broker.ErrGap) || errors.Is(err, broker.ErrDeleted) || errors.Is(err, broker.ErrCrowded) {
		count = metrics.PublishRefused
	}
	h.metrics.Publishes.Of(count).Inc()
	return done, err
}

// DeletedBody is the body of a message that was deleted: it is from whom it was, and says nothing.
func DeletedBody(s Subject) string { return Body(s.ID, s.From, json.RawMessage("null")) }

// kindNames are what clients call the kinds of annotations.
var kindNames = map[broker.Kind]string{broker.Reaction: "reaction", broker.Edit: "edit", broker.Delete: "delete"}

// annotationName begins an annotation's packet, after what appendEvent writes.
const annotationName = `["annotation",`

// encodeNote is encode of an annotation. The frame of an edit says what its message says now.
func encodeNote(room string, m broker.Message) stored {
	n := m.Note
	value, attachments := "", [][]byte(nil)
	switch n.Kind {
	case broker.Reaction:
		value = quote(n.Value)
	case broker.Edit:
		var text string
		text, attachments = unpack(n.Body)
		var ok bool
		if _, value, ok = strings.Cut(text, dataMember); !ok || strings.HasPrefix(text, eventMember) {
			value, attachments = "null", nil
		}
	}
	from, to := 0, 0
	f := engineio.NewFrame(len(annotationName)+len(room)+len(value)+len(n.About)+2*broker.MaxOffset+128, func(dst []byte) []byte {
		start := len(dst)
		dst = append(appendEvent(dst, len(attachments)), annotationName...)
		from = len(dst) - start
		dst = appendNote(dst, room, value, m)
		to = len(dst) - start
		return append(m.Offset().Append(append(dst, `,"`...)), `"]`...)
	}, attachments...).At(m.Pos)
	return stored{frame: f, object: f.Packet()[from:to:to], attached: len(attachments), at: m.At, note: n}
}

// appendNote writes an annotation as members get it.
func appendNote(dst []byte, room, value string, m broker.Message) []byte {
	n := m.Note
	target := n.Target
	target.Epoch = m.Epoch
	dst = append(append(dst, `{"room":`...), room...)
	dst = target.Append(append(dst, `,"offset":"`...))
	dst = strconv.AppendUint(append(dst, `","seq":`...), target.Seq, 10)
	dst = append(append(append(dst, `,"kind":"`...), kindNames[n.Kind]...), '"')
	if value != "" {
		dst = append(append(dst, `,"value":`...), value...)
	}
	if n.Kind == broker.Reaction {
		if n.Remove {
			dst = append(dst, `,"remove":true`...)
		}
		dst = strconv.AppendInt(append(dst, `,"count":`...), int64(n.Count), 10)
	}
	if json.Valid([]byte(n.About)) { // a user, if a relay wrote it
		dst = append(append(dst, `,"from":`...), n.About...)
	}
	dst = strconv.AppendInt(append(dst, `,"at":`...), m.At, 10)
	dst = strconv.AppendUint(append(dst, `,"rev":`...), n.Rev, 10)
	return append(dst, '}')
}

// appendNotes writes how a message's annotations stand, for a viewer of that mark; empty: for nobody.
func appendNotes(dst []byte, n *broker.Notes, viewer string) []byte {
	dst = strconv.AppendUint(append(dst, `{"rev":`...), n.Rev, 10)
	if len(n.Reactions) > 0 {
		for i, r := range n.Reactions {
			if i == 0 {
				dst = append(dst, `,"reactions":{`...)
			} else {
				dst = append(dst, ',')
			}
			dst = append(append(dst, quote(r.Value)...), `:{"count":`...)
			dst = strconv.AppendInt(dst, int64(r.Count()), 10)
			if viewer != "" {
				dst = strconv.AppendBool(append(dst, `,"me":`...), r.Has(viewer))
			}
			dst = append(dst, '}')
		}
		dst = append(dst, '}')
	}
	if n.Edited > 0 {
		dst = append(strconv.AppendInt(append(dst, `,"edited":{"at":`...), n.Edited, 10), '}')
	}
	if n.Deleted {
		dst = append(dst, `,"deleted":true`...)
	}
	return append(dst, '}')
}

// notesMember begins how annotations stand, in a message's object.
const notesMember = `,"annotations":`

// notesSize is at least how many bytes that takes.
func (s stored) notesSize() int {
	if s.notes == nil {
		return 0
	}
	n := len(notesMember) + 80
	for _, r := range s.notes.Reactions {
		n += 2*len(r.Value) + 40
	}
	return n
}

// For returns the list as the user of that ID is to see it.
func (l List) For(user string) List {
	noted := func(m stored) bool { return m.notes != nil }
	if !slices.ContainsFunc(l, noted) {
		return l
	}
	out, viewer := slices.Clone(l), broker.Mark(user)
	for i := range out {
		out[i].viewer = viewer
	}
	return out
}

// isNoted reports whether what the list says of a message depends on who sees it.
func (l List) isNoted() bool {
	return slices.ContainsFunc(l, func(m stored) bool { return m.notes != nil && len(m.notes.Reactions) > 0 })
}

func isNote(m stored) bool    { return m.note != nil }
func isMessage(m stored) bool { return m.note == nil }

// messages returns the list without the annotations between them.
func (l List) messages() List {
	if !slices.ContainsFunc(l, isNote) {
		return l
	}
	return slices.DeleteFunc(slices.Clone(l), isNote)
}

// notes returns the annotations of the list.
func (l List) notes() List {
	if !slices.ContainsFunc(l, isNote) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(l), isMessage)
}

// with returns a message as it is after an annotation of it.
func (s stored) with(enc encoder, room string, target broker.Offset, note stored) stored {
	was := s.notes
	now := was.With(note.note, note.at)
	if now == was {
		return s
	}
	if note.note.Body != "" {
		viewer := s.viewer
		s = enc.encode(room, broker.Message{Epoch: target.Epoch, Pos: target.Pos, Seq: target.Seq, Digest: target.Digest, At: s.at, Body: note.note.Body})
		s.viewer = viewer
	}
	s.notes = now
	return s
}

// take has an annotation change what the ring holds of its message, and of that one's earlier edits: what
// they said is gone.
func (r *ring) take(note stored) {
	target := note.note.Target
	if i := r.indexOf(target.Pos); i >= 0 && r.entries[i].note == nil {
		was := r.entries[i]
		r.entries[i].stored = was.with(r.enc, r.room, was.Offset, note)
		r.size += r.entries[i].size() - was.size()
	}
	if note.note.Body == "" || r.notes == 0 {
		return
	}
	for i := range r.entries {
		e := &r.entries[i]
		if e.note == nil || e.note.Kind != broker.Edit || e.note.Target.Pos != target.Pos || e.note.Rev >= note.note.Rev {
			continue
		}
		now := *e.note
		now.Body = note.note.Body
		r.size -= e.size()
		e.stored = encodeNote(r.room, broker.Message{Epoch: e.Epoch, Pos: e.Pos, Seq: e.Seq, Digest: e.Digest, At: e.at, Note: &now})
		r.size += e.size()
	}
}

// indexOf returns the index of the entry at a position, or -1.
func (r *ring) indexOf(pos uint64) int {
	i, found := slices.BinarySearchFunc(r.entries, pos, func(e entry, pos uint64) int {
		switch {
		case e.Pos < pos:
			return -1
		case e.Pos > pos:
			return 1
		}
		return 0
	})
	if !found {
		return -1
	}
	return i
}

// update has the annotations that the ring holds change messages that were read from the store before.
func (r *ring) update(read List) {
	if r.notes == 0 || len(read) == 0 {
		return
	}
	byPos := make(map[uint64]int, len(read))
	for i, m := range read {
		if m.note == nil {
			byPos[m.frame.Pos()] = i
		}
	}
	for _, e := range r.entries {
		if e.note == nil {
			continue
		}
		if i, ok := byPos[e.note.Target.Pos]; ok {
			target := e.note.Target
			target.Epoch = e.Epoch
			read[i] = read[i].with(r.enc, r.room, target, e.stored)
		}
	}
}
