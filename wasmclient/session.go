//go:build js && wasm

package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"setu/relay/client"
	"setu/wasmclient/chat"
)

const (
	// publishTimeout is how long a message may be unanswered, while connected, before it counts as
	// failed.
	publishTimeout = 20 * time.Second
	// requestTimeout bounds all other requests.
	requestTimeout = 15 * time.Second
)

// guestKey returns the guest's stored secret, which keeps them the same user on later visits. It
// makes one if there is none.
func (a *app) guestKey() string {
	key := a.storage.get(itemKey)
	if len(key) != 32 {
		key = randomID(24)
		a.storage.set(itemKey, key)
	}
	return key
}

// connect opens a client, in place of the old one if there is one. It closes that first, so that
// the old one has left the rooms before the new one joins them, perhaps under another name.
func (a *app) connect() {
	a.session++
	old, session := a.client, a.session
	if old == nil {
		a.restoreQueue()
		a.open()
		return
	}
	a.goGuarded(func() {
		_ = old.Close()
		a.withLock(func() {
			if session == a.session {
				a.open()
			}
		})
	})
}

func (a *app) open() {
	session := a.session
	// Events of a client that has been replaced are ignored.
	current := func(f func()) {
		a.withLock(func() {
			if session == a.session {
				f()
			}
		})
	}
	var opened *client.Client // nil until Open has returned
	location := window.Get("location")
	c, err := client.Open(location.Get("origin").String(), &client.Options{
		Name: a.name, Key: a.guestKey(), Region: a.through, PublishTimeout: publishTimeout,
		Native: client.Native{Gather: window.Get("setuGather")},
		FetchToken: func(ctx context.Context) (string, error) {
			var c *client.Client
			a.withLock(func() { c = opened })
			return a.fetchToken(ctx, c)
		},
		Handler: client.Handler{
			State:      func(s client.State) { current(func() { a.onState(s) }) },
			Welcome:    func(w client.Welcome) { current(func() { a.onWelcome(w) }) },
			Message:    func(m client.Message) { current(func() { a.onMessage(m) }) },
			Event:      func(m client.Message) { current(func() { a.onMessage(m) }) },
			Annotation: func(n client.Annotation) { current(func() { a.onAnnotation(n) }) },
			Signal:     func(s client.Signal) { current(func() { a.onSignal(s) }) },
			Presence:   func(p client.Presence) { current(func() { a.onPresence(p) }) },
			Reset:      func(r client.Reset) { current(func() { a.onReset(r) }) },
			Rejoined:   func(j client.Joined) { current(func() { a.onRejoined(j) }) },
			Renewed:    func(r client.Renewed) { current(func() { a.onRenewed(r) }) },
			Error:      func(err error) { current(func() { a.onError(err) }) },
		},
	})
	if err != nil {
		panic(err) // cannot happen: the address is the page's own
	}
	a.client, opened = c, c
	for _, r := range a.rooms.All {
		a.join(r)
	}
}

func (a *app) onState(s client.State) {
	next := chat.Pill{RTT: s.RTT, Store: s.Store, RetryAt: s.RetryAt, Relay: s.Relay, Region: s.Region}
	switch s.Status {
	case client.Connecting:
		next.Status = chat.Connecting
	case client.Connected:
		next.Status = chat.Connected
	case client.Waiting:
		next.Status = chat.Waiting
	default:
		next.Status = chat.Closed
		var refused *client.ConnectError
		if errors.As(s.Err, &refused) {
			next.Reason = refused.Message
		}
		if a.onEnded(s.Err); a.signIn.status != chat.SignedIn {
			next.Reason = "" // said above the composer
		}
	}
	if next.Status == chat.Connected && a.pill.Status != chat.Connected {
		a.setSignIn(chat.SignedIn)
	}
	a.announce(a.pill.Update(next, time.Now()))
	if r := a.rooms.Current; r != nil && !r.Entered {
		a.invalidate(partList) // which says why
	}
	a.invalidate(partPill | partPeople | partComposer)
}

func (a *app) onWelcome(w client.Welcome) {
	if a.self.ID != "" && a.self.ID != w.User.ID {
		a.changeUser()
		return
	}
	a.self = user(w.User)
	if a.self.Guest {
		a.storage.set(itemUser, a.self.ID)
	}
	for _, r := range a.rooms.All {
		r.Timeline.Self = a.self.ID
	}
	a.denyLeft(w.Left)
	a.onThrough(w)
	a.askRelays()
	a.invalidate(partPeople | partPill)
}

func (a *app) onMessage(m client.Message) {
	r := a.rooms.Find(m.Room)
	if r == nil {
		return
	}
	take := r.AddLive
	if m.Recovered {
		take = r.AddMissed
	}
	people := r.People.Version()
	if !take(message(m), a.readsEnd(r)) {
		return
	}
	a.onStored(r, m.From.ID, m.ID)
	a.tellHeard(r, m)
	if !m.Recovered {
		a.tell(r, r.Timeline.Newest(), a.readsEnd(r))
	}
	stale := partList | partRooms | partTyping
	if r.People.Version() != people { // the author was about to leave, or has a new name
		stale |= partPeople
	}
	a.invalidate(stale)
}

