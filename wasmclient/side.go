//go:build js && wasm

package main

import (
	"cmp"
	"slices"
	"strconv"
	"syscall/js"
	"time"

	"setu/wasmclient/chat"
)

// roomRow is a room's row in the list of rooms.
type roomRow struct {
	el, link js.Value
	badge    *label
	unread   int
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
		if unread == row.unread {
			continue
		}
		row.unread = unread
		if unread > 0 {
			row.badge.write(chat.Count(unread))
			setAttr(row.link, "data-unread", strconv.Itoa(unread))
			setAttr(row.link, "aria-label", r.Shown()+", "+chat.Count(unread)+" unread")
		} else {
			row.link.Call("removeAttribute", "data-unread")
			row.link.Call("removeAttribute", "aria-label")
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
	return &roomRow{el: el, link: link, badge: &label{el: find(link, ".badge")}}
}

// drawPeople updates the list of people, and this user's own entry.
func (a *app) drawPeople(now time.Time) {
	v := a.view
	a.drawSelf()
	r := a.rooms.Current
	if r == nil || !r.Entered {
		v.peopleOn.show(false)
		v.peopleTitle.write("Here now")
		v.peopleNote.write("")
		a.replacePeople(nil)
		return
	}
	_, next := r.People.ApplyDue(now)
	a.redrawAt(next)
	number := r.People.Number()
	v.peopleOn.show(true)
	v.peopleCount.write(strconv.Itoa(number))
	v.peopleTitle.write("Here now · " + strconv.Itoa(number))
	list := r.People.List(a.self.ID)
	note := ""
	switch {
	case r.Denied.Members:
		note = "You may not see who is here."
	case !r.People.Known() && number > 0:
		note = "This room is too large to list everyone."
	case len(list) == 1 && list[0].ID == a.self.ID:
		note = "Nobody else yet. Share the link."
	}
	v.peopleNote.write(note)
	a.replacePeople(list)
}

// maxPeople bounds the rows of the list of people.
const maxPeople = 200

func (a *app) replacePeople(list []chat.User) {
	v := a.view
	if len(list) > maxPeople {
		list = list[:maxPeople]
	}
	rows := make([]string, len(list))
	for i, u := range list {
		rows[i] = u.ID + " " + u.Name
	}
	if slices.Equal(rows, v.peopleRows) {
		return
	}
	v.peopleRows = rows
	fragment := document.Call("createDocumentFragment")
	for _, u := range list {
		el := clone(v.person)
		setAttr(el, "data-user", u.ID)
		setMonogram(el.Get("firstElementChild"), u)
		setText(find(el, "bdi"), u.Name)
		setText(find(el, ".person-note"), a.personNote(u))
		fragment.Call("append", el)
	}
	v.people.Call("replaceChildren", fragment)
}

// personNote returns the note beside a name. It distinguishes verified users from guests, who may
// take any name.
func (a *app) personNote(u chat.User) string {
	switch {
	case u.ID == a.self.ID:
		return "you"
	case u.Guest:
		return "guest"
	}
	return "verified"
}

func setMonogram(el js.Value, u chat.User) {
	el.Set("className", "mono h"+strconv.Itoa(chat.Hue(u.ID)))
	setText(el, chat.Monogram(u.Name))
}

func (a *app) drawSelf() {
	v := a.view
	v.meName.write(cmp.Or(a.self.Name, cmp.Or(a.name, "You")))
	note := ""
	if a.self.ID != "" {
		note = "Guest"
		if !a.self.Guest {
			note = "Verified"
		}
	}
	v.meNote.write(note)
	if key := a.self.ID + " " + a.self.Name; key != v.meKey {
		v.meKey = key
		setMonogram(v.meMono, chat.User{ID: a.self.ID, Name: cmp.Or(a.self.Name, cmp.Or(a.name, "?"))})
	}
}
