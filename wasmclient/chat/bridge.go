package chat

import (
	"strconv"
	"strings"
)

// Relay is a relay that takes new clients. URL is where it is to be reached by itself, or "".
type Relay struct {
	Place
	URL string
}

// Bridge is what the drawing of the connection shows: this page, its relay, Redis behind that, and the
// relays on the other side.
type Bridge struct {
	Here   string // the city, or the relay's name where there is none
	ToHere string // the round trip to the relay, or ""
	ToDeep string // the relay's own to Redis, or ""
	Others []Shore
	More   int  // of the others that are not shown
	Lone   bool // there is no Redis: this relay is alone
	Away   bool // there is no connection: this is how it was
}

// Shore is a region on the other side.
type Shore struct {
	Name   string
	Region string
	Relays int
	URL    string
}

// maxShores bounds the regions that are drawn.
const maxShores = 5

// Span returns the bridge as it stands. The first relay is the one that this page is connected to.
func (p *Pill) Span(relays []Relay) Bridge {
	b := Bridge{Here: City(p.Region)}
	if b.Here == "" {
		b.Here = Shown(p.Relay)
	}
	if p.Status == Connected {
		if p.RTT > 0 {
			b.ToHere = Milliseconds(p.RTT)
		}
		if p.Store > 0 {
			b.ToDeep = Milliseconds(p.Store)
		}
	}
	b.Lone, b.Away = p.Store == 0 && len(relays) < 2, p.Status != Connected
	if len(relays) > 1 {
		b.Others = Shores(relays[1:])
	}
	if more := len(b.Others) - maxShores; more > 0 {
		b.Others, b.More = b.Others[:maxShores], more
	}
	return b
}

// Shores returns the regions of relays, by their names. Relays of no region are each one by itself.
func Shores(relays []Relay) []Shore {
	var out []Shore
	at := make(map[string]int)
	for _, r := range relays {
		key := "region " + r.Region
		if r.Region == "" {
			key = "relay " + r.Relay
		}
		if i, known := at[key]; known {
			out[i].Relays++
			continue
		}
		at[key] = len(out)
		s := Shore{Name: City(r.Region), Region: r.Region, Relays: 1, URL: r.URL}
		if s.Name == "" {
			s.Name = Shown(r.Relay)
		}
		out = append(out, s)
	}
	sortShores(out, func(a, b Shore) bool { return strings.ToLower(a.Name) < strings.ToLower(b.Name) })
	return out
}

// sortShores sorts a few, by insertion: package sort's way would add to the browser's program.
func sortShores(all []Shore, before func(a, b Shore) bool) {
	for i := range all {
		for ; i > 0 && before(all[i], all[i-1]); i-- {
			all[i], all[i-1] = all[i-1], all[i]
		}
	}
}

// Label returns a shore's name, with the number of its relays if there are several.
func (s Shore) Label() string {
	if s.Relays > 1 {
		return s.Name + " ×" + strconv.Itoa(s.Relays)
	}
	return s.Name
}

// Text says what the drawing shows.
func (b Bridge) Text() string {
	measured := func(name, took string) string {
		if took == "" {
			return name
		}
		return name + ", " + took + " there and back"
	}
	if b.Away {
		return "You are not connected to any relay now."
	}
	text := "You are connected to the relay in " + measured(b.Here, b.ToHere) + "."
	if b.Lone {
		return text + " It is alone, and keeps everything itself."
	}
	text += " Behind it is Redis, which all relays share" + strings.TrimPrefix(measured("", b.ToDeep), " ") + "."
	if len(b.Others) == 0 {
		return text + " No other relay is seen."
	}
	names := make([]string, 0, len(b.Others)+1)
	for _, s := range b.Others {
		names = append(names, s.Label())
	}
	if b.More > 0 {
		names = append(names, strconv.Itoa(b.More)+" more")
	}
	return text + " On the other side: " + strings.Join(names, ", ") + "."
}

// Ways returns the other regions by which one can come in, the one that is farthest away first.
func Ways(here string, relays []Relay) []Shore {
	var out []Shore
	for _, s := range Shores(relays) {
		if s.Region != "" && s.Region != here {
			out = append(out, s)
		}
	}
	sortShores(out, func(a, b Shore) bool { return farness(here, a.Region) > farness(here, b.Region) })
	return out
}

// Address returns the page's address by which one comes into a room through a region.
func (s Shore) Address(room string) string {
	if s.URL != "" {
		return s.URL + RoomAddress(room)
	}
	return WithRegion(RoomAddress(room), s.Region)
}

// BridgeText returns what an empty room says of the bridge: where one is, and where others may be. It is ""
// if there is nothing to say.
func BridgeText(here string, ways []Shore) string {
	if here == "" || len(ways) == 0 {
		return ""
	}
	names := make([]string, 0, 3)
	for _, s := range ways[:min(len(ways), 3)] {
		names = append(names, s.Name)
	}
	last := len(names) - 1
	others := names[last]
	if last > 0 {
		others = strings.Join(names[:last], ", ") + " or " + names[last]
	}
	return "This room is a bridge: you came in through " + City(here) + ", others through " + others +
		", and all see the same messages in the same order, within a moment."
}

// MissedText says what was missed on this page for good.
func (p *Pill) MissedText() string {
	switch {
	case p.gaps == 0:
		return "nothing"
	case p.missed == 0:
		return pluralize(p.gaps, "gap")
	}
	return pluralize(p.missed, "message")
}

// Missed notes a gap in a room's history: of the messages between two numbers, if that is known.
func (p *Pill) Missed(last, next int64) {
	p.gaps++
	if last > 0 && next > last+1 {
		p.missed += int(next - last - 1)
	}
}

// Reconnects is how often the page has lost its connection and found one again.
func (p *Pill) Reconnects() int { return p.reconnects }

// RecoveredInAll is how many messages came after all that were missed while there was no connection.
func (p *Pill) RecoveredInAll() int { return p.recovered }

// counts are what has happened to the connection since the page was opened.
type counts struct {
	reconnects, recovered, gaps, missed int
}

// Elsewhere returns the sentence for who wanted to come in by a region and was brought to another one, or "".
func Elsewhere(wanted, here string) string {
	if wanted == "" || wanted == here {
		return ""
	}
	if here == "" {
		return "No relay in " + City(wanted) + " takes you now: you came in elsewhere"
	}
	return "No relay in " + City(wanted) + " takes you now: you came in through " + City(here)
}

// Clip cuts a name that is too long for the drawing: for so many of its units, at 12 of them to the font.
func Clip(name string, width int) string {
	const dots = 12
	end, used := 0, 0
	for i, r := range name {
		if used <= width-dots {
			end = i
		}
		switch {
		case r >= 0x1100 || r == 'M' || r == 'W' || r == 'm' || r == 'w':
			used += 12
		case 'A' <= r && r <= 'Z':
			used += 9
		default:
			used += 7
		}
	}
	if used <= width {
		return name
	}
	return name[:end] + "…"
}
