package chat

import (
	"strconv"
	"time"
)

// Status is the status of the connection.
type Status uint8

const (
	Connecting Status = iota
	Connected
	Waiting
	Closed
)

// String returns the status as the document's attributes have it.
func (s Status) String() string {
	return [...]string{"connecting", "connected", "waiting", "closed"}[s]
}

// noteDuration is how long the pill shows an event.
const noteDuration = 6 * time.Second

// BannerDelay is how long a connection is broken before the banner says so as well.
const BannerDelay = 5 * time.Second

// storeSilence is how long the relay hears nothing of Redis until the page says so: relays refuse what is
// published from then on.
const storeSilence = 5 * time.Second

// Pill is what the page shows about the connection.
type Pill struct {
	Status  Status
	Relay   string
	Region  string
	RTT     time.Duration
	Store   time.Duration // the relay's own round trip to Redis, or how long one has taken so far; 0: not known
	RetryAt time.Time
	Reason  string // why the connection is closed for good

	counts
	connectedBefore bool      // was connected before
	away            bool      // a connection was lost or not made, and there has been none since
	brokenAt        time.Time // since when it is not connected; zero while it is
	note            string
	noteUntil       time.Time
}

// Update applies a new state. It returns a sentence for screen readers, or "".
func (p *Pill) Update(next Pill, now time.Time) string {
	before := p.Status
	p.Status, p.RTT, p.Store, p.RetryAt, p.Reason = next.Status, next.RTT, next.Store, next.RetryAt, next.Reason
	if next.Relay != "" {
		p.Relay, p.Region = next.Relay, next.Region
	}
	p.away = p.Status == Waiting || p.away && p.Status == Connecting
	if before == p.Status && !(p.brokenAt.IsZero() && p.Status != Connected) {
		return ""
	}
	switch p.Status {
	case Connected:
		again := p.connectedBefore
		p.connectedBefore, p.brokenAt = true, time.Time{}
		if again {
			p.reconnects++
			return "Connected again"
		}
		return "Connected"
	case Closed:
		return "Disconnected"
	}
	if p.brokenAt.IsZero() {
		p.brokenAt = now
		if p.connectedBefore {
			return "Connection lost, reconnecting"
		}
	}
	return ""
}

// Note shows an event for noteDuration.
func (p *Pill) Note(text string, now time.Time) {
	p.note, p.noteUntil = text, now.Add(noteDuration)
}

// Recovered shows that n missed messages have been recovered, and returns the sentence.
func (p *Pill) Recovered(n int, now time.Time) string {
	p.recovered += n
	text := "Recovered " + pluralize(n, "message")
	p.Note(text, now)
	return text
}

// Label returns the pill's text.
func (p *Pill) Label(now time.Time) string {
	switch p.Status {
	case Waiting:
		return "Reconnecting in " + strconv.Itoa(p.seconds(now)) + " s"
	case Connecting:
		if p.connectedBefore {
			return "Reconnecting…"
		}
		return "Connecting…"
	case Closed:
		return "Disconnected"
	}
	if p.StoreSilent() {
		return "Redis is silent"
	}
	if p.showsNote(now) {
		return p.note
	}
	where := City(p.Region)
	if where == "" {
		where = "Connected"
	}
	if p.RTT > 0 {
		return where + " · " + Milliseconds(p.RTT)
	}
	return where
}

// Short returns the pill's text where there is little room: the round trip alone, or when the next try is.
func (p *Pill) Short(now time.Time) string {
	switch {
	case p.Status == Connected && p.RTT > 0 && !p.StoreSilent():
		return Milliseconds(p.RTT)
	case p.Status == Waiting:
		return "in " + strconv.Itoa(p.seconds(now)) + " s"
	}
	return p.Label(now)
}

// seconds returns the seconds until RetryAt, rounded up, at least 1.
func (p *Pill) seconds(now time.Time) int {
	return max(1, int((p.RetryAt.Sub(now)+time.Second-1)/time.Second))
}

// StoreSilent reports whether the relay is connected to, and hears nothing of Redis.
func (p *Pill) StoreSilent() bool { return p.Status == Connected && p.Store >= storeSilence }

func (p *Pill) showsNote(now time.Time) bool { return p.note != "" && now.Before(p.noteUntil) }

// Banner returns what the page says across its width once the connection has been broken for
// BannerDelay, or "".
func (p *Pill) Banner(now time.Time) string {
	switch {
	case p.Status == Closed && p.Reason != "":
		return "Disconnected: " + p.Reason + "."
	case p.StoreSilent():
		return "The relay hears nothing of Redis. What you write is kept, and sent when it does."
	case p.Status == Connected || p.Status == Closed || p.brokenAt.IsZero() || now.Sub(p.brokenAt) < BannerDelay:
		return ""
	case p.connectedBefore:
		return "No connection. What you write is kept, and sent when it is back."
	}
	return "No connection yet. What you write is kept, and sent when there is one."
}

// Refusal returns the sentence for what was not done because there is no connection, or "" if there is one. A
// message waits until there is; a change of one does not, since hours later it might surprise.
func (p *Pill) Refusal(what, next string) string {
	switch {
	case p.StoreSilent():
		return what + ": the relay has no connection to Redis. " + next
	case p.Status == Connected:
		return ""
	}
	return what + ": there is no connection. " + next
}

// Away reports whether there is no connection, and not only none yet: it was lost, or could not be made. The next
// try changes nothing about that until it succeeds.
func (p *Pill) Away() bool { return p.away }

// Lasting reports whether there is no connection, and that is more than a moment's.
func (p *Pill) Lasting(now time.Time) bool {
	return p.away || p.Status == Closed || p.Status == Connecting && !p.brokenAt.IsZero() && now.Sub(p.brokenAt) >= BannerDelay
}

// PeopleNote returns the sentence about people while who is here isn't known, or "". A connection that is back
// within BannerDelay leaves the list as it was.
func (p *Pill) PeopleNote(now time.Time) string {
	brief := p.brokenAt.IsZero() || now.Sub(p.brokenAt) < BannerDelay
	switch {
	case p.StoreSilent():
		return "Redis is silent: who is here now isn’t known."
	case p.Status == Connected || brief && p.connectedBefore && p.Status != Closed:
		return ""
	case brief && p.Status == Connecting:
		return "Connecting…"
	}
	return "Not connected: who is here now isn’t known."
}

// Next returns when the label or the banner changes by itself; zero means never.
func (p *Pill) Next(now time.Time) time.Time {
	switch {
	case p.Status == Connected && p.showsNote(now):
		return p.noteUntil
	case p.Status == Connected || p.Status == Closed:
		return time.Time{}
	case p.Status == Waiting:
		return p.RetryAt.Add(-time.Duration(p.seconds(now)-1) * time.Second)
	case p.brokenAt.IsZero() || now.Sub(p.brokenAt) >= BannerDelay:
		return time.Time{}
	}
	return p.brokenAt.Add(BannerDelay)
}

// Milliseconds formats a round-trip time.
func Milliseconds(d time.Duration) string {
	if d < time.Millisecond {
		return "<1 ms"
	}
	return strconv.FormatInt(d.Round(time.Millisecond).Milliseconds(), 10) + " ms"
}

func pluralize(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
