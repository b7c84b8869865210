//go:build js && wasm

package main

import (
	"strconv"
	"syscall/js"

	"setu/wasmclient/chat"
)

// listen takes one listener per kind of event, on the document where the event
// rises that far. Callbacks never wait; what waits is started beside them.
func (a *app) listen() {
	on := func(target js.Value, kind string, capture bool, f func(event js.Value)) {
		target.Call("addEventListener", kind, js.FuncOf(func(_ js.Value, arguments []js.Value) any {
			a.with(func() { f(arguments[0]) })
			return nil
		}), capture)
	}
	on(document, "click", false, a.onClick)
	on(document, "submit", false, a.onSubmit)
	on(document, "keydown", false, a.onKey)
	on(document, "close", true, func(event js.Value) { a.onDialogClosed() })
	on(document, "visibilitychange", false, func(js.Value) { a.shown() })
	on(a.view.composer, "input", false, func(js.Value) { a.onInput() })
	on(a.view.messages, "scroll", false, func(js.Value) { a.onScroll() })
	on(window, "popstate", false, func(js.Value) { a.onAddress() })
	on(window, "pagehide", false, func(js.Value) { a.keepDraft() })
	if viewport := window.Get("visualViewport"); viewport.Truthy() {
		on(viewport, "resize", false, func(js.Value) { a.onViewport() })
	}
	observer := window.Get("ResizeObserver").New(js.FuncOf(func(js.Value, []js.Value) any {
		a.with(a.onResize)
		return nil
	}))
	observer.Call("observe", a.view.messages)
	observer.Call("observe", a.view.list.el)
}

func (a *app) onClick(event js.Value) {
	if leave := closest(event, "[data-leave]"); leave.Truthy() {
		a.leave(attribute(leave, "data-leave"))
		return
	}
	if link := closest(event, "[data-room]"); link.Truthy() {
		// With a key held down the browser opens a tab or a window of its own.
		for _, key := range []string{"metaKey", "ctrlKey", "shiftKey", "altKey"} {
			if event.Get(key).Bool() {
				return
			}
		}
		event.Call("preventDefault")
		a.enter(attribute(link, "data-room"), "pushState")
		a.focusUnlessTouch()
		return
	}
	if button := closest(event, "[data-do]"); button.Truthy() {
		a.do(attribute(button, "data-do"), button)
	}
}

// do is the table of what buttons do.
func (a *app) do(what string, button js.Value) {
	switch what {
	case "share":
		a.share()
	case "rename":
		a.askName()
	case "rooms", "people":
		a.drawer(what)
	case "close":
		a.drawer("")
	case "end":
		a.toEnd()
		a.focusUnlessTouch()
	case "try-now":
		if a.pill.Status == chat.Closed {
			a.connect()
		} else if a.client != nil {
			a.client.Retry()
		}
	case "retry", "discard", "unfold":
		key := attribute(button.Call("closest", ".message"), "data-key")
		switch what {
		case "retry":
			a.retry(key)
			a.focusUnlessTouch()
		case "discard":
			a.discard(key)
			a.focusUnlessTouch()
		case "unfold":
			a.rooms.Current.Timeline.Toggle(key)
			a.touch(partList)
		}
	}
}

func (a *app) onSubmit(event js.Value) {
	event.Call("preventDefault")
	switch event.Get("target").Get("id").String() {
	case "composer-form":
		a.submit()
	case "name-form":
		a.takeName()
	case "room-form":
		input := byID("room-input")
		if name := chat.CleanRoom(input.Get("value").String()); name != "" {
			input.Set("value", "")
			a.enter(name, "pushState")
			a.focusUnlessTouch()
		}
	}
}

func (a *app) onKey(event js.Value) {
	// An input method at work has all keys to itself; Safari tells by the code.
	if event.Get("isComposing").Bool() || event.Get("keyCode").Int() == 229 {
		return
	}
	key := event.Get("key")
	if key.Type() != js.TypeString {
		return
	}
	switch key.String() {
	case "Enter":
		if focused(a.view.composer) && sends(event) {
			event.Call("preventDefault")
			a.submit()
		}
	case "Escape":
		a.onEscape()
	case "/":
		if !isWriting(event.Get("target")) && !a.dialogOpen() {
			event.Call("preventDefault")
			a.focusComposer()
		}
	case "ArrowUp":
		if focused(a.view.composer) && a.recall() {
			event.Call("preventDefault")
		}
	}
}

// sends reports whether Enter sends. Where fingers write, it breaks the line, as
// there is no Shift beside it; the button sends.
func sends(event js.Value) bool {
	if event.Get("ctrlKey").Bool() || event.Get("metaKey").Bool() {
		return true
	}
	return !event.Get("shiftKey").Bool() && !event.Get("altKey").Bool() && !touch()
}

func touch() bool { return matchesMedia("(hover: none) and (pointer: coarse)") }

// focusUnlessTouch returns to the composer, but opens no one's keyboard.
func (a *app) focusUnlessTouch() {
	if !touch() {
		a.focusComposer()
	}
}

func isWriting(target js.Value) bool {
	return target.Truthy() && !target.Get("matches").IsUndefined() && target.Call("matches", "input, textarea").Bool()
}

func (a *app) onEscape() {
	switch {
	case a.dialogOpen():
	case a.view.drawer != "":
		a.drawer("")
	default:
		a.toEnd()
		a.focusComposer()
	}
}

func (a *app) onAddress() {
	location := window.Get("location")
	if name := chat.RoomAt(location.Get("pathname").String(), location.Get("search").String()); name != "" {
		a.enter(name, "")
	}
}

// onViewport makes room for the keyboard of a phone whose browser lays it over
// the page instead of shrinking the page.
func (a *app) onViewport() {
	viewport := window.Get("visualViewport")
	height, full := viewport.Get("height").Float(), window.Get("innerHeight").Float()
	style := document.Get("documentElement").Get("style")
	if viewport.Get("scale").Float() < 1.01 && full-height > 60 {
		style.Call("setProperty", "--height", strconv.Itoa(int(height))+"px")
		window.Call("scrollTo", 0, 0)
	} else {
		style.Call("removeProperty", "--height")
	}
}