func (a *app) onSignal(s client.Signal) {
	r := a.rooms.Find(s.Room)
	var signal struct {
		Typing *bool `json:"typing"`
		Heard  int64 `json:"heard"`
	}
	if r == nil || json.Unmarshal(s.Data, &signal) != nil {
		return
	}
	if signal.Heard > 0 { // perhaps by another tab of this user's
		a.onHeard(r, s.From.Region, signal.Heard)
	}
	if s.From.ID == a.self.ID || signal.Typing == nil {
		return
	}
	if *signal.Typing {
		r.Typing.Started(user(s.From), time.Now())
	} else {
		r.Typing.Stopped(s.From.ID)
	}
	if r.People.SetPresent(user(s.From)) {
		a.invalidate(partPeople)
	}
	if r == a.rooms.Current {
		a.invalidate(partTyping)
	}
}

func (a *app) onPresence(p client.Presence) {
	r := a.rooms.Find(p.Room)
	if r == nil {
		return
	}
	if p.Members != nil {
		r.People.Set(users(p.Members), p.Count, time.Now())
		a.meet(r, users(p.Members)...)
	} else {
		r.People.Change(users(p.Joined), users(p.Left), users(p.Renamed), p.Count, time.Now())
		a.onRenamed(users(p.Renamed))
		a.meet(r, append(users(p.Joined), users(p.Renamed)...)...)
	}
	for _, u := range p.Left {
		r.Typing.Stopped(u.ID)
	}
	if r == a.rooms.Current {
		a.invalidate(partPeople | partTyping)
	}
}

// onRenamed takes over this user's new name, changed in another tab, from those of a room's people.
func (a *app) onRenamed(list []chat.User) {
	for _, u := range list {
		if u.ID == a.self.ID {
			if u.Name != a.self.Name { // else this user is at other places than before
				a.self.Name, a.name = u.Name, u.Name
			}
			a.invalidate(partPeople)
		}
	}
}

// onReset handles a gap in a room's history.
func (a *app) onReset(reset client.Reset) {
	r := a.rooms.Find(reset.Room)
	if r == nil {
		return
	}
	last, next := int64(0), int64(0)
	if newest := r.Timeline.Newest(); newest != nil {
		last = newest.Seq
	}
	if len(reset.Messages) > 0 {
		next = reset.Messages[0].Seq
	}
	a.tellGap(r, last, next)
	r.Resync(chat.Snapshot{Messages: messages(reset.Messages)}, a.readsEnd(r))
	r.People.Count = reset.Count
	for _, m := range reset.Messages {
		a.onStored(r, m.From.ID, m.ID)
	}
	a.invalidate(partAll)
}

// tellLapse tells of a gap that was found below what an earlier page had stored.
func (a *app) tellLapse(r *chat.Room) {
	if gap := r.Timeline.TakeLapse(); gap.Last > 0 {
		a.tellGap(r, gap.Last, gap.Next)
	}
}

// tellGap tells of a gap in a room's history between two numbers; 0 means that one is not known.
func (a *app) tellGap(r *chat.Room, last, next int64) {
	a.pill.Missed(last, next)
	a.pill.Note("History has a gap", time.Now())
	a.announce("Messages may be missing in " + r.Shown())
}

// onRejoined shows what a rejoin recovered; the messages have come before it, one by one.
func (a *app) onRejoined(j client.Joined) {
	r := a.rooms.Find(j.Room)
	if r == nil {
		return
	}
	r.Denied = chat.DeniedBy(j.Rights)
	r.People.Set(listOf(j.Members, j.Count), j.Count, time.Now())
	if j.Recovered && j.Missed > 0 {
		a.announce(a.pill.Recovered(j.Missed, time.Now()))
	}
	a.meet(r, users(j.Members)...)
	a.sendQueued(r)
	a.invalidate(partPill | partPeople)
}

// onError logs an error in the browser's console. A room that could not be rejoined shows why.
func (a *app) onError(err error) {
	window.Get("console").Call("warn", "setu: "+err.Error())
	var lost *client.RejoinError
	if !errors.As(err, &lost) {
		return
	}
	if r := a.rooms.Find(lost.Room); r != nil {
		var refused *client.Error
		if errors.As(lost.Err, &refused) && refused.Code == "forbidden" {
			a.deny(r, refused.Right)
			return
		}
		r.Refusal = reason(lost.Err)
		a.invalidate(partAll)
	}
}

// reason returns why a request failed, as a phrase for the user.
func reason(err error) string {
	var refused *client.Error
	switch {
	case errors.As(err, &refused) && refused.Right == "publish":
		return "you may not write here"
	case errors.As(err, &refused):
		return refused.Message
	case errors.Is(err, client.ErrTimeout):
		return "no answer from the relay"
	case errors.Is(err, client.ErrTooManyPending):
		return "too many messages are waiting"
	}
	return "the relay could not be asked"
}
