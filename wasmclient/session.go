//go:build js && wasm

package main

import (
	"encoding/json"
	"errors"
	"time"

	"setu/relay/client"
	"setu/wasmclient/chat"
)

const (
	// sendFor is how long a message may go unanswered over a living connection
	// before it counts as failed.
	sendFor = 20 * time.Second
	// askFor is the same for everything else.
	askFor = 15 * time.Second
	// historyPage is how many messages are asked for at a time.
	historyPage = 60
)

// key is the guest's secret, which makes him the same user tomorrow.
func (a *app) key() string {
	key := a.keep.get(keepKey)
	if len(key) != 32 {
		key = randomID(16)
		a.keep.set(keepKey, key)
	}
	return key
}

// connect opens a client, in place of the one that there was. That one says
// goodbye first: to the others in a room, a user who is there already has not
// come, and would keep his old name.
func (a *app) connect() {
	a.session++
	old, session := a.client, a.session
	if old == nil {
		a.open()
		return
	}
	a.spawn(func() {
		_ = old.Close()
		a.with(func() {
			if session == a.session {
				a.open()
			}
		})
	})
}

func (a *app) open() {
	session := a.session
	// News of a client that has been replaced are none.
	current := func(f func()) {
		a.with(func() {
			if session == a.session {
				f()
			}
		})
	}
	location := window.Get("location")
	c, err := client.Open(location.Get("origin").String(), &client.Options{
		Name: a.name, Key: a.key(), PublishTimeout: sendFor,
		Handler: client.Handler{
			State:    func(s client.State) { current(func() { a.onState(s) }) },
			Welcome:  func(w client.Welcome) { current(func() { a.onWelcome(w) }) },
			Message:  func(m client.Message) { current(func() { a.onMessage(m) }) },
			Signal:   func(s client.Signal) { current(func() { a.onSignal(s) }) },
			Presence: func(p client.Presence) { current(func() { a.onPresence(p) }) },
			Reset:    func(r client.Reset) { current(func() { a.onReset(r) }) },
			Rejoined: func(j client.Joined) { current(func() { a.onRejoined(j) }) },
			Error:    func(err error) { current(func() { a.onError(err) }) },
		},
	})
	if err != nil {
		panic(err) // the address is the page's own
	}
	a.client = c
	for _, r := range a.rooms.All {
		a.join(r)
	}
}

func (a *app) onState(s client.State) {
	next := chat.Pill{RTT: s.RTT, RetryAt: s.RetryAt, Relay: s.Relay, Region: s.Region}
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
	}
	a.say(a.pill.Update(next, time.Now()))
	a.touch(partPill)
}

func (a *app) onWelcome(w client.Welcome) {
	a.self = user(w.User)
	for _, r := range a.rooms.All {
		r.Timeline.Self = a.self.ID
	}
	a.touch(partPeople | partPill)
}

func (a *app) onMessage(m client.Message) {
	r := a.rooms.Find(m.Room)
	if r == nil {
		return
	}
	take := r.Take
	if m.Recovered {
		take = r.CatchUp
	}
	if take(message(m), a.looking(r)) {
		a.settled(r, m.From.ID, m.ID)
		a.touch(partList | partRooms | partTyping | partPeople)
	}
}

func (a *app) onSignal(s client.Signal) {
	r := a.rooms.Find(s.Room)
	if r == nil || s.From.ID == a.self.ID {
		return
	}
	var signal struct {
		Typing *bool `json:"typing"`
	}
	if json.Unmarshal(s.Data, &signal) != nil || signal.Typing == nil {
		return
	}
	if *signal.Typing {
		r.Typing.Heard(user(s.From), time.Now())
	} else {
		r.Typing.Stopped(s.From.ID)
	}
	if r.People.Heard(user(s.From)) {
		a.touch(partPeople)
	}
	if r == a.rooms.Current {
		a.touch(partTyping)
	}
}

func (a *app) onPresence(p client.Presence) {
	r := a.rooms.Find(p.Room)
	if r == nil {
		return
	}
	if p.Members != nil {
		r.People.Set(users(p.Members), p.Count, time.Now())
	} else {
		r.People.Change(users(p.Joined), users(p.Left), p.Count, time.Now())
		a.renamed(r, users(p.Renamed))
	}
	for _, u := range p.Left {
		r.Typing.Stopped(u.ID)
	}
	if r == a.rooms.Current {
		a.touch(partPeople | partTyping)
	}
}

// renamed takes new names of people in a room: one may be our own, which another tab has changed.
func (a *app) renamed(r *chat.Room, list []chat.User) {
	r.People.Renamed(list)
	for _, u := range list {
		if u.ID == a.self.ID {
			a.self, a.name = u, u.Name
			a.touch(partPeople)
		}
	}
}

// onReset marks the place from which on the room's history is another.
func (a *app) onReset(reset client.Reset) {
	r := a.rooms.Find(reset.Room)
	if r == nil {
		return
	}
	r.Return(chat.Arrival{Messages: messages(reset.Messages)}, a.looking(r))
	r.People.Count = reset.Count
	for _, m := range reset.Messages {
		a.settled(r, m.From.ID, m.ID)
	}
	a.pill.Note("History has a gap", time.Now())
	a.say("Messages may be missing in " + r.Name)
	a.touch(partAll)
}

// onRejoined tells what a reconnect brought; the messages have come one by one.
func (a *app) onRejoined(j client.Joined) {
	r := a.rooms.Find(j.Room)
	if r == nil {
		return
	}
	r.People.Set(members(j), j.Count, time.Now())
	if j.Recovered && j.Missed > 0 {
		a.say(a.pill.Recovered(j.Missed, time.Now()))
	}
	a.send(r)
	a.touch(partPill | partPeople)
}

// onError keeps what went wrong for whoever looks; a room that cannot be entered
// any more says so itself.
func (a *app) onError(err error) {
	window.Get("console").Call("warn", "setu: "+err.Error())
	var lost *client.RejoinError
	if !errors.As(err, &lost) {
		return
	}
	if r := a.rooms.Find(lost.Room); r != nil {
		r.Refused = reason(lost.Err)
		a.touch(partAll)
	}
}

// reason says in words why a request failed.
func reason(err error) string {
	var refused *client.Error
	switch {
	case errors.As(err, &refused):
		return refused.Message
	case errors.Is(err, client.ErrTimeout):
		return "no answer from the relay"
	case errors.Is(err, client.ErrTooManyPending):
		return "too many messages are waiting"
	}
	return "the relay could not be asked"
}
