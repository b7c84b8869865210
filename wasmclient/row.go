//go:build js && wasm

package main

import (
	"strconv"
	"syscall/js"
	"time"

	"setu/wasmclient/chat"
)

// newRow returns a row with its element, without what may change later.
func (a *app) newRow(w chat.Row) *row {
	r := &row{Row: w}
	switch w.Kind {
	case chat.RowMessage:
		r.Entry, r.Way, r.Unsaved = nil, "", "" // so that the first update writes everything
		r.el = a.view.message.Call("cloneNode", true)
	case chat.RowDay:
		r.el = create("div", "row row-day", "")
	case chat.RowUnread:
		r.el = create("div", "row row-unread", "New")
	case chat.RowGap:
		r.el = create("div", "row row-gap", "")
	case chat.RowStart:
		r.el = create("div", "row row-start", "")
	case chat.RowNote:
		r.el = create("div", "row row-note", "")
	case chat.RowLoading:
		r.el = create("div", "row row-loading", "Loading earlier messages…")
	}
	return r
}

// updateRow updates a row's element to show w.
func (a *app) updateRow(r *row, w chat.Row, t *chat.Timeline, now time.Time) {
	switch w.Kind {
	case chat.RowDay:
		r.write(a.clock.dayName(t, w.At, now))
	case chat.RowGap, chat.RowStart, chat.RowNote:
		r.write(w.Text)
	case chat.RowMessage:
		if r.Row != w {
			a.updateMessage(r, w, t)
			updateWay(r, w)
			updateUnsaved(r, w)
		}
	}
	r.Row = w
}

// write sets the text of a row that is no message.
func (r *row) write(text string) {
	if text != r.text {
		r.text = text
		setText(r.element(), text)
	}
}

// updateMessage updates a message's element. Its text is written once, and again if it is edited or
// deleted.
func (a *app) updateMessage(r *row, w chat.Row, t *chat.Timeline) {
	e := w.Entry
	el := r.element()
	el.Set("className", w.Class())
	if r.Entry == e && r.SameRevision(w) {
		return
	}
	setAttr(el, "data-id", e.ID)
	setAttr(el, "data-key", e.Key)
	setAttr(el, "data-state", stateName(e.State))
	stack := el.Get("lastElementChild")
	author := stack.Get("firstElementChild")
	bubble := author.Get("nextElementSibling")
	anew := r.Entry == nil || e.SaysAnew(r.Entry)
	if anew {
		a.writeAuthor(el, author, e)
	}
	if folded := e.Body.Long() && !e.Unfolded; anew || folded != r.folded {
		r.folded = folded
		if r.Entry != nil && r.Entry.State == chat.Stored {
			setAttr(bubble, "aria-live", "off") // that it says something else now is no new message
		}
		a.writeBody(bubble, find(bubble, ".text"), e, t, folded)
	}
	meta := bubble.Get("lastElementChild")
	a.writeTime(meta.Get("firstElementChild"), e)
	a.writeEdited(meta, e)
	a.writeReactions(bubble, e)
	a.writeLabel(el, e)
	tellAnnotations(el, e)
	a.tellWay(el, bubble, e)
	a.writeFold(bubble, e)
	if r.Entry != nil || e.State == chat.Failed {
		a.writeFailure(stack, e)
	}
}

func stateName(s chat.State) string {
	switch s {
	case chat.Pending:
		return "pending"
	case chat.Failed:
		return "failed"
	}
	return "sent"
}

func (a *app) writeAuthor(el, author js.Value, e *chat.Entry) {
	if e.Own {
		setAttr(el, "data-own", "true")
		setText(author.Get("firstElementChild"), "You")
		return
	}
	setAttr(el, "data-author", e.From.ID)
	if e.From.At != "" {
		setAttr(author, "title", e.From.PlaceTitle())
		setAttr(el.Get("firstElementChild"), "title", e.From.PlaceTitle())
	}
	setText(author.Get("firstElementChild"), e.From.Name)
	mono := el.Get("firstElementChild")
	setMonogram(mono, e.From)
	if !e.From.Guest && author.Get("childElementCount").Int() == 1 {
		author.Call("append", create("span", "tag", "verified"))
	}
}

// writeTime shows when a message was stored, or that it is being sent.
func (a *app) writeTime(el js.Value, e *chat.Entry) {
	switch e.State {
	case chat.Pending:
		setText(el, "Sending…")
	case chat.Failed:
		setText(el, "") // the line below says so
	default:
		setText(el, a.clock.short(e.At))
		setAttr(el, "title", a.clock.long(e.At))
		setAttr(el, "datetime", chat.ISOTime(e.At))
		setAttr(el, "data-at", strconv.FormatInt(e.At, 10))
	}
}

// writeLabel names a message for screen readers: its author, and when it was written.
func (a *app) writeLabel(el js.Value, e *chat.Entry) {
	author := e.From.Name
	if e.Own {
		author = "You"
	}
	when := "sending"
	switch e.State {
	case chat.Failed:
		when = "not sent"
	case chat.Stored, chat.Acked:
		when = a.clock.short(e.At)
	}
	setAttr(el, "aria-label", author+", "+when)
}

// writeFold adds the button that unfolds a long text.
func (a *app) writeFold(bubble js.Value, e *chat.Entry) {
	button := find(bubble, ".unfold")
	if !e.Body.Long() {
		if !button.IsNull() { // it was longer before it was edited
			button.Call("remove")
		}
		return
	}
	if button.IsNull() {
		button = create("button", "unfold text-button", "")
		button.Set("type", "button")
		setAttr(button, "data-do", "unfold")
		bubble.Call("insertBefore", button, bubble.Get("lastElementChild"))
	}
	if e.Unfolded {
		setText(button, "Show less")
	} else {
		setText(button, "Show all")
	}
}

// writeFailure adds or removes the line that says why a message was not sent, with its buttons.
func (a *app) writeFailure(stack js.Value, e *chat.Entry) {
	line := find(stack, ".failed:not(.unsaved)")
	if e.State != chat.Failed {
		if !line.IsNull() {
			line.Call("remove")
		}
		return
	}
	if line.IsNull() {
		line = clone(a.view.failed)
		stack.Call("append", line)
	}
	setText(line.Get("firstElementChild"), "Not sent: "+e.Reason)
}
