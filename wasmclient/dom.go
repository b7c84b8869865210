//go:build js && wasm

package main

import (
	"encoding/base64"
	"syscall/js"
)

var (
	window   = js.Global()
	document = window.Get("document")
)

func byID(id string) js.Value { return document.Call("getElementById", id) }

// clone returns a copy of a template's first element.
func clone(template js.Value) js.Value {
	return template.Get("content").Get("firstElementChild").Call("cloneNode", true)
}

// find returns the first element in another that matches a selector, or null.
func find(el js.Value, selector string) js.Value { return el.Call("querySelector", selector) }

// create returns a new element with a class and a text. Texts become text nodes alone; nothing in
// this program writes markup.
func create(tag, class, text string) js.Value {
	el := document.Call("createElement", tag)
	if class != "" {
		el.Set("className", class)
	}
	if text != "" {
		el.Set("textContent", text)
	}
	return el
}

func setText(el js.Value, text string) { el.Set("textContent", text) }

func appendText(el js.Value, text string) {
	el.Call("append", text)
}

func setAttr(el js.Value, name, value string) { el.Call("setAttribute", name, value) }

// setFlag sets an attribute without a value, or removes it.
func setFlag(el js.Value, name string, on bool) { el.Call("toggleAttribute", name, on) }

func show(el js.Value, on bool) { el.Set("hidden", !on) }

// attribute returns the value of an attribute, or "" if there is none.
func attribute(el js.Value, name string) string {
	v := el.Call("getAttribute", name)
	if v.IsNull() {
		return ""
	}
	return v.String()
}

// closest returns the innermost element around an event's target that matches a selector, or null.
func closest(event js.Value, selector string) js.Value {
	target := event.Get("target")
	if !target.Truthy() || target.Get("closest").IsUndefined() {
		return js.Null()
	}
	return target.Call("closest", selector)
}

func matchesMedia(query string) bool {
	return window.Call("matchMedia", query).Get("matches").Bool()
}

func isHidden() bool { return document.Get("hidden").Bool() }

func focused(el js.Value) bool { return document.Get("activeElement").Equal(el) }

// focusOn moves the focus to an element, and nothing else.
func focusOn(el js.Value) { el.Call("focus", map[string]any{"preventScroll": true}) }

// label is an element that shows a text. The document is changed only when the text changes.
type label struct {
	el   js.Value
	last string
	set  bool
}

func labelOf(id string) *label { return &label{el: byID(id)} }

func (l *label) write(text string) {
	if l.set && l.last == text {
		return
	}
	l.last, l.set = text, true
	setText(l.el, text)
}

// toggle is an element that is shown or hidden. The document is changed only when that changes.
type toggle struct {
	el      js.Value
	shown   bool
	written bool
}

func toggleOf(id string) *toggle { return &toggle{el: byID(id)} }

func (t *toggle) show(on bool) {
	if t.written && t.shown == on {
		return
	}
	t.written, t.shown = true, on
	show(t.el, on)
}

// await waits until a promise is settled, in a goroutine that may wait. It reports false if it was
// rejected.
func await(promise js.Value) (value js.Value, ok bool) {
	done := make(chan struct{})
	settle := func(resolved bool) js.Func {
		return js.FuncOf(func(_ js.Value, arguments []js.Value) any {
			value, ok = arguments[0], resolved
			close(done)
			return nil
		})
	}
	yes, no := settle(true), settle(false)
	promise.Call("then", yes, no)
	<-done
	yes.Release()
	no.Release()
	return value, ok
}

// stringsOf returns the texts of an array.
func stringsOf(array js.Value) []string {
	var out []string
	for i := range array.Length() {
		out = append(out, array.Index(i).String())
	}
	return out
}

// randomID returns random bytes from the browser's cryptographic source, in base64url.
func randomID(bytes int) string {
	array := window.Get("Uint8Array").New(bytes)
	window.Get("crypto").Call("getRandomValues", array)
	b := make([]byte, bytes)
	js.CopyBytesToGo(b, array)
	return base64.RawURLEncoding.EncodeToString(b)
}
