// Package attendance judges what an app was told of presence against who was there: visitors of relays come,
// go, and are thrown out, and an app notes what it is told.
package attendance

import (
	"fmt"
	"time"
)

// Visit is a time in which a user was connected.
type Visit struct {
	Dialed time.Time // when the user began to connect; before it nobody could know
	From   time.Time // when a relay had let the user in
	To     time.Time // when the connection ended; zero: it stands
}

// Told is a notice as the app read it. Subject is whom or what it is of.
type Told struct {
	Subject string
	There   bool // online, occupied
	ID      string
	At      time.Time
	Fence   uint64
}

// Outage is a time in which presence could not be written, or not for certain.
type Outage struct{ From, To time.Time }

// Rules say what is to be told.
type Rules struct {
	Grace, Lease time.Duration
	Outages      []Outage
	Lossy        bool // the store has lost something: what was told may be told anew
}

// Margins of what is judged: how exactly visits are known, and how long writing and telling takes.
const (
	blur  = 2 * time.Second
	delay = 6 * time.Second
)

// Verdict is what became of notices.
type Verdict struct {
	Told    int // notices, each once
	Doubled int // how often one came again
	Anew    int // how often what had been told was told by another notice
	Edges   int // visits, and times between them, that had to be told, and were
	Faults  []string
}

// Add adds what became of others.
func (v *Verdict) Add(o Verdict) {
	v.Told, v.Doubled, v.Anew, v.Edges = v.Told+o.Told, v.Doubled+o.Doubled, v.Anew+o.Anew, v.Edges+o.Edges
	v.Faults = append(v.Faults, o.Faults...)
}

func (v *Verdict) String() string {
	return fmt.Sprintf("%d told, %d edges that had to be, %d doubled, %d anew, %d faults", v.Told, v.Edges, v.Doubled, v.Anew, len(v.Faults))
}

func (v *Verdict) fault(format string, args ...any) {
	v.Faults = append(v.Faults, fmt.Sprintf(format, args...))
}

// Judge decides on what was told of one user, in the order in which it came, given the user's visits.
func (r Rules) Judge(user string, visits []Visit, told []Told) Verdict {
	v, first := r.JudgeOrder(user, told)
	for i, visit := range visits {
		if visit.To.IsZero() {
			continue
		}
		for _, t := range first {
			if !t.There && t.At.After(visit.From.Add(blur)) && t.At.Before(visit.To.Add(-blur)) {
				v.fault("%s was told offline at %s, in a visit from %s to %s", user, clock(t.At), clock(visit.From), clock(visit.To))
			}
		}
		r.judgeStay(user, visit, first, &v)
		next := Visit{}
		if i+1 < len(visits) {
			next = visits[i+1]
		}
		r.judgeGap(user, visit, next, first, &v)
	}
	there := len(visits) > 0 && visits[len(visits)-1].To.IsZero()
	if said := isThere(first, time.Time{}); said != there {
		v.fault("%s is online: %v, and was last told: %v", user, there, said)
	}
	return v
}

// isThere reports what had been told of somebody up to a time, or in the end.
func isThere(told []Told, until time.Time) (there bool) {
	for _, t := range told {
		if until.IsZero() || t.At.Before(until) {
			there = t.There
		}
	}
	return there
}

// judgeStay looks for what had to be told of a visit that was long enough.
func (r Rules) judgeStay(user string, visit Visit, told []Told, v *Verdict) {
	stay := Outage{visit.From, visit.To}
	if stay.To.Sub(stay.From) < delay+r.disturbed(stay) {
		return
	}
	if !isThere(told, visit.To.Add(-blur)) {
		v.fault("%s was there from %s to %s, and online was not told", user, clock(visit.From), clock(visit.To))
		return
	}
	v.Edges++
}

// judgeGap looks for what had to be told between two visits, if they are far enough apart.
func (r Rules) judgeGap(user string, before, next Visit, told []Told, v *Verdict) {
	gap := Outage{before.To, next.Dialed}
	if last := next == (Visit{}); !last && gap.To.Sub(gap.From) < r.Grace+r.Lease+delay+r.disturbed(gap) {
		return // it may have been silence
	}
	if isThere(told, gap.To) {
		v.fault("%s was away from %s to %s, and offline was not told", user, clock(gap.From), clock(gap.To))
		return
	}
	v.Edges++
}

// disturbed is how much longer than usual it may take to write what happens in a time: as long as outages
// last, and what relays give one another to come back.
func (r Rules) disturbed(in Outage) (d time.Duration) {
	after := 2*r.Lease + 8*time.Second
	for _, o := range r.Outages {
		if o.From.Before(in.To) && o.To.Add(after).After(in.From) {
			d += o.To.Sub(o.From) + after
		}
	}
	return d
}

// JudgeOrder decides on the order of what was told of one user, or one room. It returns the notices, each
// once.
func (r Rules) JudgeOrder(subject string, told []Told) (v Verdict, first []Told) {
	known := map[string]Told{}
	for _, t := range told {
		if was, again := known[t.ID]; again {
			v.Doubled++
			if was != t {
				v.fault("%s: %+v came again as %+v", subject, was, t)
			}
			continue
		}
		known[t.ID] = t
		if n := len(first); n > 0 {
			if t.Fence <= first[n-1].Fence {
				v.fault("%s: the fence falls from %d to %d", subject, first[n-1].Fence, t.Fence)
			}
			if t.There == first[n-1].There {
				if v.Anew++; !r.Lossy {
					v.fault("%s: there %v was told anew at %s", subject, t.There, clock(t.At))
				}
			}
		} else if !t.There {
			v.fault("%s: it begins with being gone", subject)
		}
		first = append(first, t)
	}
	v.Told = len(first)
	return v, first
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "now"
	}
	return t.Format("15:04:05.000")
}
