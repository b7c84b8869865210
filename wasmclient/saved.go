//go:build js && wasm

package main

import (
	"strings"
	"time"

	"setu/wasmclient/chat"
)

// What is shown without a connection is what the last page has stored: the newest messages of the rooms, in
// the browser, when it was left. Only a guest's page stores any. What takes a token to read is gone with
// the token: it may be somebody else's browser.

// maxScreens bounds the rooms that are stored.
const maxScreens = 12

// keepsScreens reports whether this user's messages may stay in the browser.
func (a *app) keepsScreens() bool {
	return a.signIn.token == "" && !a.signIn.required && !a.replaced && !isFramed() && (a.self.ID == "" || a.self.Guest)
}

// saveScreens stores what is to be shown without a connection, and removes what is not. A room that this
// page has not entered stays as it is stored.
func (a *app) saveScreens() {
	if !a.keepsScreens() {
		return
	}
	wanted := make(map[string]*chat.Room)
	for _, r := range a.rooms.All {
		if r == a.rooms.Current || len(wanted) < maxScreens-1 {
			wanted[r.Name] = r
		}
	}
	for _, item := range a.storage.names(itemScreen) {
		if wanted[strings.TrimPrefix(item, itemScreen)] == nil {
			a.storage.set(item, "")
		}
	}
	for name, r := range wanted {
		if r.Entered {
			a.storage.set(itemScreen+name, r.EncodeScreen(time.Now().UnixMilli()))
		}
	}
}

// showScreen shows what is stored of a room, unless the relay has written it into the page.
func (a *app) showScreen(r *chat.Room) {
	if !a.keepsScreens() || a.view.served.room == r.Name {
		return
	}
	if a.self.ID == "" {
		r.Timeline.Self = a.former
	}
	r.ShowStored(a.storage.get(itemScreen + r.Name))
}

// hideScreen removes what is stored of a room that this user may not read.
func (a *app) hideScreen(r *chat.Room) {
	a.storage.set(itemScreen+r.Name, "")
	if r.StoredAt > 0 {
		r.HideStored()
		a.view.list.reset = a.view.list.reset || r == a.rooms.Current
	}
}

// storedBanner says of when the room is that is shown, if there is no connection; else it returns "".
func (a *app) storedBanner(now time.Time) string {
	r := a.rooms.Current
	away := a.pill.Away() || !window.Get("navigator").Get("onLine").Bool()
	if r == nil || r.StoredAt == 0 || !away || a.pill.Status == chat.Connected {
		return ""
	}
	return chat.StoredText(a.clock.moment(r.Timeline, r.StoredAt, now))
}
