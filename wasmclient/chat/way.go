package chat

import (
	"strconv"
	"time"
)

// Took records how long it took to have one's own message stored, from sending it to the relay's word: of
// those that this page has sent its way is told.
func (t *Timeline) Took(id string, took time.Duration) {
	if e := t.byKey["own/"+id]; e != nil && took > 0 {
		e.took = took
		e.revision++
	}
}

// heard is up to which sequence number pages in a region have heard a room.
type heard struct {
	code string
	seq  int64
}

// HeardIn records that a page in a region has heard the room's messages up to a sequence number. It reports
// whether that is news of one of those that this page has sent.
func (t *Timeline) HeardIn(code string, seq int64) (news bool) {
	before := int64(0)
	at := -1
	for i, h := range t.heard {
		if h.code == code {
			at, before = i, h.seq
		}
	}
	switch {
	case seq <= before:
		return false
	case at >= 0:
		t.heard[at].seq = seq
	case len(t.heard) == maxHeardIn:
		return false
	default:
		t.heard = append(t.heard, heard{code, seq})
	}
	touch := func(e *Entry) {
		if e.took > 0 && e.Seq <= seq {
			e.revision++
			news = true
		}
	}
	for _, e := range t.outgoing {
		touch(e)
	}
	for i := len(t.entries) - 1; i >= 0 && (t.entries[i].Kind != KindMessage || t.entries[i].Seq > before); i-- {
		touch(t.entries[i])
	}
	return news
}

// maxHeardIn bounds the regions in which a room is known to be heard.
const maxHeardIn = 64

// Way returns the sentence about how one's own message went, or "" if this page has not sent it: "Stored in
// 34 ms · heard in Tokyo · no. 12".
func (t *Timeline) Way(e *Entry) string {
	if e.took == 0 || e.Body != nil && e.Body.Kind == BodyDeleted || e.State != Stored && e.State != Acked {
		return ""
	}
	text := "Stored in " + Milliseconds(e.took)
	if e.took >= time.Second { // it waited for a connection
		text = "Stored after " + roughly(e.took)
	}
	var codes []string
	for _, h := range t.heard {
		if e.Seq > 0 && h.seq >= e.Seq {
			codes = append(codes, h.code)
		}
	}
	if len(codes) > 0 {
		text += " · heard in " + cities(codes)
	}
	if e.Seq > 0 {
		text += " · no. " + strconv.FormatInt(e.Seq, 10)
	}
	return text
}

// roughly returns a time of at least a second as people say it: "17 s", "2 min", "3 h".
func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	}
	return strconv.Itoa(int(d/time.Hour)) + " h"
}

// lastWay returns the newest own message, if this page has sent it and its way is known, or nil.
func (t *Timeline) lastWay() *Entry {
	for i := len(t.outgoing) - 1; i >= 0; i-- {
		if e := t.outgoing[i]; e.State == Acked {
			return e
		}
	}
	for i := len(t.entries) - 1; i >= t.lo && i >= 0; i-- {
		if e := t.entries[i]; e.Own {
			return e
		}
	}
	return nil
}

// hearingInterval is the shortest time between two signals of what was heard in a room.
const hearingInterval = time.Second

// Hearing is what this page tells others of what it has heard in a room: one page of a region does, for all.
type Hearing struct {
	Waits bool // somebody comes back for what was not due yet

	seq, told int64
	toldAt    time.Time
}

// Heard notes a message of another region.
func (h *Hearing) Heard(seq int64) { h.seq = seq }

// Due returns what to tell now, or 0, and when to call it again; zero means at the next message.
func (h *Hearing) Due(now time.Time) (seq int64, next time.Time) {
	if h.seq == h.told {
		return 0, time.Time{}
	}
	if next = h.toldAt.Add(hearingInterval); now.Before(next) {
		return 0, next
	}
	h.told, h.toldAt = h.seq, now
	return h.seq, time.Time{}
}

// SpeaksFor reports whether a user is the one of a region's people in the room who tells what is heard there:
// the one whose id comes first. In a room that is too large for a list nobody does.
func (p *People) SpeaksFor(self, code string) bool {
	if !p.known {
		return false
	}
	for id, u := range p.here {
		if id < self && contains(u.regions(), code) {
			if _, leaving := p.leaving[id]; !leaving {
				return false
			}
		}
	}
	return true
}
