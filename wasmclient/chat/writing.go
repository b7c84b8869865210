package chat

import (
	"encoding/json"
	"strings"
)

// writing is what is being written in a room beside its draft, as it is stored in the browser to survive a reload.
type writing struct {
	Owner    string  `json:"owner,omitempty"` // see the function
	Edit     *Edit   `json:"edit,omitempty"`
	Aside    []*Edit `json:"aside,omitempty"`
	Reply    *Reply  `json:"reply,omitempty"`
	ReplyKey string  `json:"replyKey,omitempty"`
}

// EncodeWriting returns the edits and the reply that are under way, for the browser's storage, or "" if there are
// none. What others have said is left out unless quotes may be stored.
func (r *Room) EncodeWriting(owner string, quotes bool) string {
	if r.Edit == nil && len(r.aside) == 0 && r.Reply == nil {
		return ""
	}
	stored := func(reply *Reply) *Reply {
		if reply == nil || quotes {
			return reply
		}
		return &Reply{Offset: reply.Offset, Seq: reply.Seq, From: reply.From}
	}
	edit := func(e *Edit) *Edit {
		if e == nil {
			return nil
		}
		copied := *e
		copied.Reply = stored(e.Reply)
		return &copied
	}
	w := writing{Owner: owner, Edit: edit(r.Edit), Reply: stored(r.Reply)}
	for _, e := range r.aside {
		w.Aside = append(w.Aside, edit(e))
	}
	if r.Reply != nil {
		w.ReplyKey = r.Reply.key
	}
	b, err := json.Marshal(w)
	if err != nil {
		return "" // cannot happen: strings and numbers
	}
	return string(b)
}

// RestoreWriting restores what EncodeWriting returned, if it is the same user's, and reports whether it did. What
// this page has begun stays as it is.
func (r *Room) RestoreWriting(text, owner string) bool {
	var w writing
	if r.Edit != nil || len(r.aside) > 0 || r.Reply != nil || json.Unmarshal([]byte(text), &w) != nil || w.Owner != owner {
		return false
	}
	if w.Edit.sound() {
		r.Edit = w.Edit
	}
	for _, e := range w.Aside {
		if e.sound() {
			r.aside = append(r.aside, e)
		}
	}
	if reply := w.Reply; reply != nil && reply.Offset != "" && len(reply.Offset) <= maxOffset {
		reply.key = w.ReplyKey
		r.Reply = reply
	}
	r.tellAside()
	return true
}

// sound reports whether an edit that was stored can be gone on with: an older page or another program may have
// stored it.
func (e *Edit) sound() bool {
	return e != nil && strings.HasPrefix(e.Key, "own/") && e.Offset != "" && len(e.Offset) <= maxOffset
}

// SettleReply has the reply under way quote its message as that is known now. There is none to a message that was
// deleted.
func (r *Room) SettleReply() {
	if r.Reply == nil {
		return
	}
	if e := r.Timeline.byOffset(r.Reply.Offset); e != nil && e.Annotations.Deleted {
		r.Reply = nil
	} else if e != nil {
		r.Reply = ReplyTo(e)
	}
}
