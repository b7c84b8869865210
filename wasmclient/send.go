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

// sender sends a room's messages one after another, to keep their order. It is guarded by app.mu.
type sender struct {
	queued  []string // ids
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

// restoreQueue restores the messages of this user that earlier pages stored and did not send. What was
// written on this page, before it was known who this user is, is theirs.
func (a *app) restoreQueue() {
	for _, r := range a.rooms.All {
		for _, e := range r.Timeline.Outgoing() {
			a.save(r, e)
		}
	}
	for _, name := range a.storage.names(itemQueue) {
		a.restoreQueued(name)
	}
}

// restoreQueued restores a stored message, unless it is here already or another user's, for whom it
// stays stored.
func (a *app) restoreQueued(name string) {
	saved, ok := chat.DecodeSaved(a.storage.get(name))
	if !ok || itemQueue+saved.ID != name {
		a.storage.set(name, "")
		return
	}
	r := a.rooms.Find(saved.Room)
	if saved.Owner != a.owner() || r != nil && r.Timeline.Find("own/"+saved.ID) != nil {
		return
	}
	if r == nil {
		r = a.addRoom(saved.Room)
	}
	r.Timeline.Send(saved.ID, saved.Text, saved.At)
	if saved.Reason != "" {
		r.Timeline.Fail(saved.ID, saved.Reason)
		return
	}
	s := a.senderOf(saved.Room)
	s.queued = append(s.queued, saved.ID)
}

// post sends a new message to the current room.
func (a *app) post(text string) {
	r := a.rooms.Current
	id := randomID(10)
	now := time.Now().UnixMilli()
	e := r.Timeline.Send(id, text, now)
	r.Timeline.ToEnd()
	a.view.followEnd = true
	a.enqueue(r, e)
}

func (a *app) enqueue(r *chat.Room, e *chat.Entry) {
	a.save(r, e)
	s := a.senderOf(r.Name)
	s.queued = append(s.queued, e.ID)
	a.sendQueued(r)
	a.invalidate(partList)
}

// save stores a message that has not been sent, as this user's.
func (a *app) save(r *chat.Room, e *chat.Entry) {
	a.storage.set(itemQueue+e.ID, chat.Saved{Room: r.Name, ID: e.ID, Text: e.Body.Text, At: e.At, Reason: e.Reason, Owner: a.owner()}.Encode())
}

// sendQueued starts to send a room's queued messages, unless that is under way already or the room
// has not been joined yet, or this page gives way to another user's.
func (a *app) sendQueued(r *chat.Room) {
	s := a.senderOf(r.Name)
	if s.running || a.replaced || !r.Entered || r.Denied.Join || len(s.queued) == 0 {
		return
	}
	s.running = true
	a.goGuarded(func() {
		for a.sendNext(r, s) {
		}
	})
}

// sendNext sends one message and waits for the answer. It reports whether to go on with the next.
func (a *app) sendNext(r *chat.Room, s *sender) bool {
	var c *client.Client
	var id, text string
	a.withLock(func() {
		c = a.client
		for len(s.queued) > 0 && text == "" && !a.replaced {
			id = s.queued[0]
			if e := r.Timeline.Find("own/" + id); e != nil && e.State == chat.Pending {
				text = e.Body.Text
			} else {
				s.queued = s.queued[1:]
			}
		}
		s.running = text != ""
	})
	if text == "" {
		return false
	}
	stored, err := c.Publish(context.Background(), r.Name, map[string]string{"text": text}, id)
	again := true
	a.withLock(func() { again = a.onPublished(r, s, id, stored, err, c) })
	return again
}

// onPublished handles the outcome of a publish, and reports whether to go on.
func (a *app) onPublished(r *chat.Room, s *sender, id string, stored client.Published, err error, c *client.Client) bool {
	switch {
	case err == nil:
		if r.Timeline.Acknowledge(id, stored.Seq, stored.At, stored.Offset) != nil {
			a.storage.set(itemQueue+id, "")
		}
	case c != a.client, errors.Is(err, client.ErrClosed), errors.Is(err, client.ErrLeft):
		// It is sent again when the room is joined again.
		s.running = false
		if c != a.client && r.Entered {
			a.sendQueued(r)
		}
		return false
	case r.Denied.Join: // it waits for a token that allows it
		s.running = false
		return false
	case errors.Is(err, client.ErrTimeout) && a.pill.Status != chat.Connected:
		return true // there is no connection: try again
	default:
		var refused *client.Error
		if errors.As(err, &refused) && refused.Code == "forbidden" {
			a.deny(r, refused.Right)
		}
		a.onPublishFailed(r, id, reason(err))
	}
	if len(s.queued) > 0 && s.queued[0] == id {
		s.queued = s.queued[1:]
	}
	a.invalidate(partList)
	return true
}

func (a *app) onPublishFailed(r *chat.Room, id, why string) {
	e := r.Timeline.Fail(id, why)
	if e == nil {
		return
	}
	a.save(r, e)
	a.announce("Message not sent: " + why)
}

// onStored is called when a message has its place in the room: if it is this user's, it need not be
// stored in the browser any longer.
func (a *app) onStored(r *chat.Room, from, id string) {
	if from == a.self.ID {
		a.storage.set(itemQueue+id, "")
	}
}

func (a *app) retry(key string) {
	r, id := a.rooms.Current, strings.TrimPrefix(key, "own/")
	if e := r.Timeline.Retry(id, time.Now().UnixMilli()); e != nil {
		a.enqueue(r, e)
	}
}

// discard removes a failed message. Its text goes back into the composer, if that is empty.
func (a *app) discard(key string) {
	r, id := a.rooms.Current, strings.TrimPrefix(key, "own/")
	text, ok := r.Timeline.Discard(id)
	if !ok {
		return
	}
	a.storage.set(itemQueue+id, "")
	if a.composerText() == "" {
		a.setComposer(text)
	}
	a.announce("Message discarded")
	a.invalidate(partList | partComposer)
}
