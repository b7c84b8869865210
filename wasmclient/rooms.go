//go:build js && wasm

package main

import (
	"errors"
	"strconv"
	"time"

	"setu/relay/client"
	"setu/wasmclient/chat"
)

// firstRoom is where somebody lands who comes without an invitation.
const firstRoom = "lobby"

// restore brings back the rooms of the last visit, what was being written, and
// the messages that had not been sent.
func (a *app) restore() {
	for _, name := range chat.DecodeRooms(a.keep.get(keepRooms)) {
		a.addRoom(name)
	}
	for _, name := range a.keep.names(keepQueue) {
		a.restoreQueued(name)
	}
	location := window.Get("location")
	room := chat.RoomAt(location.Get("pathname").String(), location.Get("search").String())
	if room == "" {
		room = a.keep.get(keepLast)
	}
	if room == "" && len(a.rooms.All) > 0 {
		room = a.rooms.All[0].Name
	}
	if room == "" {
		room = firstRoom
	}
	typed := a.composerText() // before the program ran
	a.enter(room, "replaceState")
	if typed != "" {
		a.setComposer(typed)
	}
}

func (a *app) addRoom(name string) *chat.Room {
	r := &chat.Room{Name: name, Timeline: chat.NewTimeline(a.clock.offset)}
	r.Timeline.Self = a.self.ID
	if seen, err := strconv.ParseInt(a.keep.get(keepSeen+name), 10, 64); err == nil {
		r.Seen = seen
	}
	a.rooms.Add(r)
	return r
}

// enter shows a room, joining it where that has not been done. How says what
// becomes of the address: "pushState", "replaceState", or "" to leave it.
func (a *app) enter(name, how string) {
	r := a.rooms.Find(name)
	if r == nil {
		r = a.addRoom(name)
		a.keep.set(keepRooms, chat.EncodeRooms(a.rooms.Names()))
		if a.client != nil {
			a.join(r)
		}
	}
	if old := a.rooms.Current; old != nil && old != r {
		a.keepDraft()
		old.Timeline.Leave()
	}
	changed := a.rooms.Current != r
	a.rooms.Current = r
	a.keep.set(keepLast, name)
	if how != "" {
		window.Get("history").Call(how, nil, "", chat.RoomAddress(name))
	}
	if changed {
		r.Timeline.Open()
		a.view.list.fresh = true
		a.loadDraft()
	}
	a.drawer("")
	a.touch(partAll)
}

// join asks the relay for a room: all that is new since what is known, or its
// last messages.
func (a *app) join(r *chat.Room) {
	c := a.client
	options := client.JoinOptions{History: historyPage, Presence: true}
	if newest := r.Timeline.Newest(); newest != nil && r.Entered {
		options.Since = newest.Offset
	}
	a.spawn(func() {
		ctx, cancel := within(askFor)
		defer cancel()
		joined, err := c.Join(ctx, r.Name, options)
		a.with(func() {
			if c == a.client && a.rooms.Find(r.Name) == r {
				a.joined(r, joined, err)
			}
		})
	})
}

func (a *app) joined(r *chat.Room, j client.Joined, err error) {
	var refused *client.Error
	switch {
	case errors.As(err, &refused):
		r.Refused = refused.Message
	case errors.Is(err, client.ErrClosed), errors.Is(err, client.ErrLeft):
		return
	case err != nil:
		a.join(r) // no answer: the connection is away, and this waits for it again
		return
	default:
		a.arrived(r, j)
	}
	a.touch(partAll)
}

func (a *app) arrived(r *chat.Room, j client.Joined) {
	arrival := chat.Arrival{
		Messages: messages(j.Messages), Recovered: j.Recovered,
		Full: len(j.Messages) >= historyPage,
	}
	if r.Entered {
		r.Return(arrival, a.looking(r))
		r.Refused = ""
		// Perhaps under a new name, and coming back is no news to the others. A
		// signal carries the name, and so tells them.
		c, name := a.client, r.Name
		a.spawn(func() { signalTyping(c, name, false) })
	} else {
		r.Enter(arrival)
		if r == a.rooms.Current {
			r.Timeline.Open()
			a.view.list.fresh = true
		}
	}
	r.People.Set(members(j), j.Count, time.Now())
	for _, m := range j.Messages {
		a.settled(r, m.From.ID, m.ID)
	}
	a.send(r)
}

// leave takes a room off the list.
func (a *app) leave(name string) {
	r := a.rooms.Find(name)
	if r == nil {
		return
	}
	current := a.rooms.Current
	if r == current {
		a.keepDraft()
	}
	for _, e := range r.Timeline.Outgoing() {
		a.keep.set(keepQueue+e.ID, "")
	}
	delete(a.senders, name)
	next := a.rooms.Remove(r)
	a.keep.set(keepRooms, chat.EncodeRooms(a.rooms.Names()))
	if c := a.client; c != nil {
		a.spawn(func() {
			ctx, cancel := within(askFor)
			defer cancel()
			_ = c.Leave(ctx, name) // gone from the list either way
		})
	}
	a.toast("Left " + name)
	switch {
	case next == nil:
		a.keep.set(keepLast, "")
		window.Get("history").Call("replaceState", nil, "", "/")
		a.view.list.fresh = true
		a.loadDraft()
		a.touch(partAll)
		byID("room-input").Call("focus")
	case next != current:
		a.enter(next.Name, "replaceState")
	default:
		a.touch(partRooms)
	}
}

// older asks the relay for what came before all that is known of a room.
func (a *app) older(r *chat.Room) {
	r.Timeline.Loading = true
	a.touch(partList)
	c, before := a.client, r.Timeline.Oldest()
	a.spawn(func() {
		ctx, cancel := within(askFor)
		defer cancel()
		page, err := c.History(ctx, r.Name, before, historyPage)
		a.with(func() {
			r.Timeline.Loading = false
			var refused *client.Error
			switch {
			case err == nil:
				r.Timeline.Prepend(messages(page.Messages), page.More && len(page.Messages) > 0)
				if r == a.rooms.Current {
					r.Timeline.Older()
				}
			case errors.As(err, &refused):
				r.Timeline.More = false // that history is no more
			}
			a.touch(partList)
		})
	})
}
