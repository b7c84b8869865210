//go:build js && wasm

package main

import (
	"context"

	"setu/relay/client"
	"setu/wasmclient/chat"
)

// beginEdit puts a message of this user's into the composer. What was being written stays stored, as the
// room's draft, or at the message that was edited.
func (a *app) beginEdit(r *chat.Room, key string) {
	a.saveDraft()
	text, ok := r.BeginEdit(key)
	if !ok {
		a.settleEdits(r)
		return
	}
	a.setComposer(text)
	a.announce("Editing your message")
	a.focusComposer()
	a.invalidate(partList)
}

// setEditAside ends an edit for something else to be written. Its words are kept.
func (a *app) setEditAside(r *chat.Room) {
	a.saveDraft()
	if r.SetEditAside() {
		a.toast("Your edit is not saved. It is kept at its message.")
	}
	a.loadDraft()
	a.invalidate(partList)
}

// endEdit brings what was being written back into the composer.
func (a *app) endEdit(r *chat.Room) {
	r.Edit = nil
	a.saveWriting(r)
	if r == a.rooms.Current {
		a.loadDraft()
	}
}

// dropAside gives up what was written of an edit that was set aside.
func (a *app) dropAside(r *chat.Room, key string) {
	r.DropAside(key)
	a.saveWriting(r)
	a.announce("Edit discarded")
	a.invalidate(partList)
}

// submitEdit sends what the edited message is to say. If that is refused the text stays where it is; if the
// message is gone it is a draft from then on.
func (a *app) submitEdit(r *chat.Room, text string) {
	edit := r.Edit
	body, offset, ok := r.Edited(text)
	switch {
	case edit.Sending:
		return
	case !ok:
		a.endEdit(r)
		a.addToDraft(r, text)
		a.toast("Not edited: the message is no longer there")
		return
	case r.Says(edit, text):
		a.endEdit(r)
		return
	}
	data, attachments := body.Encode()
	edit.Sending = a.annotate(question{
		room: r, refused: "Not edited", late: "Not edited yet", next: "What you wrote is kept: save it when there is one.",
		ask: func(ctx context.Context, c *client.Client) (client.Annotated, error) {
			return c.EditMessage(ctx, r.Name, offset, data, attachments)
		},
		then: func(err error) { a.onEdited(r, edit, text, err) },
	})
	a.invalidate(partComposer)
}

// onEdited handles the relay's answer to an edit. Meanwhile it may have been written on, set aside or given up.
func (a *app) onEdited(r *chat.Room, edit *chat.Edit, text string, err error) {
	a.saveDraft()
	why, current := "", r.Edit == edit
	if err != nil {
		why = reason(err)
	}
	over, aside := r.EditAnswered(edit, text, why), r.IsAside(edit)
	switch {
	case err == nil:
		a.announce("Message edited")
	case aside:
		a.toast("Not edited: " + why + ". What you wrote is kept at the message.")
	}
	if over && current {
		a.endEdit(r)
	}
	if err != nil {
		a.settleEdits(r)
	}
	a.saveWriting(r)
	a.invalidate(partComposer | partList)
}

// settleEdits compares the edits and the reply under way with what is known now of their messages. What was
// written for one that is gone becomes a draft.
func (a *app) settleEdits(r *chat.Room) {
	a.saveDraft()
	before := r.Edit
	words := r.SettleEdits()
	r.SettleReply()
	if r.Edit != before {
		a.endEdit(r)
	}
	if words != "" {
		a.addToDraft(r, words)
		a.toast("The message that you edited is no longer there. What you wrote is a draft now.")
	}
	a.saveWriting(r)
	a.invalidate(partComposer | partList)
}

// addToDraft adds words to what is being written in a room.
func (a *app) addToDraft(r *chat.Room, words string) {
	shown := r == a.rooms.Current && r.Edit == nil
	draft := a.storage.get(itemDraft + r.Name)
	if shown {
		draft = a.composerText()
	}
	draft = chat.Joined(draft, words)
	a.storeDraft(r.Name, draft)
	if shown {
		a.setComposer(draft)
	}
}

// saveWriting stores the edits and the reply that are under way, if they are others than this page has stored: the
// other tabs have theirs. A guest's may quote what others have said; where it takes a token to read that, nothing of
// it stays in the browser.
func (a *app) saveWriting(r *chat.Room) {
	text := r.EncodeWriting(a.owner(), a.keepsScreens())
	if text != a.writing[r.Name] {
		a.writing[r.Name] = text
		a.storage.set(itemWriting+r.Name, text)
	}
}

// restoreWriting restores what an earlier page has stored of a room. What has been typed since then is the draft.
func (a *app) restoreWriting(r *chat.Room) {
	text := a.storage.get(itemWriting + r.Name)
	if !r.RestoreWriting(text, a.owner()) {
		return
	}
	a.writing[r.Name] = text
	a.invalidate(partComposer | partList)
	if r != a.rooms.Current || r.Edit == nil {
		return
	}
	if a.composerText() != a.storage.get(itemDraft+r.Name) {
		r.SetEditAside()
		return
	}
	a.loadDraft()
	a.announce("Editing your message")
}

// updateUnsaved shows below a message how an edit of it stands that is set aside.
func updateUnsaved(r *row, w chat.Row) {
	if r.Unsaved == w.Unsaved {
		return
	}
	stack := r.element().Get("lastElementChild")
	line := find(stack, ".unsaved")
	if w.Unsaved == "" {
		if !line.IsNull() {
			line.Call("remove")
		}
		return
	}
	if line.IsNull() {
		line = clone(byID("unsaved-template"))
		stack.Call("append", line)
	}
	setFlag(line, "data-saving", w.Unsaved == chat.SavingEdit)
	children := line.Get("children")
	setText(children.Index(0), w.Unsaved)
	for i := 1; i < children.Length(); i++ {
		show(children.Index(i), w.Unsaved != chat.SavingEdit)
	}
}
