package chat

import (
	"strconv"
	"time"
)

// Status of the connection.
type Status uint8

const (
	Connecting Status = iota
	Connected
	Waiting
	Closed
)

// String is how the status is called in the document.
func (s Status) String() string {
	return [...]string{"connecting", "connected", "waiting", "closed"}[s]
}

// noteLasts is how long the pill tells of an event.
const noteLasts = 6 * time.Second

// OfflineAfter is how long a broken connection stays the pill's matter alone.
const OfflineAfter = 5 * time.Second

// Pill is what the page tells about the connection.
type Pill struct {
	Status  Status
	Relay   string
	Region  string
	RTT     time.Duration
	RetryAt time.Time
	Reason  string // why the connection is closed for good

	was       bool      // connected before
	brokenAt  time.Time // when it last stopped being connected
	note      string
	noteUntil time.Time
}

// Update takes a new state. It returns a sentence to be spoken, or "".
func (p *Pill) Update(next Pill, now time.Time) string {
	before := p.Status
	p.Status, p.RTT, p.RetryAt, p.Reason = next.Status, next.RTT, next.RetryAt, next.Reason
	if next.Relay != "" {
		p.Relay, p.Region = next.Relay, next.Region
	}
	if before == p.Status && !(p.brokenAt.IsZero() && p.Status != Connected) {
		return ""
	}
	switch p.Status {
	case Connected:
		again := p.was
		p.was, p.brokenAt = true, time.Time{}
		if again {
			return "Connected again"
		}
		return "Connected"
	case Closed:
		return "Disconnected"
	}
	if p.brokenAt.IsZero() {
		p.brokenAt = now
		if p.was {
			return "Connection lost, reconnecting"
		}
	}
	return ""
}

// Note shows an event for a moment.
func (p *Pill) Note(text string, now time.Time) {
	p.note, p.noteUntil = text, now.Add(noteLasts)
}

// Recovered notes that messages missed while away have come.
func (p *Pill) Recovered(n int, now time.Time) string {
	text := "Recovered " + plural(n, "message")
	p.Note(text, now)
	return text
}

// Label is the pill's text.
func (p *Pill) Label(now time.Time) string {
	switch p.Status {
	case Waiting:
		return "Reconnecting in " + strconv.Itoa(p.seconds(now)) + " s"
	case Connecting:
		if p.was {
			return "Reconnecting…"
		}
		return "Connecting…"
	case Closed:
		return "Disconnected"
	}
	if p.noted(now) {
		return p.note
	}
	where := p.Region
	if where == "" {
		where = "Connected"
	}
	if p.RTT > 0 {
		return where + " · " + Milliseconds(p.RTT)
	}
	return where
}

func (p *Pill) seconds(now time.Time) int {
	return max(1, int((p.RetryAt.Sub(now)+time.Second-1)/time.Second))
}

func (p *Pill) noted(now time.Time) bool { return p.note != "" && now.Before(p.noteUntil) }

// Banner is what the page says across its width once the connection has been
// gone for a while, or "".
func (p *Pill) Banner(now time.Time) string {
	switch {
	case p.Status == Closed && p.Reason != "":
		return "Disconnected: " + p.Reason + "."
	case p.Status == Connected || p.brokenAt.IsZero() || now.Sub(p.brokenAt) < OfflineAfter:
		return ""
	case p.was:
		return "No connection. What you write is kept, and sent when it is back."
	}
	return "No connection yet. What you write is kept, and sent when there is one."
}

// Next is when the label or the banner changes by itself, or the zero time.
func (p *Pill) Next(now time.Time) time.Time {
	switch {
	case p.Status == Connected && p.noted(now):
		return p.noteUntil
	case p.Status == Connected || p.Status == Closed:
		return time.Time{}
	case p.Status == Waiting:
		return p.RetryAt.Add(-time.Duration(p.seconds(now)-1) * time.Second)
	case p.brokenAt.IsZero() || now.Sub(p.brokenAt) >= OfflineAfter:
		return time.Time{}
	}
	return p.brokenAt.Add(OfflineAfter)
}

// Milliseconds writes a round-trip time.
func Milliseconds(d time.Duration) string {
	if d < time.Millisecond {
		return "<1 ms"
	}
	return strconv.FormatInt(d.Round(time.Millisecond).Milliseconds(), 10) + " ms"
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
