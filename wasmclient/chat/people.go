package chat

import "time"

// Grace is how long somebody who has left is still shown, so that the list does not flicker when a page
// is reloaded. Who comes is shown at once.
const Grace = 5 * time.Second

// maxListed is the most people that the relay lists. Of a larger room it sends the count alone.
const maxListed = 1000

const (
	// askAfter is how long the list and the count may disagree before the relay is asked who is here.
	askAfter = 2 * time.Second
	// maxAskAfter bounds the time between two such requests, which doubles if they don't help.
	maxAskAfter = time.Minute
)

// People is who is in a room. For a large room the relay sends the count alone.
type People struct {
	Count int
	// Plain returns a name without the marks on its letters, by which people are sorted. Nil: they are sorted
	// as they are written.
	Plain func(name string) string

	here    map[string]User      // by user id; shown
	leaving map[string]time.Time // those of them who have left, and until when they are shown
	known   bool                 // the relay has sent the list
	version int                  // counts changes of here

	sorted sortedPeople // here, in the order of List

	askAt time.Time     // when to ask who is here; zero: list and count agree
	wait  time.Duration // before the next such request
}

// Set takes the whole list. Those whom a later list lacks are shown for Grace. A nil list means that
// the room is too large for one.
func (p *People) Set(members []User, count int, now time.Time) {
	p.Count = count
	if members == nil {
		p.known, p.here, p.leaving = false, nil, nil
		p.version++
		return
	}
	if !p.known {
		p.known, p.here, p.leaving = true, make(map[string]User, len(members)), make(map[string]time.Time)
	}
	listed := make(map[string]bool, len(members))
	for _, u := range members {
		listed[u.ID] = true
		p.join(u)
	}
	for id := range p.here {
		if !listed[id] {
			p.leave(id, now)
		}
	}
}

// Change applies a presence event. One with a count alone means that the room is too large for a list
// now.
func (p *People) Change(joined, left, renamed []User, count int, now time.Time) {
	if len(joined)+len(left)+len(renamed) == 0 {
		p.Set(nil, count, now)
		return
	}
	p.Count = count
	if !p.known {
		return
	}
	for _, u := range left {
		p.leave(u.ID, now)
	}
	for _, u := range joined {
		p.join(u)
	}
	for _, u := range renamed {
		if _, here := p.here[u.ID]; here {
			p.put(u)
		}
	}
}

func (p *People) join(u User) {
	delete(p.leaving, u.ID)
	p.put(u)
}

func (p *People) put(u User) {
	if was, here := p.here[u.ID]; !here || was != u {
		p.here[u.ID] = u
		p.version++
	}
}

func (p *People) leave(id string, now time.Time) {
	_, here := p.here[id]
	if _, going := p.leaving[id]; here && !going {
		p.leaving[id] = now.Add(Grace)
	}
}

// SetPresent shows a person of the list as present, under their present name, because they have just
// sent something. It reports whether that changed what is shown. Who is not on the list may be here
// unseen.
func (p *People) SetPresent(u User) bool {
	was, here := p.here[u.ID]
	if !here {
		return false
	}
	u = u.placedAs(was) // what is said tells one place alone
	p.join(u)
	return was != u
}

// ApplyDue takes those out of the list who left Grace ago. It reports whether there were any, and
// returns when to call it again; zero means that nobody is leaving.
func (p *People) ApplyDue(now time.Time) (changed bool, next time.Time) {
	for id, due := range p.leaving {
		switch {
		case !due.After(now):
			delete(p.leaving, id)
			delete(p.here, id)
			p.version++
			changed = true
		case next.IsZero() || due.Before(next):
			next = due
		}
	}
	return changed, next
}

// Check reports whether to ask the relay who is here: the list and the count have disagreed for a while,
// or the room has become small enough for a list. It returns when to call it again; zero means that all
// is well. Spread is added to the wait, so that not all pages ask at once.
func (p *People) Check(now time.Time, spread time.Duration) (ask bool, next time.Time) {
	if p.agrees() {
		p.askAt, p.wait = time.Time{}, 0
		return false, time.Time{}
	}
	ask = !p.askAt.IsZero() && !now.Before(p.askAt)
	if p.askAt.IsZero() || ask {
		p.wait = min(max(2*p.wait, askAfter), maxAskAfter)
		p.askAt = now.Add(p.wait + spread)
	}
	return ask, p.askAt
}

func (p *People) agrees() bool {
	if !p.known {
		return p.Count == 0 || p.Count > maxListed
	}
	return len(p.here)-len(p.leaving) == p.Count
}

// Note returns the sentence below the list, of which this many people are shown.
func (p *People) Note(self string, shown int) string {
	switch n := len(p.here); {
	case !p.known && p.Count > maxListed:
		return "This room is too large to list everyone."
	case n > shown:
		return "and " + Thousands(n-shown) + " more"
	case n == 1 && p.Count <= 1:
		if _, here := p.here[self]; here {
			return "Nobody else yet. Share the link."
		}
	}
	return ""
}

// Known reports whether there is a list and not only a count.
func (p *People) Known() bool { return p.known }

// Number returns the number of people to show.
func (p *People) Number() int {
	if p.known {
		return len(p.here)
	}
	return p.Count
}
