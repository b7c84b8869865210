//go:build js && wasm

package main

import (
	"cmp"
	"strconv"
	"syscall/js"
	"time"

	"setu/relay/client"
	"setu/wasmclient/chat"
)

// bridgeView is what shows the bridge: the drawing in the pill's popover, the ways to come in by another
// region, there and in an empty room.
type bridgeView struct {
	drawing   js.Value
	drawn     string    // what the drawing says
	counted   [4]*label // the relay's way to Redis, reconnects, recovered, missed
	regionOn  *toggle
	storeOn   *toggle
	ways      js.Value // a list of links
	waysOn    *toggle
	waysDrawn string
	through   js.Value // a link
	throughOn *toggle
	throughTo string
}

func newBridgeView() bridgeView {
	return bridgeView{
		drawing:  byID("bridge"),
		counted:  [4]*label{labelOf("fact-redis"), labelOf("fact-reconnects"), labelOf("fact-recovered"), labelOf("fact-missed")},
		regionOn: toggleOf("fact-region-row"), storeOn: toggleOf("fact-redis-row"),
		ways: byID("ways"), waysOn: toggleOf("ways-part"),
		through: byID("empty-through"), throughOn: toggleOf("empty-through"),
	}
}

// askRelays asks the relay which others there are.
func (a *app) askRelays() {
	c := a.client
	if c == nil {
		return
	}
	a.goGuarded(func() {
		ctx, cancel := timeoutContext(requestTimeout)
		defer cancel()
		list, err := c.Relays(ctx)
		a.withLock(func() {
			if err != nil || c != a.client {
				return // a relay of before knows no other
			}
			a.relays = a.relays[:0]
			for _, r := range list {
				a.relays = append(a.relays, chat.Relay{Place: chat.Place{Region: r.Region, Relay: r.Relay}, URL: r.URL})
			}
			a.invalidate(partPill | partList)
		})
	})
}

// onThrough tells who wanted to come in by a region, and came in elsewhere.
func (a *app) onThrough(w client.Welcome) {
	if sentence := chat.Elsewhere(a.through, w.Region); sentence != "" && a.broughtTo != w.Region {
		a.toast(sentence)
	}
	a.broughtTo = w.Region
}

// address returns the page's address of a room, by which one comes in as this page did.
func (a *app) address(room string) string { return chat.WithRegion(chat.RoomAddress(room), a.through) }

// roomForWays is the room into which the links to other regions lead.
func (a *app) roomForWays() string {
	if r := a.rooms.Current; r != nil {
		return r.Name
	}
	return defaultRoom
}

// drawBridge draws the connection, and what has happened to it.
func (a *app) drawBridge() {
	v, p := a.view, &a.pill
	store := "–"
	if p.Store > 0 && p.Status == chat.Connected {
		store = chat.Milliseconds(p.Store)
	}
	v.counted[0].write(store)
	v.counted[1].write(strconv.Itoa(p.Reconnects()))
	v.counted[2].write(strconv.Itoa(p.RecoveredInAll()))
	v.counted[3].write(p.MissedText())
	bridge := p.Span(a.relays)
	v.regionOn.show(p.Region != "")
	v.storeOn.show(!bridge.Lone)
	if text := bridge.Text(); text != v.drawn {
		v.drawn = text
		v.drawing.Call("replaceChildren", drawing(bridge))
	}
	a.drawWays()
}

// drawWays writes the links by which one comes in by another region.
func (a *app) drawWays() {
	v, room := a.view, a.roomForWays()
	ways := chat.Ways(a.pill.Region, a.relays)
	key := room
	for _, s := range ways {
		key += "\n" + s.Name + " " + s.URL
	}
	v.waysOn.show(len(ways) > 0)
	if key == v.waysDrawn {
		return
	}
	v.waysDrawn = key
	fragment := document.Call("createDocumentFragment")
	for _, s := range ways {
		item := create("li", "", "")
		item.Call("append", wayLink(create("a", "text-button", "through "+s.Name), s, room))
		fragment.Call("append", item)
	}
	v.ways.Call("replaceChildren", fragment)
}

