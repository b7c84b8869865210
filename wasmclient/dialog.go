//go:build js && wasm

package main

import (
	"syscall/js"

	"setu/wasmclient/chat"
)

// knowsName reports whether to connect at once. Who has no name yet is asked for
// one, and may have answered before the program ran.
func (a *app) knowsName() bool {
	if a.name != "" {
		dialog := byID("name-dialog")
		if dialog.Get("open").Bool() {
			dialog.Call("close")
		}
		return true
	}
	setText(byID("name-text"), "You are about to enter “"+a.rooms.Current.Name+"”. No account is needed.")
	if document.Get("body").Get("dataset").Get("early").Truthy() {
		a.takeName()
		return a.client == nil // taking the name has connected otherwise
	}
	a.openDialog()
	return false
}

func (a *app) openDialog() {
	if dialog := byID("name-dialog"); !dialog.Get("open").Bool() {
		dialog.Call("showModal")
	}
}

func (a *app) dialogOpen() bool { return byID("name-dialog").Get("open").Bool() }

// askName asks for another name.
func (a *app) askName() {
	a.drawer("")
	setText(byID("name-title"), "Your name")
	setText(byID("name-text"), "Others in the room see it, from your next message on.")
	setText(byID("name-send"), "Save")
	input := byID("name")
	input.Set("value", or(a.name, a.self.Name))
	a.openDialog()
	input.Call("select")
}

// takeName takes what the dialog holds. A name is told when connecting, so another
// one takes another connection; the key keeps one the same user.
func (a *app) takeName() {
	name := chat.CleanName(byID("name").Get("value").String())
	if name == "" {
		byID("name").Call("focus")
		a.openDialog()
		return
	}
	changed := name != a.name
	a.name = name
	a.keep.set(keepName, name)
	if changed {
		a.connect()
	}
	if a.dialogOpen() {
		byID("name-dialog").Call("close")
	}
	a.touch(partPeople)
}

// onDialogClosed goes on, also where somebody would not give a name: the relay
// makes one up.
func (a *app) onDialogClosed() {
	if a.client == nil {
		a.connect()
	}
	a.focusUnlessTouch()
}

// drawer opens a side panel over the page, on a screen too narrow for it; "" or
// the open one's name closes.
func (a *app) drawer(name string) {
	v := a.view
	if name == v.drawer {
		name = ""
	}
	if name == "" && v.drawer == "" {
		return
	}
	closed := v.drawer
	v.drawer = name
	if name == "" {
		v.app.Call("removeAttribute", "data-drawer")
	} else {
		setAttr(v.app, "data-drawer", name)
	}
	flag(find(v.app, "main"), "inert", name != "")
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

// share hands the open room's link to the system, or to the clipboard.
func (a *app) share() {
	r := a.rooms.Current
	if r == nil {
		return
	}
	link := window.Get("location").Get("origin").String() + chat.RoomAddress(r.Name)
	navigator := window.Get("navigator")
	if touch() && !navigator.Get("share").IsUndefined() {
		navigator.Call("share", map[string]any{"title": r.Name, "url": link}).Call("catch", a.view.ignore)
		return
	}
	if clipboard := navigator.Get("clipboard"); clipboard.Truthy() {
		a.then(clipboard.Call("writeText", link),
			func() { a.toast("Link copied") },
			func() { a.copyOldWay(link) })
		return
	}
	a.copyOldWay(link)
}

// copyOldWay serves pages without https, where there is no clipboard to write to.
func (a *app) copyOldWay(link string) {
	field := create("textarea", "hidden", "")
	field.Set("value", link)
	document.Get("body").Call("append", field)
	field.Call("select")
	copied := false
	attempt(func() { copied = document.Call("execCommand", "copy").Bool() })
	field.Call("remove")
	if copied {
		a.toast("Link copied")
	} else {
		a.toast(link)
	}
}

// then waits for a promise.
func (a *app) then(promise js.Value, kept, broken func()) {
	var yes, no js.Func
	finish := func(f func()) any {
		yes.Release()
		no.Release()
		a.with(f)
		return nil
	}
	yes = js.FuncOf(func(js.Value, []js.Value) any { return finish(kept) })
	no = js.FuncOf(func(js.Value, []js.Value) any { return finish(broken) })
	promise.Call("then", yes, no)
}
