package chat

import (
	"cmp"
	"encoding/json"
)

// ReplyTo returns a reply to a message that is stored; of another one it is nil.
func ReplyTo(e *Entry) *Reply {
	if e == nil || e.Kind != KindMessage || e.Offset == "" {
		return nil
	}
	return &Reply{Offset: e.Offset, Seq: e.Seq, From: e.From.ID, Name: e.From.Name, Excerpt: e.Body.Excerpt(), key: e.Key}
}

// Aim marks the message that is being edited or answered, and reports whether that is another than before.
func (r *Room) Aim() bool {
	key, before := "", r.Timeline.aimed
	switch {
	case r.Edit != nil:
		key = r.Edit.Key
	case r.Reply != nil:
		key = r.Reply.key
	}
	r.Timeline.aimed = key
	return key != before
}

// readReply returns the reply in a message's data, or nil. It is what somebody claims.
func readReply(data json.RawMessage) *Reply {
	var r Reply
	if data == nil || json.Unmarshal(data, &r) != nil || r.Offset == "" || len(r.Offset) > maxOffset || r.Seq < 0 {
		return nil
	}
	r.Name = cut(Shown(r.Name), MaxName)
	r.Excerpt = cmp.Or(cut(oneLine(r.Excerpt), maxExcerpt), "…")
	return &r
}

// maxOffset bounds an offset in what others have written, in bytes.
const maxOffset = 200

// Quoted returns what is shown of the message that a reply answers. If that is here, it speaks for itself:
// whoever replies might put words into somebody's mouth. Own states that this user wrote it.
func (t *Timeline) Quoted(r *Reply) (name, excerpt string, own bool) {
	if e := t.byOffset(r.Offset); e != nil {
		return e.From.Name, e.Body.Excerpt(), e.Own
	}
	return r.Name, r.Excerpt, t.Self != "" && r.From == t.Self
}

func (t *Timeline) byOffset(offset string) *Entry {
	for i := len(t.entries) - 1; i >= 0; i-- {
		if t.entries[i].Offset == offset && t.entries[i].Kind == KindMessage {
			return t.entries[i]
		}
	}
	return nil
}
