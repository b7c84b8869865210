//go:build js && wasm

package main

import (
	"strconv"
	"strings"
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
	batch batch
	alone bool // page.js is not here: it has failed to load
}

// row is a row of the list, and its element.
type row struct {
	chat.Row
	el     js.Value // undefined: it is that number of made
	made   js.Value
	number int
	folded bool   // the text is written as far as it is shown folded
	text   string // of a row that is no message; that of a RowDay changes with time ("Today")
}

// element returns the row's element.
func (r *row) element() js.Value {
	if r.el.IsUndefined() {
		r.el = r.made.Index(r.number)
	}
	return r.el
}

// batch is what has not been done to the document yet: public/page.js does it in one call.
type batch struct {
	gone  string   // the numbers of the rows that go, a space after each; the last one's is -1
	rows  []*row   // that come, at the end
	texts []string // what each of them says: see plainRow
}

func newList(el js.Value) *list {
	return &list{el: el, byKey: make(map[string]*row), alone: !window.Get("setuRows").Truthy()}
}

func (l *list) clear() {
	l.el.Call("replaceChildren")
	l.rows, l.byKey = nil, make(map[string]*row)
}

// flush does what has been put off.
func (l *list) flush() {
	b := &l.batch
	if b.gone == "" && b.rows == nil {
		return
	}
	made := window.Call("setuRows", b.gone, strings.Join(b.texts, rowMark))
	for i, r := range b.rows {
		r.made, r.number = made, i
	}
	*b = batch{}
}

// writer writes rows into the document.
type writer struct {
	plain  func(chat.Row) (text string, ok bool) // what page.js needs to know of a row, if it can make it
	build  func(chat.Row) *row
	update func(*row, chat.Row)
}

// reconcile makes the document's rows equal to want, with as few changes as it can. It reports
// whether rows were added anywhere but at the end.
func (l *list) reconcile(want []chat.Row, w writer) (above bool) {
	standing := l.drop(want)
	rows := make([]*row, 0, len(want))
	for _, row := range want {
		r := l.byKey[row.Key]
		switch {
		case len(standing) > 0 && standing[0] == r:
			standing = standing[1:]
		case r == nil && len(standing) == 0 && l.putOff(row, w):
			r = l.byKey[row.Key]
		default:
			if r == nil {
				r = w.build(row)
				w.update(r, row) // before it is in the document, where each change costs more
				l.byKey[row.Key] = r
			} else {
				standing = without(standing, r)
			}
			above = above || len(standing) > 0
			l.place(r, standing)
		}
		w.update(r, row)
		rows = append(rows, r)
	}
	l.flush()
	l.rows = rows
	return above
}

// drop takes out the rows that are not wanted any more, and returns those that stand.
func (l *list) drop(want []chat.Row) []*row {
	keep := make(map[string]bool, len(want))
	for _, w := range want {
		keep[w.Key] = true
	}
	standing := l.rows[:0]
	for i, r := range l.rows {
		if keep[r.Key] {
			standing = append(standing, r)
			continue
		}
		delete(l.byKey, r.Key)
		if l.alone {
			r.element().Call("remove")
			continue
		}
		// From the end: what the relay has written may stand before the rows.
		l.batch.gone += strconv.Itoa(i-len(l.rows)) + " "
	}
	return standing
}

// putOff has page.js make a row for the end of the list, if it can.
func (l *list) putOff(w chat.Row, by writer) bool {
	text, ok := by.plain(w)
	if !ok || l.alone {
		return false
	}
	b, r := &l.batch, &row{Row: w}
	l.byKey[w.Key] = r
	b.rows, b.texts = append(b.rows, r), append(b.texts, text)
	return true
}

// place puts a row's element before those that stand after it.
func (l *list) place(r *row, standing []*row) {
	l.flush()
	if len(standing) > 0 {
		l.el.Call("insertBefore", r.element(), standing[0].element())
	} else {
		l.el.Call("append", r.element())
	}
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
		if bottomOf(l.rows[middle].element()) > top {
			hi = middle
		} else {
			lo = middle + 1
		}
	}
	// Other rows come and go; messages stay.
	for ; lo < len(l.rows); lo++ {
		if l.rows[lo].Kind == chat.RowMessage {
			return l.rows[lo], topOf(l.rows[lo].element())
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
			v.follow()
		}
		v.list.reset = false
	}
	if newest := r.Timeline.Newest(); v.followEnd && newest != nil && v.list.byKey[newest.Key] == nil {
		v.follow()
	}
	toEnd := v.followEnd && v.below == 0
	var anchor *row
	var before float64
	if !toEnd {
		anchor, before = v.list.anchor(topOf(v.messages))
	}
	if fresh {
		v.muteLiveRegion()
	}
	if v.followEnd && !fresh {
		a.narrow(r, now)
	}
	above := v.list.reconcile(v.rowsOf(r), writer{a.plainRow, a.newRow,
		func(old *row, w chat.Row) { a.updateRow(old, w, r.Timeline, now) }})
	if above {
		v.muteLiveRegion()
	}
	switch {
	case v.toKey != "":
		a.scrollToRow(v.toKey)
	case fresh && v.followEnd && a.showUnread():
	case toEnd:
		v.keepBelow()
	case anchor != nil && v.list.byKey[anchor.Key] == anchor:
		if moved := topOf(anchor.element()) - before; moved > 0.5 || moved < -0.5 {
			v.scrollTo(v.messages.Get("scrollTop").Float() + moved)
		}
		if v.followEnd {
			v.leaves()
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
	top := topOf(line.element()) - topOf(v.messages) + v.messages.Get("scrollTop").Float()
	if end-top < height-32 && r.Timeline.AtEnd() {
		return false
	}
	a.scrollToRow("unread")
	return true
}
