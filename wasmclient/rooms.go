//go:build js && wasm

package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"setu/relay/client"
	"setu/wasmclient/chat"
)

// defaultRoom is the room that opens first if the address has none and none is stored.
const defaultRoom = "lobby"

// restore restores the rooms of the last visit and drafts, and opens a room.
func (a *app) restore() {
	for _, name := range chat.DecodeRooms(a.storage.get(itemRooms)) {
		a.addRoom(name)
	}
	location := window.Get("location")
	room := chat.RoomAt(location.Get("pathname").String(), location.Get("search").String())
	if room == "" {
		room = a.storage.get(itemLastRoom)
	}
	if room == "" && len(a.rooms.All) > 0 {
		room = a.rooms.All[0].Name
	}
	if room == "" {
		room = defaultRoom
	}
	typed := a.composerText() // typed before the program ran
	a.enter(room, "replaceState")
	if typed != "" {
		a.setComposer(typed)
	}
}

func (a *app) addRoom(name string) *chat.Room {
	r := &chat.Room{Name: name, Timeline: chat.NewTimeline(a.clock.offset)}
	r.Timeline.Self = a.self.ID
	if seen, err := strconv.ParseInt(a.storage.get(itemSeen+name), 10, 64); err == nil {
		r.Seen = seen
	}
	a.rooms.Add(r)
	return r
}

// enter shows a room, and joins it if that has not been done. How is the method of the browser's
// history that sets the address: "pushState", "replaceState", or "" for none.
func (a *app) enter(name, how string) {
	r := a.rooms.Find(name)
	if r == nil {
		r = a.addRoom(name)
		a.storage.set(itemRooms, chat.EncodeRooms(a.rooms.Names()))
		if a.client != nil {
			a.join(r)
		}
	}
	if old := a.rooms.Current; old != nil && old != r {
		a.saveDraft()
		old.Timeline.CloseDivider()
	}
	changed := a.rooms.Current != r
	a.rooms.Current = r
	a.storage.set(itemLastRoom, name)
	if how != "" {
		window.Get("history").Call(how, nil, "", chat.RoomAddress(name))
	}
	if changed {
		r.Timeline.Open()
		a.view.list.reset = true
		a.loadDraft()
	}
	a.toggleDrawer("")
	a.invalidate(partAll)
}

// join joins a room, and requests what is new since the last known message, or else the last
// messages.
func (a *app) join(r *chat.Room) {
	c, asked := a.client, r.Denied // what was denied is asked anew
	options := client.JoinOptions{History: historyPage, Presence: true}
	if newest := r.Timeline.Newest(); newest != nil && r.Entered {
		options.Since = newest.Offset
	}
	a.goGuarded(func() {
		ctx, cancel := timeoutContext(requestTimeout)
		defer cancel()
		joined, err := joinAsAllowed(ctx, c, r.Name, options)
		a.withLock(func() {
			if c == a.client && a.rooms.Find(r.Name) == r {
				// Without the right to read history a join in place finds nothing, which is no gap.
				joined.Recovered = joined.Recovered || asked != chat.Denied{} && !asked.Join && r.Entered
				a.onJoined(r, joined, err)
			}
		})
	})
}

// joinAsAllowed joins a room, and asks for less if a right is missing for what was asked.
func joinAsAllowed(ctx context.Context, c *client.Client, room string, o client.JoinOptions) (client.Joined, error) {
	for {
		joined, err := c.Join(ctx, room, o)
		var refused *client.Error
		switch {
		case !errors.As(err, &refused):
			return joined, err
		case refused.Right == "history" && o.History > 0:
			o.History, o.Since = 0, ""
		case refused.Right == "members" && o.Presence:
			o.Presence = false
		default:
			return joined, err
		}
	}
}

func (a *app) onJoined(r *chat.Room, j client.Joined, err error) {
	var refused *client.Error
	switch {
	case errors.As(err, &refused) && refused.Code == "forbidden":
		a.deny(r, refused.Right)
	case errors.As(err, &refused):
		r.Refusal = refused.Message
	case errors.Is(err, client.ErrClosed), errors.Is(err, client.ErrLeft):
		return
	case err != nil:
		a.join(r) // there is no connection: wait for one again
		return
	default:
		a.onSnapshot(r, j)
	}
	a.invalidate(partAll)
}

func (a *app) onSnapshot(r *chat.Room, j client.Joined) {
	hadHistory := !r.Denied.History
	r.Denied = chat.DeniedBy(j.Rights)
	arrival := chat.Snapshot{
		Messages: messages(j.Messages), Recovered: j.Recovered,
		HasMore: len(j.Messages) >= historyPage || r.Denied.History,
	}
	if r.Entered {
		r.Resync(arrival, a.readsEnd(r))
		r.Refusal = ""
		r.Timeline.More = r.Timeline.More || !hadHistory && !r.Denied.History
		// The user may have a new name, and to others the rejoin is no event. A signal carries the
		// name.
		c, name := a.client, r.Name
		if !r.Denied.Signal {
			a.goGuarded(func() { signalTyping(c, name, false) })
		}
	} else {
		r.Enter(arrival)
		if r == a.rooms.Current {
			r.Timeline.Open()
			a.view.list.reset = true
		}
	}
	r.People.Set(members(j), j.Count, time.Now())
	for _, m := range j.Messages {
		a.onStored(r, m.From.ID, m.ID)
	}
	a.sendQueued(r)
}

// leave leaves a room and removes it from the list.
func (a *app) leave(name string) {
	r := a.rooms.Find(name)
	if r == nil {
		return
	}
	current := a.rooms.Current
	if r == current {
		a.saveDraft()
	}
	for _, e := range r.Timeline.Outgoing() {
		a.storage.set(itemQueue+e.ID, "")
	}
	delete(a.senders, name)
	next := a.rooms.Remove(r)
	a.storage.set(itemRooms, chat.EncodeRooms(a.rooms.Names()))
	if c := a.client; c != nil {
		a.goGuarded(func() {
			ctx, cancel := timeoutContext(requestTimeout)
			defer cancel()
			_ = c.Leave(ctx, name) // it is off the list either way
		})
	}
	a.toast("Left " + chat.Shown(name))
	switch {
	case next == nil:
		a.storage.set(itemLastRoom, "")
		window.Get("history").Call("replaceState", nil, "", "/")
		a.view.list.reset = true
		a.loadDraft()
		a.invalidate(partAll)
		byID("room-input").Call("focus")
	case next != current:
		a.enter(next.Name, "replaceState")
	default:
		a.invalidate(partRooms)
	}
}

// loadOlder requests the messages before the oldest known one of a room.
func (a *app) loadOlder(r *chat.Room) {
	r.Timeline.Loading = true
	a.invalidate(partList)
	c, before := a.client, r.Timeline.Oldest()
	a.goGuarded(func() {
		ctx, cancel := timeoutContext(requestTimeout)
		defer cancel()
		page, err := c.History(ctx, r.Name, before, historyPage)
		a.withLock(func() {
			r.Timeline.Loading = false
			var refused *client.Error
			switch {
			case err == nil:
				r.Timeline.Prepend(messages(page.Messages), page.More && len(page.Messages) > 0)
				if r == a.rooms.Current {
					r.Timeline.Older()
				}
			case errors.As(err, &refused):
				r.Timeline.More = false // that history has expired
			}
			a.invalidate(partList)
		})
	})
}
