//go:build js && wasm

package main

import (
	"setu/wasmclient/chat"
)

// takePlace has the message shown to which the page's address leads, if it leads to one.
func (a *app) takePlace() {
	place := chat.TargetAt(window.Get("location").Get("hash").String())
	if r := a.rooms.Current; r != nil && place != (chat.Target{}) {
		a.seek(r, place)
	}
}

// seek shows a message of the open room, which may have to be requested first.
func (a *app) seek(r *chat.Room, place chat.Target) {
	r.Timeline.Seek(place)
	if r.Entered {
		a.goSought(r)
	}
}

// goSought goes on to the message that is sought, by the pages of the history before it.
func (a *app) goSought(r *chat.Room) {
	t := r.Timeline
	switch {
	case !t.WantsSought():
		a.showSought(r)
	case !t.Seeking:
		t.Seeking = true
		if !t.Loading {
			a.loadOlder(r)
		}
	}
}

// showSought brings the message that was sought into view, or says that it is not there.
func (a *app) showSought(r *chat.Room) {
	if r != a.rooms.Current || !r.Timeline.Sought() {
		return
	}
	key, beside := r.Timeline.ShowSought()
	if key == "" {
		a.toast("That message is no longer kept")
	}
	if beside != "" {
		a.view.toKey = beside
		a.invalidate(partList)
	}
}

// scrollToRow puts a row into the upper part of the view, which no longer stays at the end, and moves the
// focus to it, if it is the message to which a link or a quote leads.
func (a *app) scrollToRow(key string) {
	v := a.view
	v.followEnd = false
	a.rooms.Current.Timeline.Follow(false)
	row := v.list.byKey[key]
	if row == nil {
		return
	}
	top := topOf(row.element()) - topOf(v.messages) + v.messages.Get("scrollTop").Float()
	v.scrollTo(max(0, top-v.messages.Get("clientHeight").Float()/4))
	if row.Mark {
		setAttr(row.element(), "tabindex", "-1") // no tab stop, but where the keys go on from
		focusOn(row.element())
	}
}
