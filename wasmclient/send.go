//go:build js && wasm

package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"setu/relay/client"
	"setu/wasmclient/chat"
)

// sender sends a room's messages one after another, which keeps them in the order
// in which they were written.
type sender struct {
	waiting []string // ids
	running bool
}

func (a *app) senderOf(room string) *sender {
	s := a.senders[room]
	if s == nil {
		s = &sender{}
		a.senders[room] = s
	}
	return s
}

// restoreQueued brings back a message that an earlier page did not get rid of.
func (a *app) restoreQueued(name string) {
	saved, ok := chat.DecodeSaved(a.keep.get(name))
	if !ok || keepQueue+saved.ID != name {
		a.keep.set(name, "")
		return
	}
	r := a.rooms.Find(saved.Room)
	if r == nil {
		r = a.addRoom(saved.Room)
	}
	r.Timeline.Send(saved.ID, saved.Text, saved.At)
	if saved.Reason != "" {
		r.Timeline.Fail(saved.ID, saved.Reason)
		return
	}
	s := a.senderOf(saved.Room)
	s.waiting = append(s.waiting, saved.ID)
}

// write sends a new message to the open room.
func (a *app) write(text string) {
	r := a.rooms.Current
	id := randomID(10)
	now := time.Now().UnixMilli()
	r.Timeline.Send(id, text, now)
	r.Timeline.ToEnd()
	a.view.stick = true
	a.queue(r, id, text, now)
}

func (a *app) queue(r *chat.Room, id, text string, at int64) {
	a.keep.set(keepQueue+id, chat.Saved{Room: r.Name, ID: id, Text: text, At: at}.Encode())
	s := a.senderOf(r.Name)
	s.waiting = append(s.waiting, id)
	a.send(r)
	a.touch(partList)
}

// send has the room's waiting messages sent, unless that is being done, or the
// room has yet to be entered.
func (a *app) send(r *chat.Room) {
	s := a.senderOf(r.Name)
	if s.running || !r.Entered || len(s.waiting) == 0 {
		return
	}
	s.running = true
	a.spawn(func() {
		for a.sendNext(r, s) {
		}
	})
}

// sendNext sends one message and waits for its answer. It reports whether there
// may be more to do.
func (a *app) sendNext(r *chat.Room, s *sender) bool {
	var c *client.Client
	var id, text string
	a.with(func() {
		c = a.client
		for len(s.waiting) > 0 && text == "" {
			id = s.waiting[0]
			if e := r.Timeline.Find("own/" + id); e != nil && e.State == chat.Pending {
				text = e.Body.Text
			} else {
				s.waiting = s.waiting[1:]
			}
		}
		s.running = text != ""
	})
	if text == "" {
		return false
	}
	stored, err := c.Publish(context.Background(), r.Name, map[string]string{"text": text}, id)
	again := true
	a.with(func() { again = a.answered(r, s, id, stored, err, c) })
	return again
}

// answered takes the outcome of one publish, and reports whether to go on.
func (a *app) answered(r *chat.Room, s *sender, id string, stored client.Published, err error, c *client.Client) bool {
	switch {
	case err == nil:
		if r.Timeline.Acknowledge(id, stored.Seq, stored.At, stored.Offset) != nil {
			a.keep.set(keepQueue+id, "")
		}
	case c != a.client, errors.Is(err, client.ErrClosed), errors.Is(err, client.ErrLeft):
		// Whoever joins the room again, sends again.
		s.running = false
		if c != a.client && r.Entered {
			a.send(r)
		}
		return false
	case errors.Is(err, client.ErrTimeout) && a.pill.Status != chat.Connected:
		return true // the connection is away; it stays pending
	default:
		a.failed(r, id, reason(err))
	}
	if len(s.waiting) > 0 && s.waiting[0] == id {
		s.waiting = s.waiting[1:]
	}
	a.touch(partList)
	return true
}

func (a *app) failed(r *chat.Room, id, why string) {
	e := r.Timeline.Fail(id, why)
	if e == nil {
		return
	}
	a.keep.set(keepQueue+id, chat.Saved{Room: r.Name, ID: id, Text: e.Body.Text, At: e.At, Reason: why}.Encode())
	a.say("Message not sent: " + why)
}

// settled notes that a message has its place in the room: nothing of it needs to
// outlive a reload any more.
func (a *app) settled(r *chat.Room, from, id string) {
	if from == a.self.ID {
		a.keep.set(keepQueue+id, "")
	}
}

func (a *app) retry(key string) {
	r, id := a.rooms.Current, strings.TrimPrefix(key, "own/")
	if e := r.Timeline.Retry(id, time.Now().UnixMilli()); e != nil {
		a.queue(r, id, e.Body.Text, e.At)
	}
}

// discard takes a failed message away; where nothing is being written, its text
// goes back to where it came from.
func (a *app) discard(key string) {
	r, id := a.rooms.Current, strings.TrimPrefix(key, "own/")
	text, ok := r.Timeline.Discard(id)
	if !ok {
		return
	}
	a.keep.set(keepQueue+id, "")
	if a.composerText() == "" {
		a.setComposer(text)
	}
	a.say("Message discarded")
	a.touch(partList | partComposer)
}
