//go:build js && wasm

package main

import (
	"slices"
	"strconv"
	"syscall/js"

	"setu/wasmclient/chat"
)

// roomRow is a room's row in the list of rooms.
type roomRow struct {
	el, link js.Value
	badge    *label
	at       *label // counts those that speak to this user
	unread   int
	mentions int
	current  bool
}

// drawRooms updates the list of rooms, the current room's header and the title.
func (a *app) drawRooms() {
	v := a.view
	if names := a.rooms.Names(); !slices.Equal(names, v.roomOrder) {
		a.reconcileRooms(names)
	}
	elsewhere := false
	for _, r := range a.rooms.All {
		row, current, unread := v.roomRows[r.Name], r == a.rooms.Current, r.Timeline.Unread
		elsewhere = elsewhere || !current && unread > 0
		if current != row.current {
			row.current = current
			if current {
				setAttr(row.link, "aria-current", "page")
				row.el.Call("scrollIntoView", map[string]any{"block": "nearest"})
			} else {
				row.link.Call("removeAttribute", "aria-current")
			}
		}
		if mentions := r.Timeline.Mentions; unread != row.unread || mentions != row.mentions {
			row.unread, row.mentions = unread, mentions
			row.writeCounts(r.Shown())
		}
	}
	v.roomDot.show(elsewhere)
	name := "Setu"
	if a.rooms.Current != nil {
		name = a.rooms.Current.Shown()
	}
	v.roomTitle.write(name)
	v.roomShare.show(a.rooms.Current != nil)
	a.drawTitle()
}

// reconcileRooms adds and removes rows for rooms that have come or gone.
func (a *app) reconcileRooms(names []string) {
	v := a.view
	v.roomOrder = names
	keep := make(map[string]bool, len(names))
	for _, name := range names {
		keep[name] = true
		row := v.roomRows[name]
		if row == nil {
			row = a.newRoomRow(name)
			v.roomRows[name] = row
		}
		v.rooms.Call("append", row.el)
	}
	for name, row := range v.roomRows {
		if !keep[name] {
			row.el.Call("remove")
			delete(v.roomRows, name)
		}
	}
}

func (a *app) newRoomRow(name string) *roomRow {
	el := clone(a.view.room)
	link := el.Get("firstElementChild")
	setAttr(link, "href", chat.RoomAddress(name))
	setAttr(link, "data-room", name)
	shown := chat.Shown(name)
	setText(find(link, ".room-name"), shown)
	leave := find(el, ".leave")
	setAttr(leave, "data-leave", name)
	setAttr(leave, "aria-label", "Leave "+shown)
	setAttr(leave, "title", "Leave "+shown)
	return &roomRow{el: el, link: link, badge: &label{el: find(link, ".badge-all")}, at: &label{el: find(link, ".badge-at")}}
}

// writeCounts writes how many messages of a room are unread, and how many of those speak to this user.
func (r *roomRow) writeCounts(name string) {
	link := r.link
	setCount(link, "data-unread", r.unread)
	setCount(link, "data-mentions", r.mentions)
	if r.unread == 0 {
		link.Call("removeAttribute", "aria-label")
		return
	}
	r.badge.write(chat.Count(r.unread))
	name += ", " + chat.Count(r.unread) + " unread"
	if r.mentions > 0 {
		r.at.write("@" + chat.Count(r.mentions))
		name += ", " + chat.Count(r.mentions) + " for you"
	}
	setAttr(link, "aria-label", name)
}

// setCount sets an attribute to a number, or removes it if that is 0.
func setCount(el js.Value, name string, n int) {
	if n > 0 {
		setAttr(el, name, strconv.Itoa(n))
	} else {
		el.Call("removeAttribute", name)
	}
}
