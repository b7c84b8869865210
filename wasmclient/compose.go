//go:build js && wasm

package main

import (
	"strconv"
	"time"

	"setu/relay/client"
	"setu/wasmclient/chat"
)

func (a *app) composerText() string { return a.view.composer.Get("value").String() }

// setComposer sets the composer's text, and the caret behind it.
func (a *app) setComposer(text string) {
	v := a.view
	v.composer.Set("value", text)
	v.composer.Call("setSelectionRange", len(text)*2, len(text)*2)
	a.invalidate(partComposer)
}

func (a *app) focusComposer() {
	focusOn(a.view.composer)
}

// onInput is called when the composer's text changes.
func (a *app) onInput() {
	a.invalidate(partComposer)
	r := a.rooms.Current
	now := time.Now()
	if r == nil || r.Denied.Signal || a.pill.Status != chat.Connected || now.Sub(a.typingSentAt) < chat.TypingInterval {
		return
	}
	if chat.Clean(a.composerText()) == "" {
		return
	}
	a.typingSentAt = now
	c, name := a.client, r.Name
	a.goGuarded(func() { signalTyping(c, name, true) })
}

func signalTyping(c *client.Client, room string, typing bool) {
	_ = c.Signal(room, map[string]bool{"typing": typing}) // signals may be dropped
}

// drawComposer sets the composer's size, and whether its text can be sent.
func (a *app) drawComposer() {
	v := a.view
	a.drawNotice()
	if !v.grows {
		style := v.composer.Get("style")
		style.Set("height", "auto")
		style.Set("height", strconv.Itoa(v.composer.Get("scrollHeight").Int())+"px")
	}
	text := a.composerText()
	length := chat.Length(text)
	over := length > chat.MaxText
	a.saveDraft()
	off := !a.mayWrite() || over || chat.Clean(text) == "" && !a.rooms.Current.HasPicture()
	if off != v.sendOff {
		v.sendOff = off
		v.send.Set("disabled", off)
	}
	switch {
	case over:
		v.counter.write(chat.TooLongText(length))
	case length > chat.MaxText*9/10:
		v.counter.write(chat.Thousands(chat.MaxText-length) + " characters left")
	}
	long, preparing := length > chat.MaxText*9/10, a.rooms.Current != nil && a.rooms.Current.Preparing
	if preparing && !long {
		v.counter.write(chat.PreparingText)
	}
	setFlag(v.counter.el, "data-over", over)
	v.counterOn.show(long || preparing)
}

// mayWrite reports whether this user may write in the open room, as far as is known. Who is nobody yet
// may not: what they wrote would be whose token comes next.
func (a *app) mayWrite() bool {
	return a.rooms.Current != nil && a.rooms.Current.MayWrite() && a.signIn.status != chat.SignInNeeded
}

// drawNotice says above the composer why one may not write, or that one has to sign in.
func (a *app) drawNotice() {
	v, status := a.view, a.signIn.status
	sentence := status.Sentence()
	if r := a.rooms.Current; r != nil && sentence == "" {
		if sentence = r.Notice(); r.Retrying() && a.pill.StoreSilent() {
			sentence = "" // the banner says it
		}
	}
	if sentence != "" {
		v.notice.write(sentence)
	}
	v.noticeOn.show(sentence != "")
	setFlag(v.noticeOn.el, "data-sign-in", status != chat.SignedIn)
	v.tokenForm.show(status != chat.SignedIn)
	if off := a.rooms.Current != nil && !a.mayWrite(); off != v.composerOff {
		v.composerOff = off
		v.composer.Set("disabled", off)
		v.attach.Set("disabled", off)
		switchReactions(off)
	}
}

// submit sends the composer's text.
func (a *app) submit() {
	text := a.composerText()
	clean := chat.Clean(text)
	if !a.mayWrite() || clean == "" && !a.rooms.Current.HasPicture() {
		return
	}
	if n := chat.Length(text); n > chat.MaxText {
		a.announce(chat.TooLongText(n))
		a.invalidate(partComposer)
		return
	}
	if r := a.rooms.Current; r.Edit != nil {
		if clean != "" {
			a.submitEdit(r, clean)
		}
		return
	}
	if r := a.rooms.Current; r.Preparing {
		r.SendPrepared = true
		a.toast("This is sent when the picture is ready")
		return
	}
	a.setComposer("")
	a.typingSentAt = time.Time{}
	a.post(a.takeAttached(clean))
	a.focusComposer()
}

// recallLast puts the text of this user's last message into an empty composer, to be sent as a new one; into
// a message that is edited it puts nothing. It reports whether it did.
func (a *app) recallLast() bool {
	r := a.rooms.Current
	if r == nil || r.Edit != nil || a.composerText() != "" {
		return false
	}
	text := r.Timeline.LastOwn()
	if text == "" {
		return false
	}
	a.setComposer(text)
	a.announce("Your last text, for a new message")
	return true
}

// saveDraft stores the composer's text for the current room. While a message is edited it is that one's,
// and the draft stays as it was.
func (a *app) saveDraft() {
	r := a.rooms.Current
	if r == nil {
		return
	}
	if r.Edit != nil {
		r.Edit.Text = a.composerText()
	} else {
		a.storeDraft(r.Name, a.composerText())
	}
	a.saveWriting(r)
}

// storeDraft stores what is being written in a room. If that is nothing, what another tab has stored stays.
func (a *app) storeDraft(room, text string) {
	item, before := itemDraft+room, a.drafts[room]
	a.drafts[room] = text
	if text != "" || before != "" && a.storage.get(item) == before {
		a.storage.set(item, text)
	}
}

func (a *app) loadDraft() {
	text := ""
	if r := a.rooms.Current; r != nil {
		if text = a.storage.get(itemDraft + r.Name); r.Edit != nil {
			text = r.Edit.Text
		} else {
			a.drafts[r.Name] = text
		}
	}
	a.setComposer(text)
}
