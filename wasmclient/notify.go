//go:build js && wasm

package main

import (
	"strconv"
	"time"

	"setu/wasmclient/chat"
)

// notifyView is the button that asks to be told of messages, and then switches that on and off.
type notifyView struct {
	notify      *toggle
	notifyLabel *label
}

// permission returns what the browser says of notifications: "default", "granted", "denied", or "" if it
// has none. Chromium asks another process for that, which takes nearly a millisecond: as much as ten messages.
func permission() (text string) {
	if api := window.Get("Notification"); api.Truthy() {
		text = api.Get("permission").String()
	}
	return text
}

func (a *app) notifies() bool { return a.storage.get(itemNotify) == "on" && permission() == "granted" }

func (a *app) drawNotify() {
	v, allowed := a.view, permission()
	v.notify.show(allowed != "")
	on := a.notifies()
	setAttr(v.notify.el, "aria-pressed", strconv.FormatBool(on))
	switch {
	case on:
		v.notifyLabel.write("Notifications are on")
	case allowed == "denied":
		v.notifyLabel.write("Notifications are blocked")
	default:
		v.notifyLabel.write("Notify me")
	}
}

// onNotify asks the browser for its permission, once; after that it switches notifications on and off.
func (a *app) onNotify() {
	switch {
	case a.notifies():
		a.storage.set(itemNotify, "")
	case permission() == "denied":
		a.toast("Your browser blocks notifications from this site. Allow them in its settings.")
		return
	case permission() == "granted":
		a.storage.set(itemNotify, "on")
	default:
		a.onPromise(window.Get("Notification").Call("requestPermission"), func() {
			if permission() == "granted" {
				a.storage.set(itemNotify, "on")
			}
			a.drawNotify()
		}, func() {})
	}
	a.drawNotify()
}

// tell notifies of a message that has just come, if it is not in view.
func (a *app) tell(r *chat.Room, e *chat.Entry, seen bool) {
	if !r.Tells(e, seen, time.Now(), a.notifies) {
		return
	}
	address := chat.MessageAddress(r.Name, chat.Target{Seq: e.Seq, Offset: e.Offset})
	window.Call("setuNotify", e.From.Name+" · "+r.Shown(), e.Body.Excerpt(), r.Name, address, e.Concerns)
}
