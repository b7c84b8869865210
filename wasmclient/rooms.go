//go:build js && wasm

package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"setu/relay/client"
	"setu/wasmclient/chat"
)

// defaultRoom is the room that opens first if the address has none and none is stored.
const defaultRoom = "lobby"

// restore restores the rooms of the last visit and drafts, and opens a room.
func (a *app) restore() {
	stored := chat.DecodeRooms(a.storage.get(itemRooms))
	for _, name := range stored[:min(len(stored), chat.MaxOpened)] {
		a.addRoom(name)
	}
	location := window.Get("location")
	a.through = chat.RegionAt(location.Get("search").String())
	room := chat.RoomAt(location.Get("pathname").String(), location.Get("search").String())
	place := chat.TargetAt(location.Get("hash").String())
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
	a.rooms.Current.Timeline.Seek(place)
	if typed != "" {
		a.setComposer(typed)
	}
}

func (a *app) addRoom(name string) *chat.Room {
	r := &chat.Room{Name: name, Timeline: chat.NewTimeline(a.clock.offset)}
	r.Timeline.Self, r.People.Plain = a.self.ID, plainName
	r.Seen, r.SeenAt = chat.DecodeSeen(a.storage.get(itemSeen + name))
	r.Attached = a.pictures[name]
	delete(a.pictures, name)
	a.showScreen(r)
	a.rooms.Add(r)
	return r
}

// enter shows a room, and joins it if that has not been done. How is the method of the browser's
// history that sets the address: "pushState", "replaceState", or "" for none.
func (a *app) enter(name, how string) {
	r := a.rooms.Find(name)
	if r == nil {
		if twin := a.rooms.Twin(name); twin != nil {
			a.toast("“" + chat.Shown(name) + "” and “" + twin.Shown() + "” are two rooms")
		}
		r = a.addRoom(name)
		a.listRoom(name, true)
		if a.client != nil && a.pill.Status != chat.Connected {
			a.toast("There is no connection. You enter " + r.Shown() + " when there is one.")
		}
		a.openRoom(r)
	}
	if old := a.rooms.Current; old != nil && old != r {
		a.saveDraft()
		old.Timeline.CloseDivider()
		old.Timeline.Unmark()
	}
	changed := a.rooms.Current != r
	a.rooms.Current = r
	a.storage.set(itemLastRoom, name)
	if how != "" {
		window.Get("history").Call(how, nil, "", a.address(name))
	}
	if changed {
		r.Timeline.Open()
		a.view.list.reset = true
		a.loadDraft()
	}
	a.toggleDrawer("")
	a.invalidate(partAll)
}

// openRoom joins a room that has come onto the list, if there is a connection, and restores what was left
// unsent there.
func (a *app) openRoom(r *chat.Room) {
	if a.client == nil {
		return
	}
	for _, name := range a.storage.names(itemQueue) {
		a.restoreQueued(name, r)
	}
	a.restoreWriting(r)
	a.join(r)
}

// listRoom stores that a room is on the list, or is not.
func (a *app) listRoom(name string, on bool) {
	a.storage.set(itemRooms, chat.WithRoom(a.storage.get(itemRooms), name, on))
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
			if c == a.client && a.rooms.Has(r) {
				if a.self.ID == "" { // the welcome has brought this answer, and is handled after it
					r.Timeline.Self = c.State().User.ID
				}
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
		if r.Refusal, r.Retried = refused.Message, refused.Retryable(); r.Retried {
			a.joinAgain(r, refused.Retry)
		}
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

// joinAgain joins a room after the time that the relay gave, in milliseconds, and up to a quarter more, so that
// not all come at once. Without one it waits a second.
func (a *app) joinAgain(r *chat.Room, after int) {
	c := a.client
	pause := max(time.Duration(after)*time.Millisecond, time.Second)
	a.goGuarded(func() {
		time.Sleep(pause + rand.N(pause/4))
		a.withLock(func() {
			if c == a.client && a.rooms.Has(r) {
				a.join(r)
			}
		})
	})
}

func (a *app) onSnapshot(r *chat.Room, j client.Joined) {
	hadHistory := !r.Denied.History
	r.Denied = chat.DeniedBy(j.Rights)
	arrival := chat.Snapshot{
		Messages: messages(j.Messages), Recovered: j.Recovered,
		HasMore: len(j.Messages) > 0 && j.Messages[0].Seq > 1 || r.Denied.History,
	}
	if r.Entered {
		r.Resync(arrival, a.readsEnd(r))
		for _, n := range j.Annotations { // of messages that are not in the answer, too
			r.Annotate(annotation(n))
		}
		r.Refusal = ""
		r.Timeline.More = r.Timeline.More || !hadHistory && !r.Denied.History
		// The user may have a new name, and to others the rejoin is no event. A signal carries the
		// name.
		c, name := a.client, r.Name
		if !r.Denied.Signal {
			a.goGuarded(func() { signalTyping(c, name, false) })
		}
	} else {
		if r.Enter(arrival) {
			a.tellGap(r, 0, 0)
		}
		a.tellLapse(r)
		if r == a.rooms.Current {
			r.Timeline.Open()
			a.view.list.reset = true
			a.goSought(r)
		}
	}
	r.People.Set(listOf(j.Members, j.Count), j.Count, time.Now())
	a.meet(r, users(j.Members)...)
	for _, m := range j.Messages {
		a.onStored(r, m.From.ID, m.ID)
	}
	a.settleEdits(r)
	a.sendQueued(r)
}

// leave leaves a room and removes it from the list. What is unsent there stays stored until this user is
// back.
func (a *app) leave(name string) {
	if r := a.rooms.Find(name); r != nil {
		a.listRoom(name, false)
		a.drop(r, "pushState") // so that the browser's way back leads into it again
		a.toast(chat.LeftText(r.Shown(), r.Timeline.Unsent()))
		if len(a.rooms.All) > 0 {
			a.focusUnlessTouch()
		}
	}
}

// drop takes a room from the list, and shows another one if it was open. How is as for enter.
func (a *app) drop(r *chat.Room, how string) {
	a.saveSeen()
	current, name := a.rooms.Current, r.Name
	if r == current {
		a.saveDraft()
	}
	delete(a.senders, name)
	if r.Attached != nil {
		a.pictures[name] = r.Attached
	}
	a.storage.set(itemScreen+name, "")
	next := a.rooms.Remove(r)
	if c := a.client; c != nil {
		a.goGuarded(func() {
			ctx, cancel := timeoutContext(requestTimeout)
			defer cancel()
			_ = c.Leave(ctx, name) // it is off the list either way
		})
	}
	switch {
	case next == nil:
		a.storage.set(itemLastRoom, "")
		window.Get("history").Call(how, nil, "", "/")
		a.view.list.reset = true
		a.loadDraft()
		a.invalidate(partAll)
		byID("room-input").Call("focus")
	case next != current:
		a.enter(next.Name, how)
	default:
		a.invalidate(partRooms)
	}
}
