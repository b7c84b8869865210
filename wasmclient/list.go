//go:build js && wasm

package main

import (
	"syscall/js"
	"time"

	"setu/wasmclient/chat"
)

// list is the rows that stand in the document.
type list struct {
	el    js.Value
	rows  []*row
	byKey map[string]*row
	fresh bool // another room is shown: nothing of the old one is of use
}

// row is one of them.
type row struct {
	chat.Row
	el  js.Value
	day string // the label of a day, which ages
}

func newList(el js.Value) *list { return &list{el: el, byKey: make(map[string]*row)} }

func (l *list) clear() {
	l.el.Call("replaceChildren")
	l.rows, l.byKey = nil, make(map[string]*row)
}

// place makes the document's rows those wanted, touching no others. It reports
// whether any were added anywhere but at the end.
func (l *list) place(want []chat.Row, build func(chat.Row) *row, update func(*row, chat.Row)) (above bool) {
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

// anchor is the row under the reader's eye and where it stands on the screen.
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
	// Lines between days come and go; messages stay.
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

// drawMessages brings the list up to date and keeps the reader's place in it.
func (a *app) drawMessages(now time.Time) {
	v, r := a.view, a.rooms.Current
	a.drawEmpty()
	if r == nil {
		v.list.clear()
		v.list.fresh = false
		a.drawEdges()
		return
	}
	fresh := v.list.fresh
	if fresh {
		v.list.clear()
		v.stick = true
		v.list.fresh = false
	}
	var anchor *row
	var before float64
	if !v.stick {
		anchor, before = v.list.anchor(topOf(v.messages))
	}
	if fresh {
		v.quiet()
	}
	above := v.list.place(r.Timeline.Rows(),
		func(w chat.Row) *row { return a.newRow(w) },
		func(old *row, w chat.Row) { a.updateRow(old, w, r.Timeline, now) })
	if above {
		v.quiet()
	}
	switch {
	case fresh && a.showUnread():
	case v.stick:
		v.scrollTo(v.messages.Get("scrollHeight").Float())
	case anchor != nil && v.list.byKey[anchor.Key] == anchor:
		if moved := topOf(anchor.el) - before; moved > 0.5 || moved < -0.5 {
			v.scrollTo(v.messages.Get("scrollTop").Float() + moved)
		}
	}
	a.drawEdges()
}

// quiet keeps a screen reader from reading out what was put in above, or a whole
// room that has just been entered.
func (v *view) quiet() {
	setAttr(v.messages, "aria-live", "off")
	window.Call("setTimeout", v.speakAgain, 500)
}

// showUnread brings the line before the first unseen message into view, unless
// all of them are seen at the end anyway.
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
	v.stick = false
	r.Timeline.Follow(false)
	v.scrollTo(max(0, top-height/4))
	return true
}
