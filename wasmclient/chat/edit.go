package chat

import "slices"

// Edit is a message of this user's that is being edited. The browser stores it beside the room's draft.
type Edit struct {
	Key     string `json:"key"`
	Offset  string `json:"offset"`
	Seq     int64  `json:"seq"`
	Excerpt string `json:"excerpt"` // of what it says
	Was     string `json:"was"`     // what it said when the edit began
	Text    string `json:"text"`    // as it is being written
	Reason  string `json:"reason,omitempty"`

	// What the message says beside its text, for when it is too far up to be known on this page.
	Reply    *Reply   `json:"reply,omitempty"`
	Mentions []Person `json:"mentions,omitempty"`

	Sending bool `json:"-"` // the relay has been asked
}

// SavingEdit is what is shown of an edit that the relay has been asked for.
const SavingEdit = "Saving your edit…"

// state returns what is shown of an edit while something else is written.
func (e *Edit) state() string {
	switch {
	case e.Sending:
		return SavingEdit
	case e.Reason != "":
		return "Edit not saved: " + e.Reason
	}
	return "Edit not saved"
}

// changed reports whether an edit has words that would be missed.
func (e *Edit) changed() bool {
	text := Clean(e.Text)
	return text != "" && text != Clean(e.Was)
}

// BeginEdit begins to edit a message, or goes on with that, and returns its text; ok is false if this user
// can't. Another edit is set aside.
func (r *Room) BeginEdit(key string) (text string, ok bool) {
	e := r.Timeline.Find(key)
	if !e.Editable() {
		return "", false
	}
	r.SetEditAside()
	at := slices.IndexFunc(r.aside, func(a *Edit) bool { return a.Key == key })
	if at >= 0 {
		r.Edit = r.aside[at]
		r.aside = slices.Delete(r.aside, at, at+1)
		r.tellAside()
		return r.Edit.Text, true
	}
	r.Edit = &Edit{Key: key, Offset: e.Offset, Seq: e.Seq, Excerpt: e.Body.Excerpt(), Was: e.Body.Written(), Text: e.Body.Written(),
		Reply: e.Body.Reply, Mentions: e.Body.Mentions}
	return r.Edit.Text, true
}

// SetEditAside ends an edit for something else to be written. Its words are kept at the message, unless there
// are none that would be missed; it reports whether they are, and the relay has not been asked for them.
func (r *Room) SetEditAside() (unsaved bool) {
	edit := r.Edit
	if r.Edit = nil; edit == nil || !edit.Sending && !edit.changed() {
		return false
	}
	r.aside = append(r.aside, edit)
	r.tellAside()
	return !edit.Sending
}

// DropAside gives the edit of a message up that was set aside.
func (r *Room) DropAside(key string) {
	r.aside = slices.DeleteFunc(r.aside, func(e *Edit) bool { return e.Key == key })
	r.tellAside()
}

// tellAside has the timeline show at the messages which edits are set aside.
func (r *Room) tellAside() {
	r.Timeline.unsaved = nil
	for _, e := range r.aside {
		if r.Timeline.unsaved == nil {
			r.Timeline.unsaved = make(map[string]string)
		}
		r.Timeline.unsaved[e.Key] = e.state()
	}
}

// Edited returns what the message that is being edited is to say, and where it is. ok is false if it is no
// longer there.
func (r *Room) Edited(text string) (body *Body, offset string, ok bool) {
	edit := r.Edit
	if r.isGone(edit) {
		return nil, "", false
	}
	body = &Body{Text: text, Reply: edit.Reply}
	offset, mentions := edit.Offset, edit.Mentions
	if e := r.Timeline.Find(edit.Key); e != nil {
		body.Reply, offset, mentions = e.Body.Reply, e.Offset, e.Body.Mentions
	}
	people := r.Known()
	for _, p := range mentions { // who has gone meanwhile stays meant
		if !slices.ContainsFunc(people, func(u User) bool { return u.ID == p.ID }) {
			people = append(people, User{ID: p.ID, Name: p.Name})
		}
	}
	body.Mentions = MentionsIn(text, people)
	return body, offset, true
}

// Says reports whether the message of an edit says a text already, as far as is known.
func (r *Room) Says(edit *Edit, text string) bool {
	e := r.Timeline.Find(edit.Key)
	return e.Editable() && Clean(e.Body.Text) == Clean(text)
}

// isGone reports whether it is known that the message of an edit is not there, or can't be edited any more.
func (r *Room) isGone(edit *Edit) bool {
	t := r.Timeline
	e := t.Find(edit.Key)
	if e != nil || !r.Entered {
		return e != nil && !e.Editable()
	}
	if slices.ContainsFunc(t.entries, func(e *Entry) bool { return e.Kind == KindGap }) {
		return false // it may be in there
	}
	return !t.More || len(t.entries) > 0 && t.entries[0].Seq <= edit.Seq
}

// EditAnswered applies the relay's answer to an edit whose text was sent: reason is why it was refused, or "". It
// reports whether the edit is over; what was written on meanwhile is not.
func (r *Room) EditAnswered(edit *Edit, sent, reason string) (over bool) {
	edit.Sending, edit.Reason = false, reason
	if reason == "" {
		edit.Was = sent
	}
	over = reason == "" && !edit.changed()
	if over && r.Edit == edit {
		r.Edit = nil
	}
	r.aside = slices.DeleteFunc(r.aside, func(e *Edit) bool { return e == edit && over })
	r.tellAside()
	return over
}

// IsAside reports whether an edit is set aside.
func (r *Room) IsAside(edit *Edit) bool { return slices.Contains(r.aside, edit) }

// SettleEdits compares the edits with what is known now. One that the message says already is over: it was stored
// without a word to this page. The words of one whose message is gone are returned, to be a draft.
func (r *Room) SettleEdits() (words string) {
	over := func(e *Edit) bool {
		switch {
		case e.Sending:
			return false
		case r.isGone(e):
			if e.changed() {
				words = Joined(words, e.Text)
			}
			return true
		}
		return e.changed() && r.Says(e, e.Text)
	}
	if r.Edit != nil && over(r.Edit) {
		r.Edit = nil
	}
	r.aside = slices.DeleteFunc(r.aside, over)
	r.tellAside()
	return words
}

// Joined returns two texts as one, of which neither is lost.
func Joined(text, more string) string {
	switch {
	case text == "" || text == more:
		return more
	case more == "":
		return text
	}
	return text + "\n\n" + more
}
