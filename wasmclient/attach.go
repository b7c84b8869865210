//go:build js && wasm

package main

import (
	"cmp"
	"strings"
	"syscall/js"

	"setu/wasmclient/chat"
)

// attachView is what goes with the message that is being written: a picture, and the message that it answers.
type attachView struct {
	attachment *toggle
	attached   js.Value
	alt        js.Value
	attach     js.Value
	attachedIs *chat.Picture // the one that is shown

	replyOn   *toggle
	replyName *label
	replyText *label

	editingOn   *toggle
	editingText *label
	editingOf   *label
}

// listenPictures lets public/page.js ask what to do with a file, by its first bytes and its size, and takes
// the picture that has come of it.
func (a *app) listenPictures() {
	window.Set("setuLook", js.FuncOf(func(_ js.Value, arguments []js.Value) any {
		said := chat.Look(bytesOf(arguments[0]), arguments[1].Int())
		if said == "" || said == chat.AsItIs {
			a.withLock(a.beginPicture)
		}
		return said
	}))
	a.on(window, "setu-picture", a.onPicture)
}

// beginPicture notes that a picture is prepared for the open room: that may take a while, and somebody may go
// to another one meanwhile, or send.
func (a *app) beginPicture() {
	if a.picturing = a.rooms.Current; a.picturing != nil {
		a.picturing.Preparing = true
		a.announce(chat.PreparingText)
		a.invalidate(partComposer)
	}
}

// endPicture returns the room for which the picture was prepared, or nil, and whether its message is to be
// sent now.
func (a *app) endPicture() (r *chat.Room, send bool) {
	if r = a.picturing; r == nil {
		return nil, false
	}
	send = r.SendPrepared && r == a.rooms.Current
	a.picturing, r.Preparing, r.SendPrepared = nil, false, false
	a.invalidate(partComposer)
	return r, send
}

func (a *app) onPicture(event js.Value) {
	detail := event.Get("detail")
	r, send := a.endPicture()
	if detail.Type() == js.TypeString {
		a.toast(detail.String())
		return
	}
	picture := chat.PictureOf(bytesOf(detail))
	if r == nil || picture == nil || !a.rooms.Has(r) || !r.MayWrite() {
		return
	}
	if r.Edit != nil {
		a.toast("A picture can’t be added to a message that is edited")
		return
	}
	r.Attached = picture
	a.announce("Picture added, " + chat.Size(len(picture.Data)))
	a.invalidate(partComposer)
	if a.focusUnlessTouch(); send {
		a.drawAttached() // whose description is empty
		a.submit()
	}
}

func bytesOf(array js.Value) []byte {
	b := make([]byte, array.Length())
	js.CopyBytesToGo(b, array)
	return b
}

// drawAttached shows what goes with the message that is being written: the message that it answers, and a
// picture.
func (a *app) drawAttached() {
	v, r := a.view, a.rooms.Current
	if r != nil && r.Aim() {
		a.invalidate(partList)
	}
	if r == nil {
		v.replyOn.show(false)
		v.attachment.show(false)
		v.editingOn.show(false)
		return
	}
	a.drawEditing(r)
	if r.Reply != nil {
		name := r.Reply.Name
		if r.Reply.From == a.self.ID {
			name = "yourself"
		}
		v.replyName.write(cmp.Or(name, "a message")) // of which nothing is stored
		v.replyText.write(r.Reply.Excerpt)
	}
	v.replyOn.show(r.Reply != nil && r.Edit == nil)
	if r.Attached != v.attachedIs {
		if old := v.attachedIs; old != nil { // of another room, or sent
			old.Alt = strings.TrimSpace(v.alt.Get("value").String())
		}
		v.attachedIs = r.Attached
		if r.Attached != nil {
			setPicture(v.attached, r.Attached, 44, 44)
			v.alt.Set("value", r.Attached.Alt)
		}
	}
	v.attachment.show(r.Attached != nil && r.Edit == nil)
}

// drawEditing says that what is written replaces what a message says.
func (a *app) drawEditing(r *chat.Room) {
	v := a.view
	if r.Edit != nil {
		text := "Editing"
		if r.Edit.Sending {
			text = "Saving…"
		}
		v.editingText.write(text)
		v.editingOf.write(r.Edit.Excerpt)
	}
	v.editingOn.show(r.Edit != nil)
}

// takeAttached returns what goes with the message that is being written, and takes it from there.
func (a *app) takeAttached(text string) *chat.Body {
	r := a.rooms.Current
	body := &chat.Body{Text: text, Reply: r.Reply, Mentions: chat.MentionsIn(text, r.Known())}
	if r.Attached != nil {
		body.Kind, body.Picture = chat.BodyPicture, r.Attached
		body.Picture.Alt = strings.TrimSpace(a.view.alt.Get("value").String())
	}
	r.Reply, r.Attached = nil, nil
	return body
}

// openPicture shows a message's picture as large as goes.
func (a *app) openPicture(e *chat.Entry) {
	if e == nil || e.Body.Kind != chat.BodyPicture {
		return
	}
	p, dialog := e.Body.Picture, byID("picture-dialog")
	setPicture(byID("picture"), p, p.Width, p.Height)
	setText(byID("picture-text"), cmp.Or(p.Alt, e.From.Name))
	setAttr(dialog, "data-key", e.Key)
	dialog.Call("showModal")
	dialog.Call("querySelector", "[data-do=close-picture]").Call("focus")
}

// saveFile has the browser store an attachment as a file. It is no page's file, and is opened by nothing here.
func (a *app) saveFile(e *chat.Entry, n int) {
	var content []byte
	name := "attachment.bin"
	switch {
	case e == nil:
		return
	case e.Body.Picture != nil:
		content, name = e.Body.Picture.Data, "picture."+strings.TrimPrefix(e.Body.Picture.Type, "image/")
	case n >= 0 && n < len(e.Body.Files):
		content = e.Body.Files[n]
	default:
		return
	}
	array := window.Get("Uint8Array").New(len(content))
	js.CopyBytesToJS(array, content)
	window.Call("setuSave", array, name)
}

// dropAttached takes the reply or the picture from the message that is being written, or ends an edit.
func (a *app) dropAttached(what string) {
	if r := a.rooms.Current; r != nil {
		switch what {
		case "no-edit":
			a.endEdit(r)
		case "no-reply":
			r.Reply = nil
		default:
			r.Attached = nil
		}
		a.invalidate(partComposer)
		a.focusUnlessTouch()
	}
}
