//go:build js && wasm

// Command wasmclient brings the chat page to life: it talks to the relay through
// relay/client, keeps what it knows in package chat, and draws.
//
// The document costs more than anything else here, so it is touched in one batch
// per animation frame, and listened to through one listener per kind of event.
package main

func main() {
	a := newApp()
	a.guard(a.start)
	select {} // callbacks do the rest
}
