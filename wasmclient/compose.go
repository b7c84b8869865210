//go:build js && wasm

package main

import (
	"strconv"
	"time"

	"setu/relay/client"
	"setu/wasmclient/chat"
)

func (a *app) composerText() string { return a.view.composer.Get("value").String() }

// setComposer puts a text in and the caret behind it.
func (a *app) setComposer(text string) {
	v := a.view
	v.composer.Set("value", text)
	v.composer.Call("setSelectionRange", len(text)*2, len(text)*2)
	a.touch(partComposer)
}

func (a *app) focusComposer() {
	a.view.composer.Call("focus", map[string]any{"preventScroll": true})
}

// onInput follows what is being written.
func (a *app) onInput() {
	a.touch(partComposer)
	r := a.rooms.Current
	now := time.Now()
	if r == nil || a.pill.Status != chat.Connected || now.Sub(a.typedAt) < chat.TypingEvery {
		return
	}
	if chat.Clean(a.composerText()) == "" {
		return
	}
	a.typedAt = now
	c, name := a.client, r.Name
	a.spawn(func() { signalTyping(c, name, true) })
}

func signalTyping(c *client.Client, room string, typing bool) {
	_ = c.Signal(room, map[string]bool{"typing": typing}) // may be dropped
}

// drawComposer sizes the composer and says whether its text can be sent.
func (a *app) drawComposer() {
	v := a.view
	if !v.grows {
		style := v.composer.Get("style")
		style.Set("height", "auto")
		style.Set("height", strconv.Itoa(v.composer.Get("scrollHeight").Int())+"px")
	}
	text := a.composerText()
	length := chat.Length(text)
	over := length > chat.MaxText
	a.keepDraft()
	off := a.rooms.Current == nil || over || chat.Clean(text) == ""
	if off != v.sendOff {
		v.sendOff = off
		v.send.Set("disabled", off)
	}
	switch {
	case over:
		v.counter.write(chat.TooLong(length))
	case length > chat.MaxText*9/10:
		v.counter.write(chat.Thousands(chat.MaxText-length) + " characters left")
	}
	flag(v.counter.el, "data-over", over)
	v.counterOn.show(length > chat.MaxText*9/10)
}

// submit sends what the composer holds.
func (a *app) submit() {
	text := a.composerText()
	clean := chat.Clean(text)
	if a.rooms.Current == nil || clean == "" {
		return
	}
	if n := chat.Length(text); n > chat.MaxText {
		a.say(chat.TooLong(n))
		a.touch(partComposer)
		return
	}
	a.setComposer("")
	a.typedAt = time.Time{}
	a.write(clean)
	a.focusComposer()
}

// recall brings back the text of one's last message.
func (a *app) recall() bool {
	r := a.rooms.Current
	if r == nil || a.composerText() != "" {
		return false
	}
	text := r.Timeline.LastOwn()
	if text == "" {
		return false
	}
	a.setComposer(text)
	return true
}

// keepDraft remembers what is being written in the open room.
func (a *app) keepDraft() {
	if r := a.rooms.Current; r != nil {
		a.keep.set(keepDraft+r.Name, a.composerText())
	}
}

func (a *app) loadDraft() {
	text := ""
	if r := a.rooms.Current; r != nil {
		text = a.keep.get(keepDraft + r.Name)
	}
	a.setComposer(text)
}
