//go:build js

package client

import "syscall/js"

// random fills b from the browser's source for secrets. The standard library's crypto/rand does the same, with 50 KB
// of program (compressed) around it.
func random(b []byte) {
	array := js.Global().Get("Uint8Array").New(len(b))
	js.Global().Get("crypto").Call("getRandomValues", array)
	js.CopyBytesToGo(b, array)
}

// listen calls look when the network has come back, or the page into view: timers of hidden pages sleep, and so may
// have the connection.
func listen(look func()) (stop func()) {
	document := js.Global().Get("document")
	online := js.FuncOf(func(js.Value, []js.Value) any {
		look()
		return nil
	})
	shown := js.FuncOf(func(js.Value, []js.Value) any {
		if document.Get("visibilityState").String() == "visible" {
			look()
		}
		return nil
	})
	pairs := []struct {
		target js.Value
		event  string
		f      js.Func
	}{{js.Global(), "online", online}, {document, "visibilitychange", shown}}
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
			p.f.Release()
		}
	}
}
