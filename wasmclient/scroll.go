//go:build js && wasm

package main

import (
	"strconv"

	"setu/wasmclient/chat"
)

const (
	// nearEnd is how far from the end one still counts as being there.
	nearEnd = 100
	// nearEdge is how far from the document's first or last row more is put in.
	nearEdge = 800
)

// scrollTo scrolls, and remembers that it was this program that did.
func (v *view) scrollTo(top float64) {
	v.messages.Set("scrollTop", top)
	v.place = v.messages.Get("scrollTop").Float()
}

// onScroll follows the reader. The program's own scrolling is none of his.
func (a *app) onScroll() {
	v := a.view
	top := v.messages.Get("scrollTop").Float()
	distance := v.messages.Get("scrollHeight").Float() - top - v.messages.Get("clientHeight").Float()
	byProgram := top-v.place < 1.5 && v.place-top < 1.5
	if !byProgram {
		v.place = -10 // nowhere: from here on every scroll is the reader's
	}
	if r := a.rooms.Current; r != nil {
		atEnd := distance <= nearEnd && r.Timeline.AtEnd()
		if atEnd || !byProgram {
			v.stick = atEnd
			r.Timeline.Follow(atEnd)
		}
	}
	a.drawEdges()
}

// onResize keeps the end in view as the list or the room for it changes: the
// keyboard of a phone, a late font, a composer that grows.
func (a *app) onResize() {
	v := a.view
	if v.stick && len(v.list.rows) > 0 {
		v.scrollTo(v.messages.Get("scrollHeight").Float())
	}
	a.drawEdges()
}

// drawEdges looks at what lies beyond the part in view: more messages to bring
// in, whether all is read, and the ways to the end.
func (a *app) drawEdges() {
	v, r := a.view, a.rooms.Current
	if r == nil {
		v.newerOn.show(false)
		v.toEnd.show(false)
		return
	}
	top := v.messages.Get("scrollTop").Float()
	height := v.messages.Get("clientHeight").Float()
	below := v.messages.Get("scrollHeight").Float() - top - height
	if top < nearEdge && !v.list.fresh {
		if r.Timeline.Older() {
			a.touch(partList)
		}
		if r.Entered && r.Refused == "" && r.Timeline.WantsOlder() && a.pill.Status == chat.Connected {
			a.older(r)
		}
	}
	if below < nearEdge && !r.Timeline.AtEnd() && r.Timeline.Newer() {
		a.touch(partList)
	}
	a.drawRead(r)
	unread := r.Timeline.Unread
	if unread > 0 {
		v.newer.write(chat.Count(unread) + " new ↓")
		setAttr(v.newer.el, "aria-label", strconv.Itoa(unread)+" new, go to the end")
	}
	v.newerOn.show(unread > 0 && !a.looking(r))
	v.toEnd.show(unread == 0 && (below > height || !r.Timeline.AtEnd()))
}

// drawRead notes what the reader has seen by now.
func (a *app) drawRead(r *chat.Room) {
	if !a.looking(r) || !r.Entered {
		return
	}
	had := r.Timeline.Unread
	if r.Read() {
		a.keep.set(keepSeen+r.Name, strconv.FormatInt(r.Seen, 10))
	}
	if had > 0 {
		a.touch(partRooms)
		a.view.newerOn.show(false)
	}
}

// toEnd goes to the newest message.
func (a *app) toEnd() {
	if r := a.rooms.Current; r != nil {
		r.Timeline.ToEnd()
		a.view.stick = true
		a.touch(partList)
	}
}

// drawEmpty says what to do where there is nothing to read.
func (a *app) drawEmpty() {
	v, r := a.view, a.rooms.Current
	title, text, share := "", "", false
	switch {
	case r == nil:
		title, text = "No room is open", "Join one, or open a new one, in the list of rooms."
	case r.Refused != "":
		title, text = "You can't enter "+r.Name, "The relay says: "+r.Refused+"."
	case !r.Timeline.Empty():
	case !r.Entered:
		title, text = "Entering "+r.Name+"…", ""
	default:
		title, text = "Nobody has written here yet", "Write the first message, or share the link to bring somebody over."
		share = true
	}
	v.foot.show(r != nil)
	v.emptyTitle.write(title)
	v.emptyText.write(text)
	v.emptyShare.show(share)
	v.empty.show(title != "")
}
