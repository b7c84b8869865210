//go:build js && wasm

package main

import (
	"context"
	"fmt"
	"sync"
	"syscall/js"
	"time"

	"setu/relay/client"
	"setu/wasmclient/chat"
)

// part names the parts of the page that can be out of date.
type part uint

const (
	partPill part = 1 << iota
	partRooms
	partPeople
	partTyping
	partList
	partComposer
	partAll part = 1<<iota - 1
)

// app is the program.
type app struct {
	// immutable after newApp
	view  *view
	clock *clock
	keep  *storage

	mu sync.Mutex // held for work on the fields below, never while waiting

	self    chat.User
	name    string // as chosen; empty for one that the relay makes up
	rooms   chat.Rooms
	pill    chat.Pill
	client  *client.Client
	session int // counts clients, so that the last one's news can be told apart
	senders map[string]*sender

	typedAt   time.Time // when one's own typing was last told
	toastTill time.Time

	stale     part
	scheduled bool
	frame     js.Func
	alarm     js.Func
	alarmAt   time.Time
	alarmID   js.Value
}

func newApp() *app {
	a := &app{view: newView(), clock: newClock(), keep: &storage{}, senders: make(map[string]*sender)}
	a.frame = js.FuncOf(func(js.Value, []js.Value) any {
		a.with(a.drawStale)
		return nil
	})
	a.alarm = js.FuncOf(func(js.Value, []js.Value) any {
		a.with(func() {
			a.alarmAt = time.Time{}
			a.touch(partPill | partPeople | partTyping)
		})
		return nil
	})
	return a
}

// with runs f with the app to itself. It is how everything from outside comes in,
// so it is also where a fault of ours ends.
func (a *app) with(f func()) {
	a.guard(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		f()
	})
}

// guard tells the person about a panic instead of leaving a page that is dead
// without a word. The loader reloads once.
func (a *app) guard(f func()) {
	defer func() {
		if r := recover(); r != nil {
			window.Get("console").Call("error", "setu: "+fmt.Sprint(r))
			window.Call("setuStop", "The chat's program made a mistake and stopped. Reload the page; what you wrote is kept.")
		}
	}()
	f()
}

// spawn runs f beside the callback that asks for it, since a callback that waits
// would stop the page.
func (a *app) spawn(f func()) { go a.guard(f) }

// within bounds a request to the relay.
func within(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

// touch notes that parts of the page are out of date, and has them drawn with the
// next frame. A page that nobody sees gets no frames, so a timer stands in.
func (a *app) touch(p part) {
	a.stale |= p
	if a.scheduled {
		return
	}
	a.scheduled = true
	if document.Get("hidden").Bool() {
		window.Call("setTimeout", a.frame, 50)
		return
	}
	window.Call("requestAnimationFrame", a.frame)
}

// shown is called when the page comes to be seen, or stops being: a frame that was
// asked for may then never come.
func (a *app) shown() {
	a.scheduled = false
	a.touch(partList | partRooms)
}

// wakeAt has the parts that depend on time drawn at a moment.
func (a *app) wakeAt(at time.Time) {
	if at.IsZero() || !a.alarmAt.IsZero() && !at.Before(a.alarmAt) {
		return
	}
	if !a.alarmAt.IsZero() {
		window.Call("clearTimeout", a.alarmID)
	}
	a.alarmAt = at
	a.alarmID = window.Call("setTimeout", a.alarm, max(1, time.Until(at).Milliseconds()+1))
}

// start reads what is kept and connects.
func (a *app) start() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.name = chat.CleanName(a.keep.get(keepName))
	a.restore()
	a.listen()
	if a.knowsName() {
		a.connect()
	}
	a.touch(partAll)
	a.drawStale()
	flag(document.Get("body"), "data-ready", true)
}

// looking reports whether the reader sees the end of a room at this moment.
func (a *app) looking(r *chat.Room) bool {
	return r == a.rooms.Current && a.view.stick && r.Timeline.AtEnd() && !document.Get("hidden").Bool()
}

// say tells a change of the page's state to who listens instead of looking.
func (a *app) say(sentence string) {
	if sentence != "" {
		a.view.status.write(sentence)
	}
}

// toast shows a short sentence for a moment.
func (a *app) toast(sentence string) {
	a.toastTill = time.Now().Add(3 * time.Second)
	a.view.toast.write(sentence)
	a.view.toastShown.show(true)
	a.say(sentence)
	a.touch(partPill)
}
