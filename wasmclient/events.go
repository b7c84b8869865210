//go:build js && wasm

package main

import (
	"strconv"
	"strings"
	"syscall/js"
	"unicode/utf8"

	"setu/wasmclient/chat"
)

// listen adds one listener per kind of event, on the document if the event bubbles up to there.
// Callbacks never wait: what waits runs in a goroutine.
func (a *app) listen() {
	a.on(document, "click", a.onClick)
	a.on(document, "submit", a.onSubmit)
	a.on(document, "keydown", a.onKey)
	for _, dialog := range []string{"name-dialog", "picture-dialog"} { // it does not bubble
		a.on(byID(dialog), "close", a.onDialogClosed)
	}
	a.on(document, "visibilitychange", func(js.Value) { a.onVisibility() })
	a.on(byID("connection"), "beforetoggle", func(js.Value) { a.askRelays() })
	a.on(a.view.composer, "input", func(js.Value) { a.onInput() })
	a.on(a.view.messages, "scroll", func(js.Value) { a.onScroll() })
	a.on(window, "popstate", func(js.Value) { a.onPopState() })
	a.on(window, "pagehide", func(js.Value) {
		a.saveDraft()
		a.saveSeen()
		a.saveScreens()
	})
	a.on(window, "setu-token", func(js.Value) { a.onToken(takeAddressToken()) })
	a.on(window, "message", a.onParentMessage)
	a.on(window, "storage", a.onStorage)
	if viewport := window.Get("visualViewport"); viewport.Truthy() {
		a.on(viewport, "resize", func(js.Value) { a.onViewport() })
	}
	a.listenPictures()
	window.Set("setuPeople", js.FuncOf(func(_ js.Value, arguments []js.Value) any { return a.people(arguments[0].String()) }))
	observer := window.Get("ResizeObserver").New(js.FuncOf(func(js.Value, []js.Value) any {
		a.withLock(a.onResize)
		return nil
	}))
	observer.Call("observe", a.view.messages)
	observer.Call("observe", a.view.list.el)
}

// on has f called with the events of a kind that reach an element.
func (a *app) on(target js.Value, kind string, f func(event js.Value)) {
	target.Call("addEventListener", kind, js.FuncOf(func(_ js.Value, arguments []js.Value) any {
		a.withLock(func() {
			if kind != "scroll" { // which the program does, too
				a.pace.Hurry()
			}
			f(arguments[0])
		})
		return nil
	}))
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
	case "unread":
		a.toDivider()
	case "write":
		if a.focusComposer(); !focused(a.view.composer) { // it may be off
			a.view.messages.Call("focus")
		}
	case "cancel":
		byID("name-dialog").Call("close")
	case "try-now":
		if a.pill.Status == chat.Closed {
			a.connect()
		} else if a.client != nil {
			a.client.Retry()
		}
	case "notify":
		a.onNotify()
	case "no-picture", "no-reply", "no-edit":
		a.dropAttached(what)
	case "close-picture":
		byID("picture-dialog").Call("close")
	default:
		a.onRowAction(what, button)
	}
}

// onRowAction is onAction for the buttons in a message's own row, or in what has been opened of it.
func (a *app) onRowAction(what string, button js.Value) {
	row, r := button.Call("closest", "[data-key]"), a.rooms.Current
	if !row.Truthy() || r == nil {
		return
	}
	key := attribute(row, "data-key")
	e := r.Timeline.Find(key)
	switch what {
	case "retry":
		a.retry(key)
		a.focusUnlessTouch()
	case "discard":
		a.discard(key)
		a.focusUnlessTouch()
	case "unfold":
		r.Timeline.Toggle(key)
		a.invalidate(partList)
	case "quoted":
		a.seek(r, chat.TargetAt(attribute(button, "data-place")))
	case "reply":
		if r.Edit != nil {
			a.setEditAside(r)
		}
		r.Reply = chat.ReplyTo(e)
		a.focusComposer()
		a.invalidate(partComposer)
	case "copy":
		if e != nil {
			a.copyText(e.Body.Copied(), "Message copied")
		}
	case "link":
		if e != nil {
			a.copyText(window.Get("location").Get("origin").String()+chat.MessageAddress(r.Name, chat.Target{Seq: e.Seq, Offset: e.Offset}), "Link copied")
		}
	case "react":
		a.react(r, e, attribute(button, "data-value"))
	case "edit":
		a.beginEdit(r, key)
	case "no-words":
		a.dropAside(r, key)
		a.focusUnlessTouch()
	case "delete":
		a.remove(r, e)
	case "picture":
		a.openPicture(e)
	case "save":
		n, _ := strconv.Atoi(attribute(button, "data-file"))
		a.saveFile(e, n)
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
	default:
		a.onCharacter(event, key.String())
	}
}

// onCharacter moves the focus to the composer if somebody begins to write where nothing else takes it.
func (a *app) onCharacter(event js.Value, key string) {
	if utf8.RuneCountInString(key) != 1 || key == " " || event.Get("ctrlKey").Bool() || event.Get("metaKey").Bool() || event.Get("altKey").Bool() {
		return
	}
	if target := event.Get("target"); target.Equal(document.Get("body")) || target.Equal(a.view.messages) || target.Call("matches", ".message").Bool() {
		a.focusComposer()
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
	case a.dialogOpen(), popoverOpen(): // the browser closes it
	case a.view.openDrawer != "":
		a.toggleDrawer("")
	case a.rooms.Current != nil && focused(a.view.composer) && a.rooms.Current.Edit != nil:
		a.dropAttached("no-edit")
	case a.rooms.Current != nil && focused(a.view.composer) && a.rooms.Current.Reply != nil:
		a.dropAttached("no-reply")
	default:
		if r := a.rooms.Current; r != nil && r.Timeline.Unmark() {
			a.invalidate(partList)
		}
		a.toEnd()
		a.focusComposer()
	}
}

// popoverOpen reports whether a popover is open.
func popoverOpen() (open bool) {
	tryJS(func() { open = find(document, ":popover-open").Truthy() }) // not all browsers know the selector
	return open
}

func (a *app) onPopState() {
	location := window.Get("location")
	if name := chat.RoomAt(location.Get("pathname").String(), location.Get("search").String()); name != "" {
		a.enter(name, "")
		a.takePlace()
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
