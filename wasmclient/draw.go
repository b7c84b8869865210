//go:build js && wasm

package main

import (
	"cmp"
	"strconv"
	"time"

	"setu/wasmclient/chat"
)

// drawPaced draws the parts that are out of date, unless it is too early for that.
func (a *app) drawPaced() {
	now := time.Now()
	if !a.pace.Ready(now) && !a.hidden {
		window.Call("requestAnimationFrame", a.drawFrame)
		return
	}
	a.pace.Begin(now)
	a.drawStale()
	window.Call("setTimeout", a.afterFrame, 0)
}

// drawStale draws the parts that are out of date. Almost all access to the document happens here,
// once per frame.
func (a *app) drawStale() {
	a.frameRequested = false
	stale, now := a.stale, time.Now()
	a.stale = 0
	if stale&partList != 0 {
		a.drawMessages(now)
	}
	// Drawing the messages may mark them as read, which the list of rooms shows.
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
		a.drawAttached()
	}
	a.redrawAt(a.pill.Next(now))
}

// drawPill shows the state of the connection.
func (a *app) drawPill(now time.Time) {
	v, p := a.view, &a.pill
	if a.client == nil {
		v.pillLabel.write("Not connected yet") // the user is asked for a name or a token first
		v.pillShort.write("–")
	} else {
		v.pillLabel.write(p.Label(now))
		v.pillShort.write(p.Short(now))
	}
	state := p.Status.String() + "|" + p.Relay + "|" + p.Region + "|" + strconv.FormatInt(p.RTT.Milliseconds(), 10) + "|" + strconv.FormatBool(p.StoreSilent())
	if state != v.pillState {
		v.pillState = state
		setAttr(v.pill, "data-status", p.Status.String())
		setAttr(v.pill, "data-relay", p.Relay)
		setAttr(v.pill, "data-region", p.Region)
		setAttr(v.pill, "data-rtt", strconv.FormatInt(p.RTT.Milliseconds(), 10))
		setFlag(v.pill, "data-silent", p.StoreSilent())
		setAttr(v.pill, "title", "Relay "+cmp.Or(p.Relay, "not known yet"))
	}
	relay, region := cmp.Or(p.Relay, "–"), regionShown(p.Region)
	if p.Status != chat.Connected {
		relay, region = "–", "–"
	}
	v.facts[0].write(relay)
	v.facts[1].write(region)
	rtt := "–"
	if p.RTT > 0 && p.Status == chat.Connected {
		rtt = chat.Milliseconds(p.RTT)
	}
	v.facts[2].write(rtt)
	v.facts[3].write(cmp.Or(a.self.Name, "–"))
	a.drawBridge()
	v.tryNow.show(p.Status == chat.Waiting || p.Status == chat.Closed)

	banner := p.Banner(now)
	if stored := a.storedBanner(now); stored != "" {
		if banner = stored; !v.bannerOn.shown {
			a.announce(banner)
		}
	}
	if banner != "" {
		v.banner.write(banner)
	}
	v.bannerOn.show(banner != "")
	if !a.toastUntil.IsZero() {
		if now.Before(a.toastUntil) {
			a.redrawAt(a.toastUntil)
		} else {
			a.toastUntil = time.Time{}
			v.toastShown.show(false)
		}
	}
}

// drawTitle shows the number of unread messages in the title and the icon, where it is seen from
// other tabs.
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
	// The badge on the app's icon, if the page is installed as an app.
	tryJS(func() {
		navigator := window.Get("navigator")
		switch {
		case navigator.Get("setAppBadge").IsUndefined():
		case unread > 0:
			navigator.Call("setAppBadge", unread).Call("catch", v.ignoreRejection)
		default:
			navigator.Call("clearAppBadge").Call("catch", v.ignoreRejection)
		}
	})
}

// drawTyping shows who is typing.
func (a *app) drawTyping(now time.Time) {
	v := a.view
	var sentence []chat.SentencePart
	if r := a.rooms.Current; r != nil {
		a.redrawAt(r.Typing.Expire(now))
		sentence = r.Typing.Sentence()
	}
	text := ""
	for _, s := range sentence {
		text += s.Text
	}
	if text == v.typingText {
		return
	}
	v.typingText = text
	setText(v.typing, "")
	for _, s := range sentence {
		if s.IsName {
			v.typing.Call("append", create("bdi", "", s.Text))
		} else {
			appendText(v.typing, s.Text)
		}
	}
}