// wayLink has a link open another tab that comes in through a region.
func wayLink(link js.Value, s chat.Shore, room string) js.Value {
	setAttr(link, "href", s.Address(room))
	setAttr(link, "target", "_blank")
	setAttr(link, "rel", "noopener")
	setAttr(link, "data-through", s.Region)
	return link
}

// drawInvitation offers, in an empty room, to come in by another region, too. It returns what to say of that.
func (a *app) drawInvitation(on bool) (text string) {
	v := a.view
	ways := chat.Ways(a.pill.Region, a.relays)
	on = on && len(ways) > 0
	v.throughOn.show(on)
	if !on {
		return ""
	}
	if key := a.roomForWays() + "\n" + ways[0].Region; key != v.throughTo {
		v.throughTo = key
		setText(v.through, "Open a second tab through "+ways[0].Name)
		wayLink(v.through, ways[0], a.roomForWays())
	}
	return chat.BridgeText(a.pill.Region, ways)
}

// The drawing's measures, in its own units.
const (
	drawWidth            = 304
	deck                 = 64 // how far down the bridge is
	pierYou, pierRelay   = 24, 106
	pierDeep, pierOthers = 188, 226
	tower                = 24 // where a tower ends
	measured             = 12 // where the times stand
	between              = 20 // from one shore to the next
)

// drawing returns the picture of a bridge: this page and its relay, Redis as the pier in the middle, and the
// regions on the other side. What it shows, its name says.
func drawing(b chat.Bridge) js.Value {
	rows := len(b.Others)
	if b.More > 0 {
		rows++
	}
	half := (rows - 1) * between / 2
	top, bottom := min(0, deck-half-between/2), max(deck+32, deck+half+between/2)
	class := "span-drawing"
	if b.Away {
		class += " away"
	}
	left := 0 // what is drawn of the bridge stands in the middle
	switch {
	case b.Lone:
		left = (pierYou + pierRelay - drawWidth) / 2
	case rows == 0:
		left = (pierYou + pierDeep - drawWidth) / 2
	}
	picture := shape("svg", "viewBox", strconv.Itoa(left)+" "+strconv.Itoa(top)+" "+strconv.Itoa(drawWidth)+" "+strconv.Itoa(bottom-top), "role", "img", "aria-label", b.Text(), "class", class)
	add := func(el js.Value) { picture.Call("append", el) }
	line := func(class string, points ...string) { add(shape("path", "class", class, "d", join(points))) }
	point := func(x int) string { return strconv.Itoa(x) + " " }
	end := pierRelay
	if !b.Lone {
		end = pierDeep
	}
	line("deck", "M", point(pierYou), strconv.Itoa(deck), "H", strconv.Itoa(end))
	line("cable", "M", point(pierYou), strconv.Itoa(deck-8), "Q", point(pierRelay-24), point(deck-12), point(pierRelay), strconv.Itoa(tower))
	line("deck", "M", point(pierRelay), strconv.Itoa(tower-6), "V", strconv.Itoa(deck+8))
	if !b.Lone {
		line("cable", "M", point(pierRelay), point(tower), "Q", point((pierRelay+pierDeep)/2), point(deck+10), point(pierDeep), strconv.Itoa(tower))
		line("deck", "M", point(pierDeep), strconv.Itoa(tower-6), "V", strconv.Itoa(deck+8))
	}
	for i := range rows {
		y := deck - half + i*between
		line("cable", "M", point(pierDeep), strconv.Itoa(deck), "L", point(pierOthers), strconv.Itoa(y))
		if i == len(b.Others) {
			add(caption(pierOthers+10, y+4, "start", "and "+strconv.Itoa(b.More)+" more"))
			continue
		}
		add(node(pierOthers, y, "shore"))
		add(caption(pierOthers+10, y+4, "start", chat.Clip(b.Others[i].Label(), 76)))
	}
	add(node(pierYou, deck, "you"))
	add(node(pierRelay, deck, "relay"))
	add(caption(pierYou, deck+24, "middle", "You"))
	add(caption(pierRelay, deck+24, "middle", chat.Clip(b.Here, 112)))
	add(caption((pierYou+pierRelay)/2, measured, "middle", b.ToHere))
	if !b.Lone {
		add(node(pierDeep, deck, "deep"))
		add(caption(pierDeep, deck+24, "middle", "Redis"))
		add(caption((pierRelay+pierDeep)/2, measured, "middle", b.ToDeep))
	}
	return picture
}

