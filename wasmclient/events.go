//go:build js && wasm

package main

import (
	"strconv"
	"strings"
	"syscall/js"

	"setu/wasmclient/chat"
)

// listen adds one listener per kind of event, on the document if the event bubbles up to there.
// Callbacks never wait: what waits runs in a goroutine.
func (a *app) listen() {
	on := func(target js.Value, kind string, capture bool, f func(event js.Value)) {
		target.Call("addEventListener", kind, js.FuncOf(func(_ js.Value, arguments []js.Value) any {
			a.withLock(func() { f(arguments[0]) })
			return nil
		}), capture)
	}
	on(document, "click", false, a.onClick)
	on(document, "submit", false, a.onSubmit)
	on(document, "keydown", false, a.onKey)
	on(document, "close", true, func(event js.Value) { a.onDialogClosed() })
	on(document, "visibilitychange", false, func(js.Value) { a.onVisibility() })
	on(a.view.composer, "input", false, func(js.Value) { a.onInput() })
	on(a.view.messages, "scroll", false, func(js.Value) { a.onScroll() })
	on(window, "popstate", false, func(js.Value) { a.onPopState() })
	on(window, "pagehide", false, func(js.Value) { a.saveDraft() })
	on(window, "setu-token", false, func(js.Value) { a.onToken(takeAddressToken()) })
	on(window, "message", false, a.onParentMessage)
	if viewport := window.Get("visualViewport"); viewport.Truthy() {
		on(viewport, "resize", false, func(js.Value) { a.onViewport() })
	}
	observer := window.Get("ResizeObserver").New(js.FuncOf(func(js.Value, []js.Value) any {
		a.withLock(a.onResize)
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
		// With one of these keys the browser opens another tab or window.
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
		a.onAction(attribute(button, "data-do"), button)
	}
}

// onAction does what a button's data-do attribute names.
func (a *app) onAction(what string, button js.Value) {
	switch what {
	case "share":
		a.share()
	case "rename":
		a.openRename()
	case "rooms", "people":
		a.toggleDrawer(what)
	case "close":
		a.toggleDrawer("")
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
			a.invalidate(partList)
		}
	}
}

func (a *app) onSubmit(event js.Value) {
	event.Call("preventDefault")
	switch event.Get("target").Get("id").String() {
	case "composer-form":
		a.submit()
	case "token-form":
		input := byID("token")
		a.onToken(strings.TrimSpace(input.Get("value").String()))
		input.Set("value", "")
	case "name-form":
		a.saveName()
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
	// While an input method is composing, keys belong to it. Safari shows that by the key code
	// alone.
	if event.Get("isComposing").Bool() || event.Get("keyCode").Int() == 229 {
		return
	}
	key := event.Get("key")
	if key.Type() != js.TypeString {
		return
	}
	switch key.String() {
	case "Enter":
		if focused(a.view.composer) && isSendKey(event) {
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
		if focused(a.view.composer) && a.recallLast() {
			event.Call("preventDefault")
		}
	}
}

// isSendKey reports whether this press of Enter sends the message. On a touch screen it breaks the
// line, as there is no Shift key to do so; the button sends.
func isSendKey(event js.Value) bool {
	if event.Get("ctrlKey").Bool() || event.Get("metaKey").Bool() {
		return true
	}
	return !event.Get("shiftKey").Bool() && !event.Get("altKey").Bool() && !isTouchScreen()
}

// isTouchScreen reports whether the main pointing device is a finger.
func isTouchScreen() bool { return matchesMedia("(hover: none) and (pointer: coarse)") }

// focusUnlessTouch moves the focus to the composer, except on a touch screen, where that would open
// the keyboard.
func (a *app) focusUnlessTouch() {
	if !isTouchScreen() {
		a.focusComposer()
	}
}

func isWriting(target js.Value) bool {
	return target.Truthy() && !target.Get("matches").IsUndefined() && target.Call("matches", "input, textarea").Bool()
}

func (a *app) onEscape() {
	switch {
	case a.dialogOpen():
	case a.view.openDrawer != "":
		a.toggleDrawer("")
	default:
		a.toEnd()
		a.focusComposer()
	}
}

func (a *app) onPopState() {
	location := window.Get("location")
	if name := chat.RoomAt(location.Get("pathname").String(), location.Get("search").String()); name != "" {
		a.enter(name, "")
	}
}

// onViewport shrinks the page for the on-screen keyboard, if the browser lays that over the page
// instead.
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
