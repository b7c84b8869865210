package room

import (
	"sync"
	"time"

	"setu/relay/broker"
)

// grace is the time in which a user who was cut off is expected back. The broker is told nothing: neither
// of somebody who comes back within it, nor that they did.
type grace struct {
	room  *Room // of which it has a reference
	id    string
	until time.Time
}

// expected is a user in a grace: the broker has them in the room.
type expected struct {
	text  string // the user's JSON; empty if it is not known
	until time.Time
}

// graces are those of a hub, the earliest first: there are at most as many as there were memberships
// within one.
type graces struct {
	mu sync.Mutex // guards what follows

	waiting []grace
	running bool // a goroutine ends them
}

// add has a grace ended when it is over. It reports whether nothing does that yet.
func (g *graces) add(one grace) (begin bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, one)
	begin, g.running = !g.running, true
	return begin
}

// next returns the grace that ends next.
func (g *graces) next() (one grace, found bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.waiting, g.running = nil, false
		return grace{}, false
	}
	one = g.waiting[0]
	g.waiting[0] = grace{}
	g.waiting = g.waiting[1:]
	return one, true
}

// endGraces announces that users have left who are not back in time. When the hub drains, the broker's
// Close does that for all.
func (h *Hub) endGraces() {
	timer := time.NewTimer(LeaveGrace)
	defer timer.Stop()
	for one, found := h.graces.next(); found; one, found = h.graces.next() {
		if left := time.Until(one.until); left > 0 {
			timer.Reset(left)
			select {
			case <-timer.C:
			case <-h.drain:
			}
		}
		if one.room.endGrace(one) && !h.isDraining() {
			h.announceLeave(one.room.name, one.id)
		}
		one.room.release()
	}
}

// expect begins the grace of a user whose last connection here has ended. r.mu is held.
func (r *Room) expect(id, text string) grace {
	until := time.Now().Add(LeaveGrace)
	if r.expected == nil {
		r.expected = map[string]expected{}
	}
	r.expected[id] = expected{text, until}
	return grace{r, id, until}
}

// endGrace reports whether the user has not come back since the grace began.
func (r *Room) endGrace(one grace) (gone bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	is, found := r.expected[one.id]
	if gone = found && is.until.Equal(one.until); gone {
		delete(r.expected, one.id)
	}
	return gone
}

// expectRenamed notes what the broker calls users who are expected back, if a change says that or may have
// been missed. r.mu is held.
func (r *Room) expectRenamed(ch broker.Change) {
	if !ch.Missed && !ch.Renamed {
		return
	}
	for id, is := range r.expected {
		switch {
		case ch.Missed:
			is.text = ""
		case ch.Renamed && broker.UserID(ch.User) == id:
			is.text = ch.User
		}
		r.expected[id] = is
	}
}

// isBack ends the grace of a user, if there is one. It reports whether the broker has them in the room,
// under the name that text gives. r.mu is held.
func (r *Room) isBack(id, text string) bool {
	was, found := r.expected[id]
	delete(r.expected, id)
	return found && broker.CutPlaces(was.text) == broker.CutPlaces(text)
}