func join(parts []string) (all string) {
	for _, p := range parts {
		all += p
	}
	return all
}

// shape returns a new element of SVG with attributes, given as names and values.
func shape(tag string, attributes ...string) js.Value {
	el := document.Call("createElementNS", "http://www.w3.org/2000/svg", tag)
	for i := 0; i < len(attributes); i += 2 {
		setAttr(el, attributes[i], attributes[i+1])
	}
	return el
}

func node(x, y int, class string) js.Value {
	return shape("circle", "class", class, "cx", strconv.Itoa(x), "cy", strconv.Itoa(y), "r", "5")
}

func caption(x, y int, anchor, text string) js.Value {
	el := shape("text", "x", strconv.Itoa(x), "y", strconv.Itoa(y), "text-anchor", anchor)
	setText(el, text)
	return el
}

// writePlace shows where a person of the list is.
func writePlace(el js.Value, u chat.User) {
	where := u.Where()
	if where == "" {
		return
	}
	place := create("span", "person-place", "· ")
	place.Call("append", create("bdi", "", where))
	el.Call("insertBefore", place, el.Get("lastElementChild"))
	setAttr(el, "title", u.PlaceTitle())
}

// updateWay shows below one's own newest message how it went. A screen reader has that with the message.
func updateWay(r *row, w chat.Row) {
	if r.Way == w.Way {
		return
	}
	stack := r.element().Get("lastElementChild")
	line := find(stack, ".way")
	if w.Way == "" {
		if !line.IsNull() {
			line.Call("remove")
		}
		return
	}
	if line.IsNull() {
		line = create("div", "way", "")
		setAttr(line, "aria-hidden", "true")
		stack.Call("append", line)
	}
	setText(line, w.Way)
}

// tellWay adds to a message's time, and to its name, how one's own went.
func (a *app) tellWay(el, bubble js.Value, e *chat.Entry) {
	if !e.Own || a.rooms.Current == nil {
		return
	}
	if way := a.rooms.Current.Timeline.Way(e); way != "" {
		time := bubble.Get("lastElementChild").Get("firstElementChild")
		setAttr(time, "title", attribute(time, "title")+" · "+way)
		setAttr(el, "aria-label", attribute(el, "aria-label")+". "+way)
	}
}

// meet says once of people of a room that they are on the other side of the world.
func (a *app) meet(r *chat.Room, people ...chat.User) {
	if sentence := r.Far.Meet(people, a.self.ID, a.pill.Region); sentence != "" {
		r.Timeline.Note(sentence)
		a.invalidate(partList)
	}
}

// onHeard takes what a page in another region has told: up to where it has heard a room.
func (a *app) onHeard(r *chat.Room, region string, seq int64) {
	if region != "" && region != a.pill.Region && r.Timeline.HeardIn(region, seq) {
		a.invalidate(partList)
	}
}

// tellHeard tells the others in a room that a message of another region was heard here.
func (a *app) tellHeard(r *chat.Room, m client.Message) {
	if m.Recovered || m.From.Region == "" || m.From.Region == a.pill.Region || a.pill.Region == "" || r.Denied.Signal {
		return
	}
	r.Hearing.Heard(m.Seq)
	a.sendHeard(r)
}

// sendHeard sends what is due, and comes back for what is not yet.
func (a *app) sendHeard(r *chat.Room) {
	seq, next := r.Hearing.Due(time.Now())
	if !next.IsZero() {
		if !r.Hearing.Waits {
			r.Hearing.Waits = true
			time.AfterFunc(time.Until(next), func() {
				a.withLock(func() {
					r.Hearing.Waits = false
					a.sendHeard(r)
				})
			})
		}
		return
	}
	if c := a.client; seq > 0 && c != nil && a.rooms.Has(r) && r.People.SpeaksFor(a.self.ID, a.pill.Region) {
		a.goGuarded(func() { _ = c.Signal(r.Name, map[string]int64{"heard": seq}) }) // signals may be dropped
	}
}

// regionShown returns what the facts say of the region.
func regionShown(code string) string { return cmp.Or(chat.City(code), "–") }
