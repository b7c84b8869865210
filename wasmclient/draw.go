//go:build js && wasm

package main

import (
	"strconv"
	"time"

	"setu/wasmclient/chat"
)

// drawStale brings the page up to date. All reading and writing of the document
// that news cause happens here, once per frame.
func (a *app) drawStale() {
	a.scheduled = false
	stale, now := a.stale, time.Now()
	a.stale = 0
	if stale&partList != 0 {
		a.drawMessages(now)
	}
	// The list may have found that all is read, and the rooms show that.
	stale |= a.stale
	a.stale = 0
	if stale&partRooms != 0 {
		a.drawRooms()
	}
	if stale&partPeople != 0 {
		a.drawPeople(now)
	}
	if stale&partTyping != 0 {
		a.drawTyping(now)
	}
	if stale&partPill != 0 {
		a.drawPill(now)
	}
	if stale&partComposer != 0 {
		a.drawComposer()
	}
	a.wakeAt(a.pill.Next(now))
}

// drawPill tells how the connection stands.
func (a *app) drawPill(now time.Time) {
	v, p := a.view, &a.pill
	if a.client == nil {
		v.pillLabel.write("Not connected yet") // a name comes first
	} else {
		v.pillLabel.write(p.Label(now))
	}
	state := p.Status.String() + "|" + p.Relay + "|" + p.Region + "|" + strconv.FormatInt(p.RTT.Milliseconds(), 10)
	if state != v.pillState {
		v.pillState = state
		setAttr(v.pill, "data-status", p.Status.String())
		setAttr(v.pill, "data-relay", p.Relay)
		setAttr(v.pill, "data-region", p.Region)
		setAttr(v.pill, "data-rtt", strconv.FormatInt(p.RTT.Milliseconds(), 10))
		setAttr(v.pill, "title", "Relay "+or(p.Relay, "not known yet"))
	}
	v.facts[0].write(or(p.Relay, "–"))
	v.facts[1].write(or(p.Region, "–"))
	rtt := "–"
	if p.RTT > 0 && p.Status == chat.Connected {
		rtt = chat.Milliseconds(p.RTT)
	}
	v.facts[2].write(rtt)
	v.facts[3].write(or(a.self.Name, "–"))
	v.tryNow.show(p.Status == chat.Waiting || p.Status == chat.Closed)

	banner := p.Banner(now)
	if banner != "" {
		v.banner.write(banner)
	}
	v.bannerOn.show(banner != "")
	if !a.toastTill.IsZero() {
		if now.Before(a.toastTill) {
			a.wakeAt(a.toastTill)
		} else {
			a.toastTill = time.Time{}
			v.toastShown.show(false)
		}
	}
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// drawTitle puts the number of unread messages where it is seen from other tabs.
func (a *app) drawTitle() {
	v := a.view
	if title := a.rooms.Title(); title != v.title {
		v.title = title
		document.Set("title", title)
	}
	unread := a.rooms.Unread()
	icon := "quiet"
	if unread > 0 {
		icon = "unread"
	}
	if icon != v.iconName {
		v.iconName = icon
		setAttr(v.icon, "href", attribute(v.icon, "data-"+icon))
	}
	if unread == v.badge {
		return
	}
	v.badge = unread
	// The app's icon, where the page is installed as one.
	attempt(func() {
		navigator := window.Get("navigator")
		switch {
		case navigator.Get("setAppBadge").IsUndefined():
		case unread > 0:
			navigator.Call("setAppBadge", unread).Call("catch", v.ignore)
		default:
			navigator.Call("clearAppBadge").Call("catch", v.ignore)
		}
	})
}

// drawTyping says who writes.
func (a *app) drawTyping(now time.Time) {
	v := a.view
	var sentence []chat.Listed
	if r := a.rooms.Current; r != nil {
		a.wakeAt(r.Typing.Expire(now))
		sentence = r.Typing.Sentence()
	}
	text := ""
	for _, s := range sentence {
		text += s.Text
	}
	if text == v.typed {
		return
	}
	v.typed = text
	setText(v.typing, "")
	for _, s := range sentence {
		if s.IsName {
			v.typing.Call("append", create("bdi", "", s.Text))
		} else {
			appendText(v.typing, s.Text)
		}
	}
}
