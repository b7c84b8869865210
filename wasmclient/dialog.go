//go:build js && wasm

package main

import (
	"cmp"
	"syscall/js"

	"setu/wasmclient/chat"
)

// ensureName reports whether to connect at once. If the user has no name yet, it opens the dialog,
// unless the user has answered that before the program ran.
func (a *app) ensureName() bool {
	if a.name != "" {
		dialog := byID("name-dialog")
		if dialog.Get("open").Bool() {
			dialog.Call("close")
		}
		return true
	}
	setText(byID("name-text"), "You are about to enter “"+a.rooms.Current.Shown()+"”. No account is needed.")
	if document.Get("body").Get("dataset").Get("early").Truthy() {
		a.saveName()
		return a.client == nil // otherwise saveName has connected
	}
	a.openDialog()
	return false
}

func (a *app) openDialog() {
	if dialog := byID("name-dialog"); !dialog.Get("open").Bool() {
		dialog.Call("showModal")
	}
}

// dialogOpen reports whether a dialog is open, that for the name or another one.
func (a *app) dialogOpen() bool { return find(document, "dialog[open]").Truthy() }

// openRename opens the dialog to ask for another name.
func (a *app) openRename() {
	if a.signIn.required || a.self.ID != "" && !a.self.Guest {
		a.toast("Your name comes with your sign-in")
		return
	}
	a.toggleDrawer("")
	setText(byID("name-title"), "Your name")
	setText(byID("name-text"), "Everybody in your rooms sees it at once.")
	setText(byID("name-send"), "Save")
	show(byID("name-cancel"), true)
	input := byID("name")
	input.Set("value", cmp.Or(a.name, a.self.Name))
	a.openDialog()
	input.Call("select")
}

// saveName takes the name in the dialog. A name is sent with CONNECT, so a new one needs a new
// connection; the key keeps the user the same.
func (a *app) saveName() {
	name := chat.CleanName(byID("name").Get("value").String())
	if name == "" {
		input := byID("name")
		input.Call("focus")
		a.openDialog()
		input.Call("setCustomValidity", "Choose a name that is to be seen.")
		input.Call("reportValidity")
		input.Call("setCustomValidity", "") // what is typed next is another one
		return
	}
	changed := name != a.name
	a.name = name
	a.storage.set(itemName, name)
	if changed {
		if a.client != nil && a.pill.Status != chat.Connected {
			a.toast("There is no connection. Others see your new name when there is one.")
		}
		a.connect()
	}
	if a.dialogOpen() {
		byID("name-dialog").Call("close")
	}
	a.invalidate(partPeople)
}

// onDialogClosed connects even if the user has given no name: the relay then makes one up.
func (a *app) onDialogClosed(event js.Value) {
	if event.Get("target").Get("id").String() != "name-dialog" {
		return // the browser moves the focus back to where it was
	}
	if a.client == nil && a.signIn.token == "" {
		a.connect()
	}
	a.focusUnlessTouch()
}

// toggleDrawer opens a side panel over the page, on a screen that is too narrow to show it beside
// the messages. The open one's name, or "", closes it.
func (a *app) toggleDrawer(name string) {
	v := a.view
	if name == v.openDrawer {
		name = ""
	}
	if name == "" && v.openDrawer == "" {
		return
	}
	closed := v.openDrawer
	v.openDrawer = name
	if name == "" {
		v.app.Call("removeAttribute", "data-drawer")
	} else {
		setAttr(v.app, "data-drawer", name)
	}
	setFlag(find(v.app, "main"), "inert", name != "")
	for _, which := range []string{"rooms", "people"} {
		setAttr(byID(which+"-button"), "aria-expanded", map[bool]string{true: "true", false: "false"}[name == which])
	}
	panel := map[string]string{"rooms": "rooms-panel", "people": "people"}[name]
	if panel == "" {
		byID(closed + "-button").Call("focus")
		return
	}
	if first := find(byID(panel), ".only-drawer"); first.Truthy() {
		first.Call("focus")
	}
}

// share passes the current room's link to the system's share dialog on touch screens, else to the
// clipboard.
func (a *app) share() {
	r := a.rooms.Current
	if r == nil {
		return
	}
	link := window.Get("location").Get("origin").String() + chat.RoomAddress(r.Name)
	navigator := window.Get("navigator")
	if isTouchScreen() && !navigator.Get("share").IsUndefined() {
		navigator.Call("share", map[string]any{"title": r.Shown(), "url": link}).Call("catch", a.view.ignoreRejection)
		return
	}
	a.copyText(link, "Link copied")
}

// copyText copies a text to the clipboard, and says that it did.
func (a *app) copyText(text, said string) {
	if clipboard := window.Get("navigator").Get("clipboard"); clipboard.Truthy() {
		a.onPromise(clipboard.Call("writeText", text),
			func() { a.toast(said) },
			func() { a.copyWithCommand(text, said) })
		return
	}
	a.copyWithCommand(text, said)
}

// copyWithCommand copies a text on pages without https, which may not use the clipboard's API. If
// it can't, it shows the text.
func (a *app) copyWithCommand(text, said string) {
	before := document.Get("activeElement")
	field := create("textarea", "hidden", "")
	field.Set("value", text)
	document.Get("body").Call("append", field)
	field.Call("select")
	copied := false
	tryJS(func() { copied = document.Call("execCommand", "copy").Bool() })
	field.Call("remove")
	if before.Truthy() {
		focusOn(before)
	}
	if copied {
		a.toast(said)
	} else {
		a.toast(text)
	}
}

// onPromise calls one of two functions, under the lock, when a promise is settled.
func (a *app) onPromise(promise js.Value, resolved, rejected func()) {
	var yes, no js.Func
	finish := func(f func()) any {
		yes.Release()
		no.Release()
		a.withLock(f)
		return nil
	}
	yes = js.FuncOf(func(js.Value, []js.Value) any { return finish(resolved) })
	no = js.FuncOf(func(js.Value, []js.Value) any { return finish(rejected) })
	promise.Call("then", yes, no)
}
