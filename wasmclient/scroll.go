//go:build js && wasm

package main

import (
	"strconv"
	"time"

	"setu/wasmclient/chat"
)

const (
	// nearEnd is how many pixels from the end still count as the end.
	nearEnd = 100
	// nearEdge is how many pixels from the first or last row in the document more rows are added.
	nearEdge = 800
	// leastRow is less than the height of any message, in pixels.
	leastRow = 36
	// narrowFor is how long the list stays as narrow as the view after many messages have come at a time.
	narrowFor = time.Second
)

// scrollTo scrolls, and records where to, so that onScroll can tell it from the user's scrolling.
func (v *view) scrollTo(top float64) {
	v.messages.Set("scrollTop", top)
	v.scrolledTo = v.messages.Get("scrollTop").Float()
}

// distance returns how many pixels of the list lie below the view.
func (v *view) distance() float64 {
	return v.messages.Get("scrollHeight").Float() - v.messages.Get("scrollTop").Float() - v.messages.Get("clientHeight").Float()
}

// leaves notes how many pixels of the list the user leaves below the view. While onResize has not been told
// of the view's height, it is that of before which counts: the user has seen no other.
func (v *view) leaves() {
	below := v.distance()
	if v.height > 0 {
		below += v.messages.Get("clientHeight").Float() - v.height
	}
	if v.below = below; below < 2 { // that is the end, on a screen whose pixels are parts of these
		v.below = 0
	}
}

// follow has the next drawing bring the end into view, where it stays.
func (v *view) follow() { v.followEnd, v.below = true, 0 }

// keepBelow scrolls to where as much of the list lies below the view as the user has left there.
func (v *view) keepBelow() {
	end := v.messages.Get("scrollHeight").Float()
	if v.below > 0 {
		end -= v.messages.Get("clientHeight").Float() + v.below
	}
	v.scrollTo(end)
}

// onScroll notes whether the user has scrolled to the end, or away from it. Scrolling by the
// program is not taken for the user's, nor is what the browser does in a view that has grown beyond
// the end: onResize, which comes after this, brings that back.
func (a *app) onScroll() {
	v := a.view
	top, height := v.messages.Get("scrollTop").Float(), v.messages.Get("clientHeight").Float()
	distance := v.messages.Get("scrollHeight").Float() - top - height
	byProgram := top-v.scrolledTo < 1.5 && v.scrolledTo-top < 1.5 || v.followEnd && distance < 1 && height > v.height
	if !byProgram {
		a.pace.Hurry()
		v.leaves()
		v.scrolledTo = -10 // no position: from now on all scrolling is the user's
	}
	if r := a.rooms.Current; r != nil {
		atEnd := distance <= nearEnd && r.Timeline.AtEnd()
		if atEnd || !byProgram {
			v.followEnd = atEnd
			r.Timeline.Follow(atEnd)
		}
	}
	a.drawEdges()
}

// onResize keeps the end in view, or as far below it as the user has left it, when the size of the list
// or of its area changes: an on-screen keyboard, a font that has loaded, a composer that grows.
func (a *app) onResize() {
	v := a.view
	v.height = v.messages.Get("clientHeight").Float()
	if v.followEnd && len(v.list.rows) > 0 {
		v.keepBelow()
	}
	a.drawEdges()
}

// drawEdges adds rows if the part in view comes close to the first or last one, marks messages as
// read, and shows or hides the buttons that lead to the end.
func (a *app) drawEdges() {
	v, r := a.view, a.rooms.Current
	if r == nil {
		v.newerOn.show(false)
		v.sinceOn.show(false)
		v.toEnd.show(false)
		return
	}
	top := v.messages.Get("scrollTop").Float()
	height := v.messages.Get("clientHeight").Float()
	below := v.messages.Get("scrollHeight").Float() - top - height
	if top < nearEdge && !v.list.reset && !(v.followEnd && v.narrow) {
		if r.Timeline.Older() {
			a.invalidate(partList)
		}
		if a.mayLoad(r) && r.Timeline.WantsOlder() {
			a.loadOlder(r)
		}
	}
	a.fillGaps(r, height)
	if below < nearEdge && !r.Timeline.AtEnd() && r.Timeline.Newer() {
		a.invalidate(partList)
	}
	a.updateRead(r)
	unread := r.Timeline.Unread
	if unread > 0 {
		v.newer.write(chat.Count(unread) + " new ↓")
		setAttr(v.newer.el, "aria-label", strconv.Itoa(unread)+" new, go to the end")
	}
	v.newerOn.show(unread > 0 && !a.readsEnd(r))
	v.toEnd.show(unread == 0 && (below > height || !r.Timeline.AtEnd()))
	a.drawSince(r, height)
}

// narrow leaves no more in the document than fills the view, while many messages come at a time. What is above
// comes back when that is over, or when somebody goes there.
func (a *app) narrow(r *chat.Room, now time.Time) {
	v := a.view
	if !r.Timeline.Narrow(v.messages.Get("clientHeight").Int()/leastRow + 4) {
		return
	}
	if v.narrowUntil = now.Add(narrowFor); !v.narrow {
		v.narrow = true
		window.Call("setTimeout", a.widenTimer, narrowFor.Milliseconds())
	}
}

