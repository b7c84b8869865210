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

// part is a set of parts of the page, each drawn by itself.
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

// app is the program's state.
type app struct {
	// immutable after newApp
	view        *view
	clock       *clock
	storage     *storage
	drawFrame   js.Func
	afterFrame  js.Func // is called when the browser has laid a frame out and painted it
	redrawTimer js.Func

	saveSeenTimer js.Func
	widenTimer    js.Func

	// guarded by mu, which is never held while waiting
	mu       sync.Mutex
	self     chat.User
	name     string // as chosen by the user; empty: the relay makes one up
	former   string // the id of the guest who was here last; empty: nobody was
	rooms    chat.Rooms
	pill     chat.Pill
	client   *client.Client
	session  int // counts clients: events of former ones are ignored
	senders  map[string]*sender
	writing  map[string]string        // by room: what saveWriting has stored last
	drafts   map[string]string        // by room: what this page has stored or loaded last as a draft
	pictures map[string]*chat.Picture // by room that was left: what was to go with the message that was being written
	signIn   signIn

	picturing *chat.Room // for which a picture is prepared; nil: none is

	unsaved map[string]*chat.Room // of which it is not stored yet how far they are read

	relays    []chat.Relay // as the relay has told of them, its own first
	through   string       // the region by which the address asks to come in; empty: any
	broughtTo string       // the region by which the page came in last

	replaced bool // the page is about to start anew, for another user

	typingSentAt time.Time // when this user's typing was last signalled
	toastUntil   time.Time

	pace           chat.Pace // of drawFrame
	stale          part
	hidden         bool // the page is: noted, since to ask for each message costs more than the message
	frameRequested bool
	redrawTime     time.Time
	redrawTimerID  js.Value
}

func newApp() *app {
	a := &app{view: newView(), clock: newClock(), storage: &storage{}, senders: make(map[string]*sender), writing: make(map[string]string), drafts: make(map[string]string), pictures: make(map[string]*chat.Picture), hidden: isHidden()}
	a.signIn.came = make(chan struct{})
	a.signIn.required = attribute(document.Get("body"), "data-auth") == "required"
	a.drawFrame = js.FuncOf(func(js.Value, []js.Value) any {
		a.withLock(a.drawPaced)
		return nil
	})
	a.afterFrame = js.FuncOf(func(js.Value, []js.Value) any {
		a.withLock(func() { a.pace.Done(time.Now()) })
		return nil
	})
	a.redrawTimer = js.FuncOf(func(js.Value, []js.Value) any {
		a.withLock(func() {
			a.redrawTime = time.Time{}
			a.invalidate(partPill | partPeople | partTyping)
		})
		return nil
	})
	a.saveSeenTimer = js.FuncOf(func(js.Value, []js.Value) any {
		a.withLock(a.saveSeen)
		return nil
	})
	a.widenTimer = js.FuncOf(func(js.Value, []js.Value) any {
		a.withLock(a.widen)
		return nil
	})
	return a
}

// withLock runs f while holding mu. Every callback and goroutine goes through it, so it also
// reports panics.
func (a *app) withLock(f func()) {
	a.reportPanic(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		f()
	})
}

// reportPanic runs f. If that panics, the page says so instead of just stopping; the loader may
// reload it first.
func (a *app) reportPanic(f func()) {
	defer func() {
		if r := recover(); r != nil {
			window.Get("console").Call("error", "setu: "+fmt.Sprint(r))
			window.Call("setuStop", "The chat's program made a mistake and stopped. Reload the page; what you wrote is kept.")
		}
	}()
	f()
}

// goGuarded runs f in a goroutine of its own: a callback that waits would stop the page. Nobody
// waits for it, as the program ends only with the page.
func (a *app) goGuarded(f func()) { go a.reportPanic(f) }

// timeoutContext returns the context of a request to the relay. It is canceled after a time, as
// context.WithTimeout's would be, which takes 15 kB more of the program.
func timeoutContext(d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	timer := time.AfterFunc(d, cancel)
	return ctx, func() {
		timer.Stop()
		cancel()
	}
}

// invalidate marks parts of the page as out of date, and has them drawn in the next animation
// frame. A hidden page gets no frames, so a timer is used there.
func (a *app) invalidate(p part) {
	a.stale |= p
	if a.frameRequested {
		return
	}
	a.frameRequested = true
	if a.hidden {
		window.Call("setTimeout", a.drawFrame, 50)
		return
	}
	window.Call("requestAnimationFrame", a.drawFrame)
}

// onVisibility is called when the page becomes visible or hidden. A frame requested before may
// never come, so it requests one anew.
func (a *app) onVisibility() {
	if a.hidden = isHidden(); a.hidden {
		a.saveSeen()
		a.saveScreens()
	}
	a.frameRequested = false
	a.invalidate(partList | partRooms)
}

// redrawAt has the parts that depend on the time drawn at a given time, unless they are to be drawn
// before that anyway. Zero means never.
func (a *app) redrawAt(at time.Time) {
	if at.IsZero() || !a.redrawTime.IsZero() && !at.Before(a.redrawTime) {
		return
	}
	if !a.redrawTime.IsZero() {
		window.Call("clearTimeout", a.redrawTimerID)
	}
	a.redrawTime = at
	a.redrawTimerID = window.Call("setTimeout", a.redrawTimer, max(1, time.Until(at).Milliseconds()+1))
}

// start restores what is stored and connects.
func (a *app) start() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.name, a.former = chat.CleanName(a.storage.get(itemName)), a.storage.get(itemUser)
	a.signIn.token = takeAddressToken()
	a.view.takeServed()
	a.restore()
	a.listen()
	a.drawNotify()
	if isFramed() {
		a.embed(a.begin)
	} else {
		a.begin()
	}
	a.tellUnsent()
	a.invalidate(partAll)
	a.drawStale()
	if !a.dialogOpen() && focused(document.Get("body")) {
		a.focusUnlessTouch()
	}
	setFlag(document.Get("body"), "data-ready", true)
}

// begin connects, unless that has been done, or there is no token where one is required, or a guest
// is asked for a name first.
func (a *app) begin() {
	switch {
	case a.client != nil:
	case a.signIn.token == "" && a.signIn.required:
		a.needToken()
	case a.signIn.token != "" || a.ensureName():
		a.connect()
	}
}

// readsEnd reports whether the end of a room is in view at this moment.
func (a *app) readsEnd(r *chat.Room) bool {
	return r == a.rooms.Current && a.view.followEnd && r.Timeline.AtEnd() && !a.hidden
}

// announce has a screen reader say a sentence.
func (a *app) announce(sentence string) {
	if sentence != "" {
		a.view.status.set = false // the same one is said again, too
		a.view.status.write(sentence)
	}
}

// toast shows a short sentence for three seconds.
func (a *app) toast(sentence string) {
	a.toastUntil = time.Now().Add(3 * time.Second)
	a.view.toast.write(sentence)
	a.view.toastShown.show(true)
	a.announce(sentence)
	a.invalidate(partPill)
}
