//go:build js && wasm

package main

import (
	"errors"
	"time"

	"setu/relay/client"
	"setu/wasmclient/chat"
)

const (
	// historyPage is how many messages are requested at a time.
	historyPage = 60
	// seekPage is the same on the way to a message farther up.
	seekPage = 256
	// historyPause is how long to wait when a relay could not answer.
	historyPause = 3 * time.Second
)

// requestHistory requests the messages of a room before an offset, and calls then under the lock. If there
// are none, gone states whether there will be none either when asked again.
func (a *app) requestHistory(r *chat.Room, before string, limit int, then func(page []chat.Message, more, gone bool)) {
	c := a.client
	a.goGuarded(func() {
		ctx, cancel := timeoutContext(requestTimeout)
		defer cancel()
		page, err := c.History(ctx, r.Name, before, limit)
		var refused *client.Error
		gone := errors.As(err, &refused) && !refused.Retryable()
		if err != nil && !gone {
			time.Sleep(historyPause)
		}
		a.withLock(func() {
			then(messages(page.Messages), page.More && len(page.Messages) > 0, err == nil && len(page.Messages) == 0 || gone)
			a.invalidate(partList)
		})
	})
}

// loadOlder requests the messages before the oldest known one of a room.
func (a *app) loadOlder(r *chat.Room) {
	t, limit := r.Timeline, historyPage
	if t.Seeking {
		limit = seekPage
	}
	t.Loading = true
	a.invalidate(partList)
	a.requestHistory(r, t.Oldest(), limit, func(page []chat.Message, more, gone bool) {
		t.Loading = false
		if len(page) > 0 || gone {
			t.Prepend(page, more)
			a.tellLapse(r)
		}
		switch {
		case !t.Seeking:
			if r == a.rooms.Current {
				t.Older()
			}
		case len(page) > 0 && t.WantsOlderPage() && r == a.rooms.Current:
			a.loadOlder(r)
		case t.Sought():
			t.Seeking = false
			a.showSought(r)
		default:
			t.Seeking = false
			a.showDivider(r)
		}
	})
}

// fillGap requests what the relay still has of a gap, from its end.
func (a *app) fillGap(r *chat.Room, key string) {
	t := r.Timeline
	before, ok := t.BeginFill(key)
	if !ok {
		return
	}
	a.invalidate(partList)
	a.requestHistory(r, before, historyPage, func(page []chat.Message, more, gone bool) {
		if len(page) > 0 {
			t.EndFill(key, page, more)
		} else {
			t.FailFill(key, gone)
		}
	})
}

// toDivider scrolls to the first unread message, which may have to be requested first.
func (a *app) toDivider() {
	r := a.rooms.Current
	switch {
	case r == nil:
	case !r.Timeline.WantsDivider():
		a.showDivider(r)
	case !r.Timeline.Seeking:
		r.Timeline.Seeking = true
		if !r.Timeline.Loading {
			a.loadOlder(r)
		}
	}
}

// showDivider brings the line before the first unread message into view, if it is known and its room is
// shown.
func (a *app) showDivider(r *chat.Room) {
	if r != a.rooms.Current || !r.Timeline.ShowDivider() {
		return
	}
	a.view.toKey = "unread"
	a.invalidate(partList)
}
