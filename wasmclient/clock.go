//go:build js && wasm

package main

import (
	"syscall/js"
	"time"

	"setu/wasmclient/chat"
)

// clock tells times as this reader writes them. Go's own local time knows one
// offset for the whole year here, so the browser is asked.
type clock struct {
	date    js.Value
	time    js.Value // formats: an hour and minute,
	day     js.Value // a weekday and date,
	dayYear js.Value // the same with the year,
	full    js.Value // all of it
	offsets map[int64]int
}

func newClock() *clock {
	format := func(options map[string]any) js.Value {
		return window.Get("Intl").Get("DateTimeFormat").New(js.Undefined(), options)
	}
	return &clock{
		date:    window.Get("Date"),
		time:    format(map[string]any{"hour": "numeric", "minute": "2-digit"}),
		day:     format(map[string]any{"weekday": "long", "day": "numeric", "month": "long"}),
		dayYear: format(map[string]any{"day": "numeric", "month": "long", "year": "numeric"}),
		full:    format(map[string]any{"dateStyle": "full", "timeStyle": "medium"}),
		offsets: make(map[int64]int),
	}
}

// offset gives the minutes by which local time was ahead of UTC. It changes on
// the quarter hour at most, so it is remembered by that.
func (c *clock) offset(at int64) int {
	quarter := at / (15 * 60 * 1000)
	if minutes, ok := c.offsets[quarter]; ok {
		return minutes
	}
	minutes := 0
	if v := c.date.New(float64(at)).Call("getTimezoneOffset"); !v.IsNaN() {
		minutes = -v.Int()
	}
	c.offsets[quarter] = minutes
	return minutes
}

func (c *clock) write(format js.Value, at int64) (text string) {
	attempt(func() { text = format.Call("format", float64(at)).String() })
	return text
}

// dayName says which day a moment was on, as people say it.
func (c *clock) dayName(t *chat.Timeline, at int64, now time.Time) string {
	switch t.DayOf(now.UnixMilli()) - t.DayOf(at) {
	case 0:
		return "Today"
	case 1:
		return "Yesterday"
	}
	if age := now.UnixMilli() - at; age < 300*24*60*60*1000 && age > 0 {
		return c.write(c.day, at)
	}
	return c.write(c.dayYear, at)
}
