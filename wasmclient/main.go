//go:build js && wasm

// Command wasmclient is the chat page's program. It connects to the relay with relay/client, keeps
// the model in package chat, and draws the page.
//
// What decides is in package chat; here are what asks the relay, what draws, and what people do:
//
//	app        the state, and what holds it together: the lock, frames, the start
//	session    the client: its connection and its events; convert, its types to the model's
//	rooms      entering and leaving; history, what is loaded on demand; tabs, what other tabs do
//	compose    writing; attach, its picture and what it answers; send, the queue of what is written;
//	           storage, what outlives the page
//	signin     tokens, also from a page around this one; dialog, names, drawers, the link
//	events     the listeners; scroll, what scrolling means
//	bridge     where people and relays are: the drawing, the way of a message, ways in by other regions
//	events     the listeners; scroll, what scrolling means; seek, the way to a message; notify, what is
//	           told of those that are not in view
//	view       the elements; draw, list, roomlist, people write into them; clock, dom help
//	row        a message's row, and the others; plain, those that page.js writes; body, what a message says, by its kind
//	served     what the relay has written into the page; saved, what is shown without a connection
//
// What takes many calls of the browser and decides nothing is a script, ../public/page.js: the bar of a
// message's actions, the list of people to mention, making pictures smaller, the rows of messages that are but
// a text.
//
// Access to the document costs more than anything else here, so it is done in one batch per
// animation frame, and there is one listener per kind of event.
package main

func main() {
	a := newApp()
	a.reportPanic(a.start)
	select {} // everything else happens in callbacks and their goroutines
}
