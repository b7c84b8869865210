package chat

import "time"

// tellAgain is how long a room says nothing more of messages that speak to nobody.
const tellAgain = 30 * time.Second

// Tells reports whether to notify of a message that has just come: not of one's own or one that is seen, and
// not of each in a room where much is said, but of all that speak to this user. Whether notifications are
// allowed is asked last, and only if the message calls for one: the browser takes its time over that.
func (r *Room) Tells(e *Entry, seen bool, now time.Time, allowed func() bool) bool {
	if e == nil || e.Own || seen || e.Seq <= r.Seen {
		return false
	}
	if !e.Concerns && now.Sub(r.toldAt) < tellAgain || !allowed() {
		return false
	}
	if !e.Concerns {
		r.toldAt = now
	}
	return true
}
