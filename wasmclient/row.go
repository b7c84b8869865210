//go:build js && wasm

package main

import (
	"cmp"
	"strconv"
	"strings"
	"syscall/js"
	"time"

	"setu/wasmclient/chat"
)

// newRow returns a row with its element, without what may change later.
func (a *app) newRow(w chat.Row) *row {
	r := &row{Row: w}
	switch w.Kind {
	case chat.RowMessage:
		r.Entry = nil // so that the first update writes everything
		r.el = clone(a.view.message)
	case chat.RowDay:
		r.el = create("div", "row row-day", "")
	case chat.RowUnread:
		r.el = create("div", "row row-unread", "New")
	case chat.RowGap:
		r.el = create("div", "row row-gap", "Some messages may be missing here")
	case chat.RowStart:
		r.el = create("div", "row row-start", "This is where the room's history begins.")
	case chat.RowLoading:
		r.el = create("div", "row row-loading", "Loading earlier messages…")
	}
	return r
}

// updateRow updates a row's element to show w.
func (a *app) updateRow(r *row, w chat.Row, t *chat.Timeline, now time.Time) {
	switch w.Kind {
	case chat.RowDay:
		if name := a.clock.dayName(t, w.At, now); name != r.day {
			r.day = name
			setText(r.el, name)
		}
	case chat.RowMessage:
		if r.Row != w {
			a.updateMessage(r, w)
		}
	}
	r.Row = w
}

// updateMessage updates a message's element. Its text is written once, as only its state changes
// after that.
func (a *app) updateMessage(r *row, w chat.Row) {
	e := w.Entry
	r.el.Set("className", messageClass(w))
	if r.Entry == e && r.SameRevision(w) {
		return
	}
	setAttr(r.el, "data-id", e.ID)
	setAttr(r.el, "data-key", e.Key)
	setAttr(r.el, "data-state", stateName(e.State))
	stack := r.el.Get("lastElementChild")
	author := stack.Get("firstElementChild")
	bubble := author.Get("nextElementSibling")
	if r.Entry == nil || r.Entry.Body != e.Body {
		a.writeAuthor(r.el, author, e)
	}
	if folded := chat.IsLong(e.Body.Text) && !e.Unfolded; r.Entry == nil || r.Entry.Body != e.Body || folded != r.folded {
		r.folded = folded
		writeBody(bubble.Get("firstElementChild"), e.Body, folded)
	}
	a.writeTime(bubble.Get("lastElementChild").Get("firstElementChild"), e)
	a.writeFold(bubble, e)
	a.writeFailure(stack, e)
}

func messageClass(w chat.Row) string {
	class := "message"
	if w.Head {
		class += " head"
	}
	if w.Tail {
		class += " tail"
	}
	body := w.Entry.Body
	switch {
	case body.Text == "":
		class += " blank"
	case body.Raw:
		class += " raw"
	case chat.EmojiOnly(body.Text):
		class += " large"
	}
	if chat.IsLong(body.Text) && !w.Entry.Unfolded {
		class += " folded"
	}
	return class
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
	setText(author.Get("firstElementChild"), e.From.Name)
	mono := el.Get("firstElementChild")
	setMonogram(mono, e.From)
	if !e.From.Guest && author.Get("childElementCount").Int() == 1 {
		author.Call("append", create("span", "tag", "verified"))
	}
}

// blankMessage stands for a message of which nothing is seen.
const blankMessage = "(blank message)"

// writeBody writes a text, as text nodes and links alone.
func writeBody(el js.Value, body chat.Body, folded bool) {
	text := cmp.Or(body.Text, blankMessage)
	if folded {
		text = chat.Folded(text)
	}
	if body.Raw {
		setText(el, text)
		return
	}
	segments := chat.Segments(text)
	if len(segments) == 1 && segments[0].Href == "" {
		setText(el, segments[0].Text)
		return
	}
	setText(el, "")
	for _, s := range segments {
		shown := linkText(s)
		if shown == "" {
			appendText(el, s.Text)
			continue
		}
		link := create("a", "", shown)
		setAttr(link, "href", s.Href)
		setAttr(link, "rel", "noopener noreferrer nofollow")
		setAttr(link, "target", "_blank")
		el.Call("append", link)
	}
}

// linkText returns what is shown of a link: its address, in which a host that may pass for another
// one is encoded. It returns "" if s is no link, or leads nowhere.
func linkText(s chat.Segment) (text string) {
	if s.Href == "" {
		return ""
	}
	tryJS(func() {
		encoded := window.Get("URL").New(s.Href).Get("host").String()
		text = s.Text
		if host := chat.Host(s.Href); chat.LooksLikeAnother(host) {
			text = strings.Replace(s.Text, host, encoded, 1)
		}
	})
	return text
}

// writeTime shows when a message was stored, or that it is being sent.
func (a *app) writeTime(el js.Value, e *chat.Entry) {
	switch e.State {
	case chat.Pending:
		setText(el, "Sending…")
	case chat.Failed:
		setText(el, "") // the line below says so
	default:
		setText(el, a.clock.write(a.clock.time, e.At))
		setAttr(el, "title", a.clock.write(a.clock.full, e.At))
		setAttr(el, "datetime", time.UnixMilli(e.At).UTC().Format(time.RFC3339))
		setAttr(el, "data-at", strconv.FormatInt(e.At, 10))
	}
}

// writeFold adds the button that unfolds a long text.
func (a *app) writeFold(bubble js.Value, e *chat.Entry) {
	if !chat.IsLong(e.Body.Text) {
		return
	}
	button := find(bubble, ".unfold")
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
	line := find(stack, ".failed")
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
