//go:build js && wasm

// Command wasmclient is the chat page's program. It connects to the relay with relay/client, keeps
// the model in package chat, and draws the page.
//
// Access to the document costs more than anything else here, so it is done in one batch per
// animation frame, and there is one listener per kind of event.
package main

func main() {
	a := newApp()
	a.reportPanic(a.start)
	select {} // everything else happens in callbacks and their goroutines
}
