//go:build js && wasm

package main

import (
	"syscall/js"
	"time"

	"setu/wasmclient/chat"
)

// list is the list of messages in the document.
type list struct {
	el    js.Value
	rows  []*row
	byKey map[string]*row
	reset bool // another room is shown: the rows are to be replaced
}

// row is a row of the list, and its element.
type row struct {
	chat.Row
	el     js.Value
	folded bool   // the text is written as far as it is shown folded
	text   string // of a row that is no message; that of a RowDay changes with time ("Today")
}

func newList(el js.Value) *list { return &list{el: el, byKey: make(map[string]*row)} }

func (l *list) clear() {
	l.el.Call("replaceChildren")
	l.rows, l.byKey = nil, make(map[string]*row)
}

// reconcile makes the document's rows equal to want, with as few changes as it can. It reports
// whether rows were added anywhere but at the end.
func (l *list) reconcile(want []chat.Row, build func(chat.Row) *row, update func(*row, chat.Row)) (above bool) {
	keep := make(map[string]bool, len(want))
	for _, w := range want {
		keep[w.Key] = true
	}
	kept := l.rows[:0]
	for _, r := range l.rows {
		if keep[r.Key] {
			kept = append(kept, r)
			continue
		}
		r.el.Call("remove")
		delete(l.byKey, r.Key)
	}
	standing := kept
	rows := make([]*row, 0, len(want))
	for _, w := range want {
		r := l.byKey[w.Key]
		if len(standing) > 0 && standing[0] == r {
			standing = standing[1:]
		} else {
			if r == nil {
				r = build(w)
				update(r, w) // before it is in the document, where each change costs more
				l.byKey[w.Key] = r
			} else {
				standing = without(standing, r)
			}
			if len(standing) > 0 {
				above = true
				l.el.Call("insertBefore", r.el, standing[0].el)
			} else {
				l.el.Call("append", r.el)
			}
		}
		update(r, w)
		rows = append(rows, r)
	}
	l.rows = rows
	return above
}

func without(rows []*row, r *row) []*row {
	out := make([]*row, 0, len(rows))
	for _, other := range rows {
		if other != r {
			out = append(out, other)
		}
	}
	return out
}

// anchor returns the first message whose bottom is below top, and where its own top is. Both are
// vertical positions in the window, in pixels.
func (l *list) anchor(top float64) (*row, float64) {
	lo, hi := 0, len(l.rows)
	for lo < hi {
		middle := (lo + hi) / 2
		if bottomOf(l.rows[middle].el) > top {
			hi = middle
		} else {
			lo = middle + 1
		}
	}
	// Other rows come and go; messages stay.
	for ; lo < len(l.rows); lo++ {
		if l.rows[lo].Kind == chat.RowMessage {
			return l.rows[lo], topOf(l.rows[lo].el)
		}
	}
	return nil, 0
}

func topOf(el js.Value) float64 {
	return el.Call("getBoundingClientRect").Get("top").Float()
}

func bottomOf(el js.Value) float64 {
	return el.Call("getBoundingClientRect").Get("bottom").Float()
}

// drawMessages updates the list, and keeps what the user is reading in place.
func (a *app) drawMessages(now time.Time) {
	v, r := a.view, a.rooms.Current
	a.drawEmpty()
	if r == nil {
		v.served = served{}
		v.list.clear()
		v.list.reset = false
		a.drawEdges()
		return
	}
	fresh := v.list.reset && !v.standsServed(r)
	if fresh {
		if !a.adoptServed(r) {
			v.served = served{}
			v.list.clear()
			v.followEnd = true
		}
		v.list.reset = false
	}
	var anchor *row
	var before float64
	if !v.followEnd {
		anchor, before = v.list.anchor(topOf(v.messages))
	}
	if fresh {
		v.muteLiveRegion()
	}
	if v.followEnd && !fresh {
		r.Timeline.Narrow()
	}
	above := v.list.reconcile(r.Timeline.Rows(),
		func(w chat.Row) *row { return a.newRow(w) },
		func(old *row, w chat.Row) { a.updateRow(old, w, r.Timeline, now) })
	if above {
		v.muteLiveRegion()
	}
	switch {
	case v.toKey != "":
		a.scrollToRow(v.toKey)
	case fresh && v.followEnd && a.showUnread():
	case v.followEnd:
		v.scrollTo(v.messages.Get("scrollHeight").Float())
	case anchor != nil && v.list.byKey[anchor.Key] == anchor:
		if moved := topOf(anchor.el) - before; moved > 0.5 || moved < -0.5 {
			v.scrollTo(v.messages.Get("scrollTop").Float() + moved)
		}
	}
	v.toKey = ""
	a.drawEdges()
}

// muteLiveRegion keeps screen readers, for half a second, from reading out rows that were added
// above, or all rows of a room that has just been opened.
func (v *view) muteLiveRegion() {
	setAttr(v.messages, "aria-live", "off")
	window.Call("setTimeout", v.unmuteLiveRegion, 500)
}

// showUnread scrolls to the divider before the first unread message, unless all of them are in view
// at the end anyway. It reports whether it did.
func (a *app) showUnread() bool {
	v, r := a.view, a.rooms.Current
	line := v.list.byKey["unread"]
	if line == nil || r.Timeline.Unread == 0 {
		return false
	}
	height := v.messages.Get("clientHeight").Float()
	end := v.messages.Get("scrollHeight").Float()
	top := topOf(line.el) - topOf(v.messages) + v.messages.Get("scrollTop").Float()
	if end-top < height-32 && r.Timeline.AtEnd() {
		return false
	}
	a.scrollToRow("unread")
	return true
}
