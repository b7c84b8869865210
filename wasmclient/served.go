//go:build js && wasm

package main

import (
	"strconv"
	"syscall/js"

	"setu/wasmclient/chat"
)

// served is what the relay has written into the page: the newest messages of a room, which stand there
// until the join is answered, and whose elements the list then takes over.
type served struct {
	room string // "": there is nothing any more
	els  []js.Value
	at   int64 // when the last of them was written, in milliseconds since 1970
}

// takeServed takes over the scrolling of what the relay has written: where the page begins it counts from
// the end.
func (v *view) takeServed() {
	room := attribute(v.list.el, "data-served")
	if room == "" {
		return
	}
	v.served.room = room
	children := v.list.el.Get("children")
	for i := range children.Length() {
		v.served.els = append(v.served.els, children.Index(i))
	}
	if times := v.list.el.Call("querySelectorAll", "time[data-at]"); times.Length() > 0 {
		v.served.at, _ = strconv.ParseInt(attribute(times.Index(times.Length()-1), "data-at"), 10, 64)
	}
	fromEnd := -v.messages.Get("scrollTop").Float()
	setFlag(v.list.el, "data-served", false)
	v.followEnd = fromEnd <= nearEnd
	v.scrollTo(v.messages.Get("scrollHeight").Float() - v.messages.Get("clientHeight").Float() - fromEnd)
	v.leaves()
}

// standsServed reports whether what the relay has written is all that there is of a room.
func (v *view) standsServed(r *chat.Room) bool {
	return r != nil && v.served.room == r.Name && !r.Entered && !r.Refused() && !r.Denied.Join
}

// rowsOf returns the rows of a room. The day does not stand again below what the relay has written of it.
func (v *view) rowsOf(r *chat.Room) []chat.Row {
	rows := r.Timeline.Rows()
	if len(rows) > 0 && rows[0].Kind == chat.RowDay && v.standsServed(r) && r.Timeline.DayOf(v.served.at) == r.Timeline.DayOf(rows[0].At) {
		rows = rows[1:]
	}
	return rows
}

// adoptServed makes rows of what the relay has written of a room, for reconcile, and reports whether there
// was anything.
func (a *app) adoptServed(r *chat.Room) bool {
	v := a.view
	if v.served.room != r.Name || !r.Entered {
		return false
	}
	l := v.list
	rows := make([]*row, 0, len(v.served.els)+len(l.rows))
	for _, el := range v.served.els {
		author, id := attribute(el, "data-author"), attribute(el, "data-id")
		key := r.Timeline.Key(author, id)
		if e := r.Timeline.Find(key); e == nil || l.byKey[key] != nil {
			el.Call("remove") // a day, which is written anew
			continue
		} else if e.Own {
			setFlag(el, "data-author", false)
		} else {
			setFlag(el, "data-own", false)
		}
		adopted := &row{Row: chat.Row{Key: key, Kind: chat.RowMessage}, el: el}
		l.byKey[key] = adopted
		rows = append(rows, adopted)
	}
	l.rows = append(rows, l.rows...)
	v.served = served{}
	return true
}
