//go:build js

package client

import "syscall/js"

// random fills b from the browser's cryptographic source. crypto/rand does the same, but adds 50 kB
// (compressed) to the program.
func random(b []byte) {
	array := js.Global().Get("Uint8Array").New(len(b))
	js.Global().Get("crypto").Call("getRandomValues", array)
	js.CopyBytesToGo(b, array)
}

// listen calls check when the network has come back or gone, as far as the browser knows, or the page
// has become visible: timers of a hidden page are throttled, so its connection may have died unnoticed; or
// when somebody has come back to a page that they had left.
func listen(check func()) (stop func()) {
	document := js.Global().Get("document")
	network := js.FuncOf(func(js.Value, []js.Value) any {
		check()
		return nil
	})
	visible := js.FuncOf(func(js.Value, []js.Value) any {
		if document.Get("visibilityState").String() == "visible" {
			check()
		}
		return nil
	})
	pairs := []struct {
		target js.Value
		event  string
		f      js.Func
	}{{js.Global(), "online", network}, {js.Global(), "offline", network}, {js.Global(), "pageshow", network}, {document, "visibilitychange", visible}}
	for _, p := range pairs {
		if p.target.Truthy() && p.target.Get("addEventListener").Truthy() {
			p.target.Call("addEventListener", p.event, p.f)
		}
	}
	return func() {
		for _, p := range pairs {
			if p.target.Truthy() && p.target.Get("removeEventListener").Truthy() {
				p.target.Call("removeEventListener", p.event, p.f)
			}
		}
		network.Release()
		visible.Release()
	}
}