// widen has rows added again above the view, if it is time for that.
func (a *app) widen() {
	v := a.view
	if left := time.Until(v.narrowUntil); left > 0 {
		window.Call("setTimeout", a.widenTimer, left.Milliseconds()+1)
		return
	}
	v.narrow = false
	a.drawEdges()
}

// mayLoad reports whether messages of a room's past can be requested now.
func (a *app) mayLoad(r *chat.Room) bool {
	return r.Entered && r.Refusal == "" && !r.Denied.History && a.pill.Status == chat.Connected
}

// fillGaps requests what is missing at the gaps that the view, of a height in pixels, comes close to.
func (a *app) fillGaps(r *chat.Room, height float64) {
	v := a.view
	if v.list.reset || !a.mayLoad(r) {
		return
	}
	for _, row := range v.list.rows {
		if !row.Fillable {
			continue
		}
		if top := topOf(row.element()) - topOf(v.messages); top > -nearEdge && top < height+nearEdge {
			a.fillGap(r, row.Key)
		}
	}
}

// drawSince says how much is unread above the view, of a height in pixels, and since when. The line there
// has been in view when it is not above.
func (a *app) drawSince(r *chat.Room, height float64) {
	v := a.view
	count, since, above := r.Timeline.Above()
	if line := v.list.byKey["unread"]; above && line != nil && !v.list.reset {
		top := topOf(line.element()) - topOf(v.messages)
		if above = top < 0; top >= 0 && top < height && !a.hidden {
			r.Timeline.PassDivider()
		}
	}
	if above {
		text := chat.Count(count) + " new"
		if since > 0 {
			text += " since " + a.clock.moment(r.Timeline, since, time.Now())
		}
		v.since.write(text + " ↑")
		setAttr(v.since.el, "aria-label", text+", go to the first")
	}
	v.sinceOn.show(above)
}

// updateRead marks a room's messages as read if its end is in view.
func (a *app) updateRead(r *chat.Room) {
	if !a.readsEnd(r) || !r.Entered {
		return
	}
	had := r.Timeline.Unread
	if r.MarkRead() {
		a.saveSeenSoon(r)
	}
	if had > 0 {
		a.invalidate(partRooms)
		a.view.newerOn.show(false)
	}
}

// seenDelay is how long it may take until what has been read is stored: in a busy room that changes with
// each frame, and all other tabs are told.
const seenDelay = 250

// saveSeenSoon stores how far a room has been read.
func (a *app) saveSeenSoon(r *chat.Room) {
	if a.unsaved == nil {
		a.unsaved = make(map[string]*chat.Room)
	}
	if a.unsaved[r.Name] = r; len(a.unsaved) == 1 {
		window.Call("setTimeout", a.saveSeenTimer, seenDelay)
	}
}

func (a *app) saveSeen() {
	for _, r := range a.unsaved {
		a.storage.set(itemSeen+r.Name, chat.EncodeSeen(r.Seen, r.SeenAt))
	}
	a.unsaved = nil
}

// toEnd scrolls to the newest message.
func (a *app) toEnd() {
	if r := a.rooms.Current; r != nil {
		r.Timeline.ToEnd()
		a.view.follow()
		a.invalidate(partList)
	}
}

// drawEmpty shows what to do if there are no messages.
func (a *app) drawEmpty() {
	v, r := a.view, a.rooms.Current
	title, text, share := "", "", false
	switch {
	case r == nil:
		title, text = "No room is open", "Join one, or open a new one, in the list of rooms."
	case r.Denied.Join && !r.Entered:
		title, text = "You can't enter "+r.Shown(), "Your sign-in does not include this room."
	case r.Refused() && r.Timeline.Empty():
		title, text = "You can't enter "+r.Shown(), "The relay says: "+r.Refusal+"."
	case !r.Timeline.Empty() || v.standsServed(r):
	case r.Denied.History && r.Entered:
		title, text = "Nothing new yet", "You see here what is written from now on."
	case !r.Entered && a.signIn.status != chat.SignedIn:
		title = "You are not in " + r.Shown() + " yet"
	case !r.Entered && a.pill.Lasting(time.Now()):
		title, text = "You are not in "+r.Shown()+" yet", "There is no connection. You enter when there is one, and what you write is sent then."
	case !r.Entered:
		title, text = "Entering "+r.Shown()+"…", ""
	case !r.MayWrite():
		title, text = "Nobody has written here yet", "What others write will stand here."
	default:
		title, text = "Nobody has written here yet", "Write the first message, or share the link to bring somebody over."
		if twin := a.rooms.Twin(r.Name); twin != nil {
			text = "“" + twin.Shown() + "”, in your list, is another room."
		}
		share = true
	}
	if invitation := a.drawInvitation(share); invitation != "" && a.rooms.Twin(r.Name) == nil {
		text = invitation
	}
	v.foot.show(r != nil)
	v.emptyTitle.write(title)
	v.emptyText.write(text)
	v.emptyShare.show(share)
	v.empty.show(title != "")
}
