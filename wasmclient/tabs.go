//go:build js && wasm

package main

import (
	"strings"
	"syscall/js"

	"setu/wasmclient/chat"
)

// All tabs of a browser are one person's: they have the same rooms, the same name, and have read the same.
// What one stores the others take over.

// onStorage is called when another tab has stored something.
func (a *app) onStorage(event js.Value) {
	key := event.Get("key")
	if key.Type() != js.TypeString {
		return // all was removed; this tab keeps what it has
	}
	switch name := key.String(); name {
	case itemRooms:
		a.takeRooms()
	case itemName:
		a.takeName()
	default:
		if room, ok := strings.CutPrefix(name, itemSeen); ok {
			a.takeSeen(room)
		}
	}
}

// takeRooms joins the rooms that another tab has joined, and leaves those that it has left.
func (a *app) takeRooms() {
	come, gone := a.rooms.Differ(chat.DecodeRooms(a.storage.get(itemRooms)))
	for _, name := range come {
		a.openRoom(a.addRoom(name))
	}
	for _, r := range gone {
		open := r == a.rooms.Current
		a.drop(r, "replaceState")
		if open {
			a.toast(chat.LeftText(r.Shown(), r.Timeline.Unsent()))
		}
	}
	a.invalidate(partRooms)
}

// takeName takes over the name that another tab has given. The relay may have done so already; if not, it
// takes a new connection.
func (a *app) takeName() {
	name := chat.CleanName(a.storage.get(itemName))
	if name == "" || name == a.name || a.signIn.token != "" || a.signIn.required {
		return
	}
	a.name = name
	first := a.client == nil
	a.connect()
	if first && a.dialogOpen() {
		byID("name-dialog").Call("close")
	}
	a.invalidate(partPeople)
}

// takeSeen takes over how far another tab has read a room.
func (a *app) takeSeen(room string) {
	r := a.rooms.Find(room)
	if r == nil || !r.SeenElsewhere(chat.DecodeSeen(a.storage.get(itemSeen+room))) {
		return
	}
	if r != a.rooms.Current {
		r.Timeline.CloseDivider()
	}
	a.invalidate(partRooms | partList)
}
