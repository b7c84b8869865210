//go:build js && wasm

package main

import (
	"strconv"
	"strings"

	"setu/wasmclient/chat"
)

// What a row says is written into one text for public/page.js, all rows of a frame in one. These stand
// between rows, and between the parts of one; no text that is shown has them.
const (
	rowMark  = "\x1e"
	partMark = "\x1f"
)

// latestDate is the end of the time that browsers know, in milliseconds since 1970.
const latestDate = 8_640_000_000_000_000

// plainRow returns what page.js needs to know to make a row: the message of somebody else, a text of which
// all is written in one way, of which nobody has said anything. All others are written by updateMessage, which
// takes some forty calls of the browser.
func (a *app) plainRow(w chat.Row) (text string, ok bool) {
	e := w.Entry
	if !w.IsPlain() || e.At < 0 || e.At > latestDate {
		return "", false
	}
	u, at, place, verified := e.From, a.clock.short(e.At), "", "verified"
	if u.At != "" {
		place = u.PlaceTitle()
	}
	if u.Guest {
		verified = ""
	}
	parts := [...]string{w.Class(), e.ID, e.Key, u.ID, u.Name, place, strconv.Itoa(chat.Hue(u.ID)), chat.Monogram(u.Name), verified,
		e.Body.Shown(), strconv.FormatInt(e.At, 10), at, a.clock.long(e.At), u.Name + ", " + at}
	text = strings.Join(parts[:], partMark)
	return text, strings.Count(text, partMark) == len(parts)-1 && !strings.Contains(text, rowMark)
}
