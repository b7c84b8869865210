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

// sender sends a room's messages in order, without waiting for their answers. It is guarded by app.mu.
type sender struct {
	chat.Outbox
	by      *client.Client // over which those under way were sent
	running bool           // a goroutine sends
	again   bool           // to be sent when those under way have come back
}

func (a *app) senderOf(room string) *sender {
	s := a.senders[room]
	if s == nil {
		s = &sender{}
		a.senders[room] = s
	}
	return s
}

// restoreQueue restores the messages of this user that earlier pages stored and did not send, and what was under
// way beside them. What was written on this page, before it was known who this user is, is theirs.
func (a *app) restoreQueue() {
	for _, r := range a.rooms.All {
		for _, e := range r.Timeline.Outgoing() {
			a.save(r, e)
		}
	}
	names := a.storage.names(itemQueue)
	for _, r := range a.rooms.All {
		for _, name := range names {
			a.restoreQueued(name, r)
		}
		a.restoreWriting(r)
	}
}

// restoreQueued restores a stored message of a room, unless it is here already or another user's, for whom
// it stays stored.
func (a *app) restoreQueued(name string, r *chat.Room) {
	saved, ok := chat.DecodeSaved(a.storage.get(name))
	if !ok || itemQueue+saved.ID != name {
		a.storage.set(name, "")
		return
	}
	if saved.Room != r.Name || saved.Owner != a.owner() || r.Timeline.Find("own/"+saved.ID) != nil {
		return
	}
	r.Timeline.Send(saved.ID, saved.Body(), saved.At)
	if saved.Reason != "" {
		r.Timeline.Fail(saved.ID, saved.Reason)
		return
	}
	a.senderOf(saved.Room).Add(saved.ID)
}

// post sends a new message to the current room.
func (a *app) post(body *chat.Body) {
	r := a.rooms.Current
	id := randomID(9)
	now := time.Now().UnixMilli()
	e := r.Timeline.Send(id, body, now)
	r.Timeline.ToEnd()
	a.view.follow()
	a.enqueue(r, e)
}

func (a *app) enqueue(r *chat.Room, e *chat.Entry) {
	a.save(r, e)
	a.senderOf(r.Name).Add(e.ID)
	a.sendQueued(r)
	a.invalidate(partList)
}

// save stores a message that has not been sent, as this user's.
func (a *app) save(r *chat.Room, e *chat.Entry) {
	a.storage.set(itemQueue+e.ID, chat.SavedOf(r.Name, e, a.owner()).Encode())
}

// sendQueued sends a room's queued messages, unless that is under way already or the room has not been
// joined yet or is left, or this page gives way to another user's.
func (a *app) sendQueued(r *chat.Room) {
	s := a.senderOf(r.Name)
	if s.running || a.replaced || !r.Entered || !a.rooms.Has(r) || r.Denied.Join {
		return
	}
	s.again = s.Held()
	s.running = true
	a.goGuarded(func() {
		for a.sendNext(r, s) {
		}
	})
}

// sendNext sends one message, and reports whether to go on with the next. Its answer is awaited beside
// that.
func (a *app) sendNext(r *chat.Room, s *sender) bool {
	var c *client.Client
	var id string
	var next *chat.Entry
	var written int64
	a.withLock(func() {
		if c = a.client; s.by != c {
			s.by = c
			s.Restart()
		}
		if s.running = !a.replaced && a.rooms.Has(r); !s.running {
			return
		}
		id, s.running = s.Next(func(id string) bool {
			e := r.Timeline.Find("own/" + id)
			return e != nil && e.State == chat.Pending
		})
		if s.running {
			next = r.Timeline.Find("own/" + id)
			written = next.At
		}
	})
	if next == nil {
		return false
	}
	began := time.Now()
	data, attachments := next.Body.Encode()
	p, err := c.StartPublish(r.Name, data, id, attachments...)
	if err != nil {
		a.withLock(func() {
			s.running = false
			a.onPublished(r, s, id, client.Published{}, err, c)
		})
		return false
	}
	a.goGuarded(func() {
		stored, err := p.Wait(context.Background())
		took := max(time.Since(began), time.Since(time.UnixMilli(written))) // an earlier try may have failed
		a.withLock(func() {
			if a.onPublished(r, s, id, stored, err, c); err == nil && !stored.Duplicate {
				r.Timeline.Took(id, took)
			}
		})
	})
	return true
}

// onPublished handles the outcome of a publish.
func (a *app) onPublished(r *chat.Room, s *sender, id string, stored client.Published, err error, c *client.Client) {
	if !a.rooms.Has(r) {
		a.onLeftBehind(id, err)
		return
	}
	answered, again := true, false
	switch {
	case err == nil:
		if r.Timeline.Acknowledge(id, stored.Seq, stored.At, stored.Offset) != nil {
			a.storage.set(itemQueue+id, "")
		}
	case c != a.client: // another one sends it
		again = true
		answered = false
	case errors.Is(err, client.ErrClosed), errors.Is(err, client.ErrLeft), r.Denied.Join:
		answered = false // it is sent when the room is joined again, perhaps with a token that allows it
	case a.isTooEarly(err): // try again
		answered, again = false, true
	default:
		var refused *client.Error
		if errors.As(err, &refused) && refused.Code == "forbidden" {
			a.deny(r, refused.Right)
		}
		a.onPublishFailed(r, id, reason(err))
	}
	switch {
	case answered:
		s.Answered(id)
	case s.by == c:
		s.Returned(id)
	}
	s.again = s.again || again
	if answered || s.again && !s.Held() {
		a.sendQueued(r)
	}
	a.invalidate(partList)
}

// onLeftBehind handles the outcome of a publish to a room that has been left. What failed stays stored, to be sent when
// this user is back there: as a rule the relay has said that one has to be in the room.
func (a *app) onLeftBehind(id string, err error) {
	if err == nil {
		a.storage.set(itemQueue+id, "")
	}
}

// isTooEarly reports whether a publish has failed for want of a connection, or of a relay's to Redis: the page
// says so, and that the message is sent when there is one.
func (a *app) isTooEarly(err error) bool {
	var refused *client.Error
	late := errors.Is(err, client.ErrTimeout) || errors.As(err, &refused) && refused.Retryable()
	return late && (a.pill.Status != chat.Connected || a.pill.StoreSilent())
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
